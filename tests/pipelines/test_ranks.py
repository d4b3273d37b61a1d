"""Training on two ranks from the asset: through Dagster Pipes to a checkpoint, and no rank is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mediafm.config import Config, TrainingSettings, load_profile
from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import build_manifest
from mediafm.data.manifest_files import to_files
from mediafm.data.synthetic import SyntheticSettings, draw_catalog
from mediafm.store.folders import MANIFESTS, folder_key, put_folder
from mediafm.store.store import Store
from mediafm.store.views import records
from mediafm.train.config import resolve
from mediafm.train.job import TrainingJob
from mediafm.train.launch import LOG_FILE
from mediafm_pipelines import tags
from mediafm_pipelines.definitions import build_defs
from mediafm_pipelines.execution import run_assets
from mediafm_pipelines.graph import Graph
from mediafm_pipelines.instance import open_instance
from tests.pipelines.conftest import config_of

REPOSITORY = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 120.0
"""A bound on hanging; what is waited for comes within seconds."""


def on_ranks(root: Path, num_processes: int) -> Config:
    """A seed that the finished root has not trained with."""
    config = config_of(root)
    training = config.training.model_copy(update={"processes": num_processes, "seed": 1})
    return config.model_copy(update={"training": training})


def train(config: Config) -> tuple[list[str], list[str]]:
    """One run of `mediafm_checkpoint`: its failures, and what Dagster was told."""
    with open_instance(config) as instance:
        (result,) = run_assets(build_defs(config), instance, ["mediafm_checkpoint"], None, {})
        told = [entry.user_message for entry in instance.all_logs(result.run_id)]
    return list(result.failed_assets.values()), told


def test_the_asset_trains_on_two_ranks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    known = {row.sha256 for row in records(Store(root), ["checkpoints"])}
    failures, told = train(on_ranks(root, 2))
    assert failures == []
    assert any("training on 2 ranks of this host" in line for line in told)
    assert any("validation loss" in line for line in told), "the first rank's evaluations are heard"
    assert any("the first of 2 ranks left its checkpoint" in line for line in told)
    rows = records(Store(root), ["checkpoints"])
    assert len(rows) == 2
    (made,) = (row for row in rows if row.sha256 not in known)
    config = json.loads((root / made.object_key / "config.json").read_text())
    assert config["report"]["environment"]["num_ranks"] == 2
    assert not list((root / "cache" / "training").glob("*")), "states and job are gone"
    again, told = train(on_ranks(root, 1))
    assert again == []
    assert len(records(Store(root), ["checkpoints"])) == 2, "one rank would come to the same: nothing is trained"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    """One that does not end by itself in any time that a test waits."""
    root = tmp_path_factory.mktemp("job") / "root"
    catalog = draw_catalog(SyntheticSettings(num_titles=20, min_shots=10, max_shots=60, width=8))
    manifest = build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())
    put_folder(Store(root), folder_key(MANIFESTS, manifest.sha256), to_files(manifest))
    corpus = open_corpus(manifest, catalog.load, root / "cache")
    settings = TrainingSettings(preset="tiny", max_steps=10**7)
    config = replace(resolve(settings, manifest, corpus), patience_evaluations=10**6, evaluate_every_steps=2)
    output = str(root / "cache" / "training" / "a.job")
    return TrainingJob(
        root=str(root),
        manifest_sha256=manifest.sha256,
        config=config,
        device="cpu",
        states=str(root / "cache" / "training" / "a"),
        output=output,
    )


def parent_of(job: TrainingJob, file: Path) -> subprocess.Popen[str]:
    file.write_text(json.dumps(job.as_json()))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.pipelines.ranks_parent", str(file)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def ranks_of(job: TrainingJob) -> list[int]:
    """The processes, `torchrun` among them, whose command line names the job."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdecimal() else []
        except OSError:
            continue
        if str(job.file).encode() in words:
            found.append(int(folder.name))
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are found in /proc")


@needs_proc
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_no_rank_outlives_the_step(job: TrainingJob, tmp_path: Path, how: signal.Signals) -> None:
    parent = parent_of(job, tmp_path / "job.json")
    assert parent.stdout is not None
    try:
        assert any(line.startswith("heard") for line in parent.stdout), "the ranks train"
        assert len(ranks_of(job)) == 3
        parent.send_signal(how)
        parent.communicate(timeout=WAIT_SECONDS)
    finally:
        parent.kill()
        parent.stdout.close()
    until = time.monotonic() + WAIT_SECONDS
    while ranks_of(job) and time.monotonic() < until:
        time.sleep(0.1)
    assert ranks_of(job) == []


@pytest.mark.slow
def test_an_error_of_the_ranks_is_the_steps(job: TrainingJob, tmp_path: Path) -> None:
    parent = parent_of(replace(job, manifest_sha256="0" * 64), tmp_path / "job.json")
    words = parent.communicate(timeout=WAIT_SECONDS)[0]
    assert parent.returncode == 1
    assert "failed: mediafm.errors." in words
    assert "rank " in words
    assert (Path(job.output) / LOG_FILE).is_file(), "the log of ranks that failed stays"


def test_a_step_asks_for_a_gpu_for_each_process() -> None:
    config = Config.model_validate({"training": {"processes": 4}, "profile": "full"})
    graph = Graph(config, load_profile("full"))
    arguments = graph.asset("training", kinds={"torch"}, needs_gpu=True, num_processes=4)
    limits = arguments["op_tags"][tags.K8S_CONFIG]["container_config"]["resources"]["limits"]
    assert limits == {"nvidia.com/gpu": "4"}

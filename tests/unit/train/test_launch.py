"""Two ranks as children of this process: heard while they train, and what stopped them is raised here."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.manifest_files import to_files
from mediafm.data.synthetic import SyntheticCatalog
from mediafm.errors import NotFoundError, TrainingError
from mediafm.store.folders import MANIFESTS, folder_key, put_folder
from mediafm.store.store import Store
from mediafm.train.config import TrainConfig
from mediafm.train.curves import CurvePoint
from mediafm.train.job import TrainingJob
from mediafm.train.launch import LOG_FILE, command_of, hear, run_ranks, train_on_ranks
from mediafm.train.loop import TrainResult


@pytest.fixture
def job(
    catalog: SyntheticCatalog,
    manifest: TrainingManifest,
    config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> TrainingJob:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    root = tmp_path / "root"
    put_folder(Store(root), folder_key(MANIFESTS, manifest.sha256), to_files(manifest))
    open_corpus(manifest, catalog.load, root / "cache")
    return TrainingJob(
        root=str(root),
        manifest_sha256=manifest.sha256,
        config=config,
        device="cpu",
        states=str(tmp_path / "states"),
        output=str(tmp_path / "job"),
    )


def test_two_ranks_train_and_are_heard(job: TrainingJob, result: TrainResult) -> None:
    steps: list[tuple[int, int]] = []
    points: list[CurvePoint] = []
    found = train_on_ranks(2, job, lambda step, bound: steps.append((step, bound)), points.append)
    assert steps[0] == (1, job.config.max_steps)
    assert tuple(points) == found.curves
    assert found.report["environment"]["num_ranks"] == 2
    wanted = [point.validation_loss for point in result.curves]
    assert [point.validation_loss for point in found.curves] == pytest.approx(wanted, rel=1e-4)
    assert not Path(job.output).exists()


@pytest.mark.slow
def test_what_stopped_the_ranks_is_raised_here_and_their_log_stays(job: TrainingJob) -> None:
    with pytest.raises(NotFoundError, match=r"rank [01]: "):
        train_on_ranks(2, replace(job, manifest_sha256="0" * 64))
    assert (Path(job.output) / LOG_FILE).is_file()


def test_ranks_that_cannot_say_what_stopped_them_are_quoted(job: TrainingJob) -> None:
    with pytest.raises(TrainingError, match=r"(?s)the ranks ended with status 1.*no_such_room.*ranks\.log"):
        run_ranks(2, job, "mediafm.no_such_room", lambda: None)


def test_what_a_listener_raises_ends_the_ranks(job: TrainingJob) -> None:
    def listen() -> None:
        raise KeyboardInterrupt("enough")

    with pytest.raises(KeyboardInterrupt, match="enough"):
        run_ranks(2, job, "mediafm.train", listen)


def test_what_nobody_asked_for_is_not_told() -> None:
    hear({"num_steps": 1, "max_steps": 2}, None, None)
    hear({"point": {}}, None, None)


def test_the_command_names_the_ranks_and_the_job() -> None:
    command = command_of(3, "mediafm.train", Path("/somewhere/job.json"))
    assert command[0] == sys.executable
    assert command[command.index("--nproc-per-node") + 1] == "3"
    assert command[-3:] == ["-m", "mediafm.train", "/somewhere/job.json"]

"""Two ranks as children of this process: heard while they train, and what stopped them is raised here."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mediafm.config import TrainingSettings
from mediafm.data.manifest import TrainingManifest
from mediafm.data.synthetic import SyntheticCatalog
from mediafm.errors import NotFoundError, TrainingError
from mediafm.train.config import TrainConfig
from mediafm.train.curves import CurvePoint
from mediafm.train.job import TrainingJob
from mediafm.train.launch import (
    LOG_FILE,
    command_of,
    command_of_others,
    has_ranks,
    hear,
    run_ranks,
    train_on_ranks,
)
from mediafm.train.loop import TrainResult
from tests.unit.train.conftest import job_in

TWO = TrainingSettings(processes=2)


@pytest.fixture
def job(
    catalog: SyntheticCatalog,
    manifest: TrainingManifest,
    config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> TrainingJob:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return job_in(tmp_path, catalog, manifest, config)


def test_two_ranks_train_and_are_heard(job: TrainingJob, result: TrainResult) -> None:
    steps: list[tuple[int, int]] = []
    points: list[CurvePoint] = []
    found = train_on_ranks(TWO, job, lambda step, bound: steps.append((step, bound)), points.append)
    assert steps[0] == (1, job.config.max_steps)
    assert tuple(points) == found.curves
    assert found.report["environment"]["num_ranks"] == 2
    wanted = [point.validation_loss for point in result.curves]
    assert [point.validation_loss for point in found.curves] == pytest.approx(wanted, rel=1e-4)
    assert not Path(job.output).exists()


@pytest.mark.slow
def test_what_stopped_the_ranks_is_raised_here_and_their_log_stays(job: TrainingJob) -> None:
    with pytest.raises(NotFoundError, match=r"rank [01]: "):
        train_on_ranks(TWO, replace(job, manifest_sha256="0" * 64))
    assert (Path(job.output) / LOG_FILE).is_file()


def test_ranks_that_cannot_say_what_stopped_them_are_quoted(job: TrainingJob) -> None:
    with pytest.raises(TrainingError, match=r"(?s)the ranks ended with status 1.*no_such_room.*ranks\.log"):
        run_ranks(TWO, job, "mediafm.no_such_room", lambda: None)


def test_what_a_listener_raises_ends_the_ranks(job: TrainingJob) -> None:
    def listen() -> None:
        raise KeyboardInterrupt("enough")

    with pytest.raises(KeyboardInterrupt, match="enough"):
        run_ranks(TWO, job, "mediafm.train", listen)


def test_what_nobody_asked_for_is_not_told() -> None:
    hear({"num_steps": 1, "max_steps": 2}, None, None)
    hear({"point": {}}, None, None)


def hosts(node_rank: int, port: int) -> TrainingSettings:
    """One of two hosts of one rank each, both of them this machine."""
    place = ("--nnodes", "2", "--node-rank", str(node_rank), "--master-addr", "127.0.0.1", "--master-port", str(port))
    return TrainingSettings(torchrun=place)


@pytest.mark.slow
def test_two_hosts_train_together(job: TrainingJob, result: TrainResult, tmp_path: Path) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    other: list[subprocess.Popen[bytes]] = []

    def start_other() -> None:
        if not other:
            other.append(subprocess.Popen(command_of(hosts(1, port), "mediafm.train", job.file)))

    try:
        found = run_ranks(hosts(0, port), job, "mediafm.train", start_other)
        assert other[0].wait(100) == 0
    finally:
        for one in other:
            one.kill()
    assert found.report["environment"]["num_ranks"] == 2
    assert found.curves[-1].validation_loss == pytest.approx(result.curves[-1].validation_loss, rel=1e-4)


def test_the_command_names_the_ranks_and_the_job() -> None:
    command = command_of(TrainingSettings(processes=3), "mediafm.train", Path("/somewhere/job.json"))
    assert command[0] == sys.executable
    assert command[command.index("--nproc-per-node") + 1] == "3"
    assert "--standalone" in command
    assert command[-3:] == ["-m", "mediafm.train", "/somewhere/job.json"]


def test_other_hosts_are_told_what_to_start() -> None:
    words = command_of_others(hosts(0, 29500), Path("/somewhere/job.json"))
    assert words.startswith("python -m mediafm.train.agent --nnodes 2 --node-rank K --master-addr 127.0.0.1 ")
    assert words.endswith("-m mediafm.train /somewhere/job.json")
    assert command_of_others(TWO, Path("/somewhere/job.json")) == ""


def test_one_process_needs_no_ranks() -> None:
    assert not has_ranks(TrainingSettings())
    assert has_ranks(TWO)
    assert has_ranks(hosts(0, 29500))

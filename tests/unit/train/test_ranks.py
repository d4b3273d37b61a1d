"""Two processes that talk by gloo train as one."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_tensors

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.synthetic import SyntheticCatalog
from mediafm.train.config import TrainConfig
from mediafm.train.job import TrainingJob, read_result
from mediafm.train.loop import TrainResult, train
from mediafm.train.ranks import ALONE, Ranks
from mediafm.train.run_state import RunFolder
from tests.unit.train.conftest import job_in
from tests.unit.train.rank_scenarios import StoppedError, with_teacher

NUM_RANKS = 2
TOLERANCE = 1e-3
"""Of the weights' length after 24 steps. Gradients are summed in another order and Muon orthogonalises in bfloat16: two
ranks come out 2e-4 apart from one here, and one rank that cuts its steps into other micro-steps comes out as far."""
REPOSITORY = Path(__file__).resolve().parents[3]


def launch(scenarios: str, folder: Path) -> list[subprocess.Popen[str]]:
    """The ranks of the scenarios, one after the other in the same processes."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "tests.unit.train.rank_scenarios", scenarios, str(folder)]
    told = {"WORLD_SIZE": NUM_RANKS, "LOCAL_WORLD_SIZE": NUM_RANKS, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            command,
            cwd=REPOSITORY,
            text=True,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                **{name: str(value) for name, value in told.items()},
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
            },
        )
        for rank in range(NUM_RANKS)
    ]


def statuses(processes: list[subprocess.Popen[str]], seconds: float) -> list[tuple[int, str]]:
    """Exit status and standard error of each; none outlives this."""
    try:
        return [(one.wait(seconds), one.communicate()[1]) for one in processes]
    finally:
        for one in processes:
            one.kill()


@pytest.fixture(scope="module")
def job(
    catalog: SyntheticCatalog,
    manifest: TrainingManifest,
    config: TrainConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> TrainingJob:
    job = job_in(tmp_path_factory.mktemp("ranks"), catalog, manifest, replace(config, save_every_steps=3))
    job.write()
    return job


@pytest.fixture(scope="module")
def folder(job: TrainingJob, manifest: TrainingManifest, corpus: Corpus) -> Path:
    """What two ranks left of all the scenarios that end well."""
    folder = Path(job.output).parent
    stop_alone(manifest, corpus, job.config, RunFolder(folder / "states-of-one"))
    found = statuses(launch("basics,straight,resumed,from_one,contextual,torn,nan,unequal", folder), 250)
    assert [code for code, _ in found] == [0, 0], found[0][1] + found[1][1]
    return folder


def stop_alone(manifest: TrainingManifest, corpus: Corpus, config: TrainConfig, states: RunFolder) -> None:
    def stop(step: int, bound: int) -> None:
        if step == 10:
            raise StoppedError("at step 10")

    with pytest.raises(StoppedError, match="at step"):
        train(manifest, corpus, config, folder=states, progress=stop)


def of_ranks(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{name}-{rank}.json").read_text()) for rank in range(NUM_RANKS)]


def difference(one: TrainResult, other: TrainResult) -> float:
    """The length of the difference of two runs' weights, as a share of the weights' own."""
    found, wanted = load_tensors(one.checkpoint.weights), load_tensors(other.checkpoint.weights)
    apart = sum(float((found[name] - tensor).square().sum()) for name, tensor in wanted.items())
    return math.sqrt(apart / sum(float(tensor.square().sum()) for tensor in wanted.values()))


def curve(result: TrainResult) -> list[dict[str, Any]]:
    """The curves without the clock."""
    clock = ("seconds", "shots_per_second", "loader_stall_share")
    return [{key: value for key, value in asdict(point).items() if key not in clock} for point in result.curves]


def test_what_ranks_tell_each_other(folder: Path) -> None:
    first, second = of_ranks(folder, "basics")
    shared = ("gradients", "of_first", "gathered", "summed", "buffer", "same", "differ")
    assert {name: first[name] for name in shared} == {name: second[name] for name in shared}
    assert first["gradients"] == [[3.0] * 6, [0.0, 1.0, 2.0, 3.0], None]
    assert (first["own"], second["own"]) == (["b"], ["a", "c"])
    assert first["of_first"] == 0.5
    assert first["gathered"] == [[], [1.0, 1.0, 1.0]]
    assert first["summed"] == {"all": 0.2, "only 0": 1.0, "only 1": 1.0}
    assert first["buffer"] == [0.0, 0.0]
    assert (first["together"], second["together"]) == (0, 1)
    assert first["same"] == "no error"
    assert first["differ"].startswith("TrainingError ranks: rank 0: digest 0; rank 1: digest 1; all ranks have the")


def test_an_error_is_every_ranks_and_says_whose_it_was(folder: Path) -> None:
    first, second = (one["foreign"] for one in of_ranks(folder, "basics"))
    assert first == "StoreError rank 1: title x: no space left; a disk has room. Make room."
    assert second == "StoreError title x: no space left; a disk has room. Make room."


def test_one_rank_has_nothing_to_tell() -> None:
    alone = Ranks()
    parameter = torch.nn.Parameter(torch.zeros(2))
    alone.sum_gradients([parameter])
    assert parameter.grad is None
    assert alone.is_first
    assert alone.own(["a", "b"], [1, 2]) == ["a", "b"]
    assert alone.of_first(1.5) == 1.5
    assert alone.summed(lambda: {"a": 1.0}) == {"a": 1.0}
    assert alone.together(lambda: "done") == "done"
    assert ALONE.count == 1


def test_two_ranks_equal_one(folder: Path, result: TrainResult) -> None:
    first, second = (read_result(folder / f"straight-{rank}") for rank in range(NUM_RANKS))
    assert first.checkpoint.weights == second.checkpoint.weights
    assert curve(first) == curve(second)
    assert difference(first, result) < TOLERANCE
    for point, wanted in zip(first.curves, result.curves, strict=True):
        assert point.train_loss == pytest.approx(wanted.train_loss, rel=1e-4)
        assert point.validation_loss == pytest.approx(wanted.validation_loss, rel=1e-4)
        assert point.gradient_norm == pytest.approx(wanted.gradient_norm, rel=1e-2)
        assert point.epoch == wanted.epoch
    assert first.report["environment"]["num_ranks"] == NUM_RANKS
    assert result.report["environment"]["num_ranks"] == 1


def test_two_ranks_that_were_stopped_equal_two_that_never_were(folder: Path) -> None:
    told = of_ranks(folder, "resumed")
    assert [one["at"] for one in told] == [9, 9]
    assert all("at step 11" in one["stopped"] for one in told)
    assert all(one["notes"] == [] for one in told)
    straight, resumed = read_result(folder / "straight-0"), read_result(folder / "resumed-0")
    assert resumed.checkpoint.weights == straight.checkpoint.weights
    assert curve(resumed) == curve(straight)


def test_two_ranks_go_on_where_one_was_stopped(folder: Path, result: TrainResult) -> None:
    (note,) = of_ranks(folder, "from_one")[0]["notes"]
    assert "'num_ranks': 2" in note
    assert difference(read_result(folder / "from_one-0"), result) < TOLERANCE


def test_one_rank_goes_on_where_two_were_stopped(
    folder: Path, job: TrainingJob, manifest: TrainingManifest, corpus: Corpus, result: TrainResult
) -> None:
    alone = train(manifest, corpus, job.config, folder=RunFolder(folder / "states"))
    assert alone.resumed_at_step
    assert difference(alone, result) < TOLERANCE


def test_an_error_on_one_rank_ends_both_with_its_words(folder: Path) -> None:
    first, second = (one["error"] for one in of_ranks(folder, "torn"))
    assert first.startswith("StoreError rank 1: title ")
    assert second.startswith("StoreError title ")
    assert "half a file; the corpus is whole" in first
    assert "half a file; the corpus is whole" in second


def test_what_is_no_number_on_one_rank_stops_both_alike(folder: Path) -> None:
    first, second = (one["error"] for one in of_ranks(folder, "nan"))
    assert first == second
    assert first.startswith("TrainingError titles title-")
    assert "loss nan at step " in first


def test_two_ranks_follow_one_teacher(
    folder: Path, manifest: TrainingManifest, corpus: Corpus, job: TrainingJob
) -> None:
    first, second = (read_result(folder / f"contextual-{rank}") for rank in range(NUM_RANKS))
    alone = train(manifest, corpus, with_teacher(job.config))
    assert first.checkpoint.weights == second.checkpoint.weights
    assert difference(first, alone) < TOLERANCE
    for point, wanted in zip(first.curves, alone.curves, strict=True):
        assert point.train_loss == pytest.approx(wanted.train_loss, rel=1e-3)


def test_ranks_that_do_not_hold_the_same_weights_do_not_begin(folder: Path) -> None:
    for told in of_ranks(folder, "unequal"):
        assert told["error"].startswith("TrainingError ranks: rank 0: ")
        assert "all ranks have the same weights" in told["error"]


def test_a_rank_that_dies_without_a_word_ends_the_other(job: TrainingJob) -> None:
    """By the closed connection: the group's own bound is longer than this test waits."""
    (code, words), (killed, _) = statuses(launch("silent", Path(job.output).parent), 200)
    assert killed == 9
    assert code == 1
    assert "Connection closed by peer" in words or "Connection reset by peer" in words

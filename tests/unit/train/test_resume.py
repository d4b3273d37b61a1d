"""A run that was stopped goes on where it was, and ends as if it had never stopped, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.train import loop
from mediafm.train.config import TrainConfig
from mediafm.train.loop import TrainResult, train
from mediafm.train.run_state import NUM_KEPT, RunFolder


class StoppedError(Exception):
    """What a kill looks like from inside."""


@pytest.fixture
def saving(config: TrainConfig) -> TrainConfig:
    return replace(config, save_every_steps=3)


def stopped_at(step: int) -> Callable[[int, int], None]:
    def progress(num_steps: int, bound: int) -> None:
        if num_steps == step:
            raise StoppedError(f"at step {step}")

    return progress


def stop(manifest: TrainingManifest, corpus: Corpus, config: TrainConfig, folder: RunFolder, step: int) -> None:
    with pytest.raises(StoppedError, match="at step"):
        train(manifest, corpus, config, folder=folder, progress=stopped_at(step))


def told(result: TrainResult) -> list[dict[str, object]]:
    """The curves without the clock."""
    clock = ("seconds", "shots_per_second", "loader_stall_share")
    return [{key: value for key, value in asdict(point).items() if key not in clock} for point in result.curves]


@pytest.mark.parametrize("step", [1, 3, 5, 8, 19, 21, 22, 23])
def test_a_run_stopped_at_any_step_ends_with_the_same_weights(
    manifest: TrainingManifest, corpus: Corpus, saving: TrainConfig, result: TrainResult, tmp_path: Path, step: int
) -> None:
    folder = RunFolder(tmp_path / "run")
    stop(manifest, corpus, saving, folder, step)
    resumed = train(manifest, corpus, saving, folder=folder)
    assert resumed.checkpoint.weights == result.checkpoint.weights
    assert told(resumed) == told(result)
    assert resumed.resumed_at_step == ((step - 1) // 3 * 3 or None)
    assert resumed.notes == ()


def test_a_run_stopped_again_and_again_ends_with_the_same_weights(
    manifest: TrainingManifest, corpus: Corpus, saving: TrainConfig, result: TrainResult, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    for step in (4, 7, 8, 13, 20, 22):
        stop(manifest, corpus, saving, folder, step)
    resumed = train(manifest, corpus, saving, folder=folder)
    assert resumed.checkpoint.weights == result.checkpoint.weights
    assert told(resumed) == told(result)


def test_saving_moves_nothing(
    manifest: TrainingManifest, corpus: Corpus, saving: TrainConfig, result: TrainResult, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    saved = train(manifest, corpus, saving, folder=folder)
    assert saved.checkpoint.weights == result.checkpoint.weights
    assert saved.resumed_at_step is None
    assert len(list(folder.path.iterdir())) == NUM_KEPT
    folder.clear()
    assert not folder.path.exists()


def test_a_state_comes_back_as_it_was(
    manifest: TrainingManifest, corpus: Corpus, saving: TrainConfig, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    stop(manifest, corpus, saving, folder, 10)
    first = folder.load()
    assert first is not None
    again = RunFolder(tmp_path / "copy")
    again.save(first)
    second = again.load()
    assert second is not None
    assert second.memory == first.memory
    for one, other in ((first.present, second.present), (first.best, second.best)):
        assert (one.step, one.sampler) == (other.step, other.sampler)
        assert one.weights.keys() == other.weights.keys()
        assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
        assert [member["param_groups"] for member in one.optimizers] == [
            member["param_groups"] for member in other.optimizers
        ]


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: data[:5000] + b"\0" + data[5001:]])
def test_a_damaged_state_is_passed_over_for_the_one_before_it(
    manifest: TrainingManifest,
    corpus: Corpus,
    saving: TrainConfig,
    result: TrainResult,
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
) -> None:
    folder = RunFolder(tmp_path / "run")
    stop(manifest, corpus, saving, folder, 14)
    newest = max(folder.path.iterdir())
    newest.write_bytes(damage(newest.read_bytes()))
    resumed = train(manifest, corpus, saving, folder=folder)
    assert resumed.resumed_at_step == 9
    assert resumed.checkpoint.weights == result.checkpoint.weights


def test_a_half_written_state_does_not_exist(
    manifest: TrainingManifest, corpus: Corpus, saving: TrainConfig, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    stop(manifest, corpus, saving, folder, 7)
    (folder.path / ".000000099-00.safetensors.part").write_bytes(b"half")
    found = folder.load()
    assert found is not None
    assert found.num_steps == 6
    folder.clear()


def test_another_build_is_named(
    manifest: TrainingManifest,
    corpus: Corpus,
    saving: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = RunFolder(tmp_path / "run")
    stop(manifest, corpus, saving, folder, 5)
    monkeypatch.setattr(loop, "build_facts", lambda: {"torch": "another"})
    (note,) = train(manifest, corpus, saving, folder=folder).notes
    assert "gone on at step 3 on another build" in note


def test_curves_after_a_resumption_are_told_once(
    manifest: TrainingManifest, corpus: Corpus, saving: TrainConfig, tmp_path: Path
) -> None:
    """What an evaluation before the stop told is not told again: whoever logs sees no step twice."""
    folder, steps = RunFolder(tmp_path / "run"), list[int]()
    with pytest.raises(StoppedError, match="at step"):
        train(
            manifest,
            corpus,
            saving,
            folder=folder,
            progress=stopped_at(10),
            on_metrics=lambda point: steps.append(point.num_steps),
        )
    resumed = train(manifest, corpus, saving, folder=folder, on_metrics=lambda point: steps.append(point.num_steps))
    assert steps == [point.num_steps for point in resumed.curves]

"""The loader deals the sampler's steps, ahead or not, and its state is that of the steps handed out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.sampler import MaskedWindow, Sampler
from mediafm.data.sequences import TitleSequence
from mediafm.errors import StoreError
from mediafm.train import threads
from mediafm.train.config import TrainConfig
from mediafm.train.loader import Loader, PreparedStep
from mediafm.train.loop import train
from mediafm.train.trainer import Trainer

NUM_STEPS = 9
LOADER = "mediafm-loader"


@pytest.fixture
def trainer(manifest: TrainingManifest, corpus: Corpus, config: TrainConfig):
    trainer = Trainer(manifest, corpus, config, np.zeros(corpus.fused_dim, np.float32), "cpu")
    yield trainer
    trainer.close()


@pytest.fixture
def sampler(manifest: TrainingManifest, config: TrainConfig) -> Sampler:
    masks = config.objective.masks
    return Sampler(manifest, seed=0, shots_per_step=200, masks=masks, metadata_drop_share=0.3)


@pytest.fixture
def running():
    """Loaders' threads begun since the test did: the names of those that still run."""
    before = set(threading.enumerate())
    return lambda: [each.name for each in set(threading.enumerate()) - before if each.name.startswith(LOADER)]


def seen(step: PreparedStep) -> list[tuple[object, ...]]:
    return [(item.window, item.is_masked.tolist(), item.is_metadata_dropped) for item in step.windows]


@pytest.mark.parametrize("is_ahead", [False, True])
def test_the_steps_are_the_samplers_and_the_state_is_behind_the_last_one(trainer, sampler, manifest, is_ahead):
    alone = Sampler(manifest, seed=0, shots_per_step=200, masks=trainer.config.objective.masks, metadata_drop_share=0.3)
    loader = Loader(sampler, trainer.prepared, is_ahead=is_ahead)
    for _ in range(NUM_STEPS):
        assert loader.state == alone.state
        step = loader.next()
        assert seen(step) == seen(trainer.prepared(alone.next_step()))
        assert loader.state == alone.state
    loader.close()


def test_ahead_and_within_give_the_same_tensors(trainer, sampler, manifest):
    within = Loader(trainer.loader._sampler, trainer.prepared, is_ahead=False)
    twin = Trainer(manifest, trainer.corpus, trainer.config, np.zeros(trainer.corpus.fused_dim, np.float32), "cpu")
    ahead = Loader(twin.loader._sampler, twin.prepared, is_ahead=True)
    for _ in range(NUM_STEPS):
        one, other = within.next(), ahead.next()
        assert one.counts == other.counts
        for mine, yours in zip(one.batches, other.batches, strict=True):
            assert torch.equal(mine.rows_N, yours.rows_N)
            assert torch.equal(mine.fused_NE, yours.fused_NE)
            assert torch.equal(mine.is_hidden_N3, yours.is_hidden_N3)
    ahead.close()


@pytest.mark.parametrize("is_ahead", [False, True])
def test_a_restored_loader_deals_what_followed(trainer, sampler, is_ahead):
    loader = Loader(sampler, trainer.prepared, is_ahead=is_ahead)
    for _ in range(3):
        loader.next()
    state, following = loader.state, [seen(loader.next()) for _ in range(4)]
    loader.restore(state)
    assert loader.state == state
    assert [seen(loader.next()) for _ in range(4)] == following
    loader.close()


def test_an_error_comes_with_the_step_that_it_is_of_and_is_forgotten_by_going_back(trainer, sampler):
    calls = []

    def third_fails(windows: Sequence[MaskedWindow]) -> PreparedStep:
        calls.append(windows)
        if len(calls) == 3:
            raise StoreError("no bytes", rule="bytes", where=windows[0].window.title_id)
        return trainer.prepared(windows)

    loader = Loader(sampler, third_fails, is_ahead=True)
    loader.next()
    loader.next()
    state = loader.state
    with pytest.raises(StoreError, match=r"title-0.*no bytes"):
        loader.next()
    loader.restore(state)
    assert seen(loader.next()) == seen(trainer.prepared(calls[2]))
    loader.close()


def test_a_vector_that_cannot_be_read_is_named(trainer, monkeypatch):
    read = Corpus.title
    monkeypatch.setattr(Corpus, "title", lambda self, title_id: TornTitle(read(self, title_id)))
    with pytest.raises(StoreError, match=r"title title-000\d\d, shots 0 to \d+: OSError.*Input/output error"):
        trainer.take_step(1.0)


class TornTitle:
    """A title whose vectors lie on a bad part of the disk."""

    def __init__(self, sequence: TitleSequence) -> None:
        self.is_present, self.metadata = sequence.is_present, sequence.metadata

    @property
    def fused(self) -> None:
        raise OSError(5, "Input/output error")


def test_a_run_leaves_no_thread_however_it_ends(running, manifest, corpus, config):
    train(manifest, corpus, replace(config, max_steps=2))
    assert running() == []

    def stop(num_steps: int, bound: int) -> None:
        assert running() or threads.num_cores() == 1
        raise KeyboardInterrupt("by hand")

    with pytest.raises(KeyboardInterrupt, match="by hand"):
        train(manifest, corpus, config, progress=stop)
    assert running() == []


def test_a_closed_loader_goes_on_by_itself(running, trainer, sampler):
    loader = Loader(sampler, trainer.prepared, is_ahead=True)
    loader.next()
    state = loader.state
    following = seen(loader.next())
    loader.restore(state)
    loader.close()
    assert running() == []
    assert seen(loader.next()) == following


def test_the_wait_is_counted_and_stands_in_the_curves(result):
    assert all(0.0 <= point.loader_stall_share < 1.0 for point in result.curves)
    assert "loader_stall_share" in result.curves[0].metrics()

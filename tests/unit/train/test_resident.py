"""The corpus on the device: batches that take their rows there are those that are copied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm.objective.masking import MaskConfig
from mediafm.train import resident, trainer
from mediafm.train.resident import copied, fits, resident_vectors
from mediafm.train.trainer import Trainer

CPU = torch.device("cpu")


@pytest.fixture
def hiding(config):
    """An objective that also hides single blocks, so that vectors are changed on the device."""
    masks = MaskConfig(modality_share=0.2, modality_drop_share=0.3)
    return replace(config, objective=replace(config.objective, masks=masks))


def make(manifest, corpus, config):
    return Trainer(manifest, corpus, config, np.zeros(corpus.fused_dim, np.float32), "cpu")


@pytest.fixture
def twins(manifest, corpus, hiding, monkeypatch):
    """A trainer that copies each batch, and one whose device, here the CPU, holds the corpus."""
    plain = make(manifest, corpus, hiding)
    monkeypatch.setattr(trainer, "resident_vectors", lambda corpus, device, share: copied(corpus, device))
    held = make(manifest, corpus, hiding)
    yield plain, held
    plain.close()
    held.close()


def test_batches_are_equal_bit_by_bit(twins):
    plain, held = twins
    for _ in range(6):
        windows = plain.loader.next().windows
        (one,), (other,) = plain.prepared(windows).batches, held.prepared(windows).batches
        assert other.fused_NE is None
        mine, yours = one.on(CPU), other.on(CPU, held._resident_CE)
        assert torch.equal(mine.true_NE, yours.true_NE)
        assert torch.equal(mine.shots.fused_NE, yours.shots.fused_NE)
        assert not torch.equal(mine.shots.fused_NE, mine.true_NE)


def test_steps_and_predictions_are_equal_bit_by_bit(twins):
    plain, held = twins
    for _ in range(3):
        assert plain.take_step(1.0) == held.take_step(1.0)
    for one, other in zip(plain.model.parameters(), held.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_corpus_is_copied_whole_part_by_part(corpus, monkeypatch):
    monkeypatch.setattr(resident, "COPY_ROWS", 7)
    assert np.array_equal(copied(corpus, CPU).numpy(), corpus.vectors)


def test_a_batch_on_its_way_to_another_device_stays_float16(manifest, corpus, config):
    plain = make(manifest, corpus, config)
    windows = plain.loader.next().windows
    plain.device = torch.device("meta")
    (batch,) = plain.prepared(windows).batches
    assert batch.fused_NE.dtype == torch.float16
    assert batch.on(torch.device("meta")).true_NE.dtype == torch.float32
    assert torch.equal(batch.on(CPU).true_NE, plain.prepared(windows).batches[0].on(CPU).true_NE)
    plain.close()


def test_it_stays_where_it_is_unless_it_fits_with_a_margin(corpus):
    assert fits(50, 100, 0.5)
    assert not fits(51, 100, 0.5)
    assert not fits(1, 100, 0.0)
    assert resident_vectors(corpus, CPU, 1.0) is None

from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm.data.sequences import TitleSequence
from mediafm.data.synthetic import SyntheticSettings, draw_catalog
from mediafm.embedder import Embedder, clip_sequence, contextualize
from mediafm.errors import LineageMismatchError, TrainingError
from mediafm.model import presets
from mediafm.model.mediafm import build
from mediafm.train.checkpoint import make_checkpoint

torch.set_num_threads(1)
CATALOG = draw_catalog(SyntheticSettings(num_titles=3, min_shots=5, max_shots=30, width=8))
CONFIG = replace(presets.tiny(24, 8), max_shots=16, has_zero_init=False)


def checkpoint(model=None, export_layers=(1, 2)):
    return make_checkpoint(model or build(CONFIG, 0), export_layers, CATALOG.space.as_json(), "0" * 64, {}, {})


@pytest.mark.parametrize("num_shots", [1, 5, 16, 17, 40])
def test_one_unit_vector_a_shot_and_one_for_the_title(num_shots):
    whole = np.concatenate([item.fused for item in CATALOG.sequences.values()])
    present = np.concatenate([item.is_present for item in CATALOG.sequences.values()])
    sequence = TitleSequence("t", np.resize(whole, (num_shots, 24)), np.resize(present, (num_shots, 3)), None)
    found = contextualize(checkpoint(), sequence)
    assert found.shots.shape == (num_shots, CONFIG.hidden_dim)
    assert found.shots.dtype == found.title.dtype == np.float32
    assert np.allclose(np.linalg.norm(found.shots, axis=1), 1, atol=1e-5)
    mean = found.shots.mean(axis=0)
    assert np.allclose(found.title, mean / np.linalg.norm(mean), atol=1e-5)


def test_the_same_title_gives_the_same_vectors_whatever_came_before():
    embedder = Embedder(checkpoint())
    one, other = CATALOG.sequences["title-00000"], CATALOG.sequences["title-00001"]
    first = embedder.embed(one).shots
    embedder.embed(other)
    assert np.array_equal(embedder.embed(one).shots, first)
    assert np.array_equal(contextualize(checkpoint(), one).shots, first)


def test_exported_blocks_are_the_checkpoints():
    sequence = CATALOG.sequences["title-00000"]
    one, both = (contextualize(checkpoint(export_layers=layers), sequence).shots for layers in ((1,), (1, 2)))
    assert not np.allclose(one, both, atol=1e-3)


def test_other_widths_are_refused():
    sequence = CATALOG.sequences["title-00000"]
    with pytest.raises(LineageMismatchError, match=r"widths \{'fused': 23"):
        contextualize(checkpoint(), replace(sequence, fused=sequence.fused[:, :23]))
    with pytest.raises(LineageMismatchError, match="'metadata': 3"):
        contextualize(checkpoint(), replace(sequence, metadata=np.zeros(3, np.float32)))
    empty = replace(sequence, fused=sequence.fused[:0], is_present=sequence.is_present[:0])
    with pytest.raises(LineageMismatchError, match="at least one shot"):
        contextualize(checkpoint(), empty)


def test_a_broken_network_is_told_not_exported():
    model = build(CONFIG, 0)
    with torch.no_grad():
        model.blocks[0].attention.value.weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match="one finite vector a shot"):
        contextualize(checkpoint(model), CATALOG.sequences["title-00000"])
    with pytest.raises(TrainingError, match="one finite vector a shot"):
        Embedder(checkpoint(model)).embed_many([CATALOG.sequences["title-00000"]])


def test_many_clips_are_what_each_is_alone():
    embedder = Embedder(checkpoint())
    rng = np.random.default_rng(0)
    whole = list(CATALOG.sequences.values())
    clips = [clip_sequence(one, np.arange(start, start + 5)) for one in whole for start in range(one.num_shots - 5)]
    clips = [clips[number] for number in rng.permutation(len(clips))] + [replace(whole[0], metadata=None)]
    for limit in (1, 30, 4096):
        found = embedder.embed_many(iter(clips), limit)
        for clip, one in zip(clips, found, strict=True):
            alone = embedder.embed(clip)
            np.testing.assert_allclose(one.shots, alone.shots, atol=2e-5)
            np.testing.assert_allclose(one.title, alone.title, atol=2e-5)
    assert embedder.embed_many([]) == []


def test_a_clip_alone_is_another_thing_than_in_its_title():
    embedder, sequence = Embedder(checkpoint()), CATALOG.sequences["title-00000"]
    rows = [1, 2, 4]
    clip = clip_sequence(sequence, rows)
    assert np.array_equal(clip.fused, sequence.fused[rows])
    assert clip.metadata is sequence.metadata
    inside, alone = embedder.embed(sequence).shots[rows], embedder.embed(clip).shots
    assert np.abs(inside - alone).max() > 1e-3
    everything = clip_sequence(sequence, range(sequence.num_shots))
    assert np.array_equal(embedder.embed(everything).shots, embedder.embed(sequence).shots)


@pytest.mark.parametrize("rows", [[], [-1], [2, 2], [3, 1], [0, 1000]])
def test_rows_that_are_no_clip_are_refused(rows):
    with pytest.raises(LineageMismatchError, match="each once, in order"):
        clip_sequence(CATALOG.sequences["title-00000"], rows)

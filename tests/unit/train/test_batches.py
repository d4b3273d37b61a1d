"""What a reader is shown equals what the fusion makes of the blocks that are left, and the truth stays as it is."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.config import FusionSettings, TrainingSettings
from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import Window, build_manifest
from mediafm.data.sampler import MaskedWindow
from mediafm.data.sequences import TitleSequence
from mediafm.data.synthetic import SyntheticSettings, draw_catalog
from mediafm.fusion import Space, fuse
from mediafm.model.config import ModelConfig
from mediafm.model.mediafm import build
from mediafm.objective.masking import Mask
from mediafm.train.batches import collate, counts_of, in_micro_steps, title_tensors
from mediafm.train.trainer import block_slices
from mediafm.types import Modality

WIDTHS = {Modality.VIDEO: 5, Modality.AUDIO: 3, Modality.TEXT: 4}
METADATA = 4
HALF = 2e-3
"""Two roundings to float16 of numbers below 1, and the division by what is left of a row."""


class Drawn:
    """Titles with blocks that are kept, so that any part of a shot can be fused anew."""

    def __init__(self, tmp_path):
        rng = np.random.default_rng(0)
        settings = FusionSettings(video_weight=1.0, audio_weight=2.0, text_weight=0.5)
        encoders = {modality: {"name": "drawn", "width": width} for modality, width in WIDTHS.items()}
        self.space = Space.create(encoders, settings, ("title",))
        plain = draw_catalog(SyntheticSettings(num_titles=6, min_shots=3, max_shots=9))
        self.titles, self.blocks, self.present, self.sequences = plain.titles, {}, {}, {}
        for number, title in enumerate(plain.titles):
            present = rng.random((title.num_shots, 3)) > 0.3
            present[~present.any(axis=1), number % 3] = True
            blocks = {modality: rng.normal(size=(title.num_shots, width)) for modality, width in WIDTHS.items()}
            metadata = rng.normal(size=METADATA).astype(np.float32) if number % 2 else None
            self.blocks[title.title_id], self.present[title.title_id] = blocks, present
            fused = self.fused(title.title_id, present).astype(np.float16)
            self.sequences[title.title_id] = TitleSequence(title.title_id, fused, present, metadata)
        self.manifest = build_manifest(plain.titles, self.space.as_json(), TrainingSettings())
        self.corpus = open_corpus(self.manifest, lambda title: self.sequences[title.title_id], tmp_path)
        self.slices = block_slices(self.manifest)

    def fused(self, title_id, present):
        flags = {modality: present[:, column] for column, modality in enumerate(Modality)}
        return fuse(self.space, self.blocks[title_id], flags).vectors

    def windows(self, seed, has_teacher=True):
        rng = np.random.default_rng(seed)
        found = []
        for title in self.titles:
            num_shots = title.num_shots
            start = int(rng.integers(num_shots))
            end = int(rng.integers(start, num_shots)) + 1
            is_masked = rng.random(end - start) < 0.3
            is_hidden = (rng.random((end - start, 3)) < 0.3) | is_masked[:, None]
            mask = Mask(is_masked, is_hidden, rng.permutation([True, False, False]) & (rng.random() < 0.5))
            teacher = rng.permutation([True, rng.random() < 0.5, False]) if has_teacher else None
            found.append(MaskedWindow(Window(title.title_id, start, end), mask, bool(rng.random() < 0.5), teacher))
        return found

    def collated(self, windows):
        return collate(windows, self.corpus, METADATA, self.slices)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return Drawn(tmp_path_factory.mktemp("drawn"))


def check_reader(drawn, windows, shots, unseen):
    """Every shot of `shots` is what the fusion makes of what is left, or masked where nothing is."""
    start = 0
    for item, unseen_n3 in zip(windows, unseen, strict=True):
        title_id, where = item.window.title_id, slice(item.window.start, item.window.end)
        rows = slice(start, start + item.window.num_shots)
        start = rows.stop
        present = drawn.present[title_id]
        visible = present[where] & ~unseen_n3
        is_masked = shots.is_masked_N[rows].numpy()
        assert np.array_equal(is_masked, ~visible.any(axis=1))
        left = present.copy()
        left[where] = visible
        expected = drawn.fused(title_id, left)[where]
        seen = shots.fused_NE[rows].float().numpy()
        assert np.allclose(seen[~is_masked], expected[~is_masked], atol=HALF)
        assert np.array_equal(shots.is_present_N3[rows].numpy()[~is_masked], visible[~is_masked])
        # Shots that lost nothing are as they were, to the bit.
        is_whole = (visible == present[where]).all(axis=1)
        stored = drawn.sequences[title_id].fused[where].astype(np.float32)
        assert np.array_equal(seen[is_whole], stored[is_whole])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_hidden_or_dropped_block_is_as_the_fusion_gives_for_a_shot_without_it(drawn, seed):
    windows = drawn.windows(seed)
    batch = drawn.collated(windows)
    student = [item.mask.is_hidden | item.mask.is_dropped for item in windows]
    check_reader(drawn, windows, batch.shots, student)
    teacher = [np.broadcast_to(item.is_unread_by_teacher, item.mask.is_hidden.shape) for item in windows]
    check_reader(drawn, windows, batch.teacher, teacher)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_truth_is_untouched_and_flags_say_what_is_to_be_predicted(drawn, seed):
    windows = drawn.windows(seed)
    batch = drawn.collated(windows)
    parts = [(drawn.sequences[item.window.title_id], slice(item.window.start, item.window.end)) for item in windows]
    true = np.concatenate([sequence.fused[where] for sequence, where in parts]).astype(np.float32)
    present = np.concatenate([sequence.is_present[where] for sequence, where in parts])
    hidden = np.concatenate([item.mask.is_hidden for item in windows])
    assert np.array_equal(batch.true_NE.numpy(), true)
    assert np.array_equal(batch.is_present_N3.numpy(), present)
    assert np.array_equal(batch.is_hidden_N3.numpy(), hidden & present)
    assert np.array_equal(batch.is_masked_N.numpy(), np.concatenate([item.is_masked for item in windows]))
    assert batch.target_rows().tolist() == np.flatnonzero((hidden & present).any(axis=1)).tolist()


def test_metadata_is_read_by_both_unless_dropped_or_absent(drawn):
    windows = drawn.windows(3)
    batch = drawn.collated(windows)
    for number, item in enumerate(windows):
        metadata = drawn.sequences[item.window.title_id].metadata
        has_metadata = metadata is not None and not item.is_metadata_dropped
        for shots in (batch.shots, batch.teacher):
            assert bool(shots.has_metadata_B[number]) == has_metadata
            if has_metadata:
                assert np.array_equal(shots.metadata_BM[number].numpy(), metadata)
    assert 0 < int(batch.shots.has_metadata_B.sum()) < len(windows)


def test_without_a_teacher_there_is_none(drawn):
    assert drawn.collated(drawn.windows(0, has_teacher=False)).teacher is None


def test_what_is_hidden_does_not_leak_through_the_model(drawn, tmp_path):
    """Another truth under the mask, and the model's outputs are the same: neither vectors nor flags get through."""
    windows = drawn.windows(11)
    rng = np.random.default_rng(5)
    changed = {}
    for title in drawn.titles:
        (item,) = (item for item in windows if item.window.title_id == title.title_id)
        where = slice(item.window.start, item.window.end)
        unseen = item.mask.is_hidden | item.mask.is_dropped
        present = drawn.present[title.title_id].copy()
        present[where] = np.where(unseen, rng.random(unseen.shape) < 0.5, present[where])
        # A shot keeps one modality: of what is hidden, or it would not be in a corpus.
        empty = ~present.any(axis=1)
        present[empty] = drawn.present[title.title_id][empty]
        blocks = {modality: block.copy() for modality, block in drawn.blocks[title.title_id].items()}
        for column, modality in enumerate(Modality):
            blocks[modality][where][unseen[:, column]] = rng.normal(size=(unseen[:, column].sum(), WIDTHS[modality]))
        flags = {modality: present[:, column] for column, modality in enumerate(Modality)}
        fused = fuse(drawn.space, blocks, flags).vectors.astype(np.float16)
        changed[title.title_id] = replace(drawn.sequences[title.title_id], fused=fused, is_present=present)
    other = open_corpus(drawn.manifest, lambda title: changed[title.title_id], tmp_path)
    config = ModelConfig(
        fused_dim=12, metadata_dim=METADATA, hidden_dim=16, num_layers=2, num_heads=2, feedforward_dim=32
    )
    model = build(replace(config, has_zero_init=False), seed=1)
    before = drawn.collated(windows)
    after = collate(windows, other, METADATA, drawn.slices)
    assert not torch.equal(before.true_NE, after.true_NE)
    with torch.no_grad():
        for one, two in zip(model.shot_layers(before.shots), model.shot_layers(after.shots), strict=True):
            assert torch.allclose(one, two, atol=0.05), (one - two).abs().max()
        # As measure of that tolerance: seen, the other truth moves the outputs far more.
        seen = [replace(item, mask=Mask.whole(np.zeros_like(item.is_masked))) for item in windows]
        open_eyes = [
            model.shot_layers(collate(seen, corpus, METADATA, drawn.slices).shots)[-1]
            for corpus in (drawn.corpus, other)
        ]
    assert (open_eyes[0] - open_eyes[1]).abs().max() > 1.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_counts_are_those_of_looking_at_every_block(drawn, seed):
    windows = drawn.windows(seed)
    num_shots = num_masked = num_targets = 0
    present, hidden, masked = [0, 0, 0], [0, 0, 0], [0, 0, 0]
    for item in windows:
        for place in range(item.window.num_shots):
            flags = drawn.present[item.window.title_id][item.window.start + place]
            to_predict = [bool(flags[i]) and bool(item.mask.is_hidden[place, i]) for i in range(3)]
            num_shots += 1
            num_masked += bool(item.is_masked[place])
            num_targets += any(to_predict)
            present = [count + int(flag) for count, flag in zip(present, flags, strict=True)]
            hidden = [count + flag for count, flag in zip(hidden, to_predict, strict=True)]
            if item.is_masked[place]:
                masked = [count + int(flag) for count, flag in zip(masked, flags, strict=True)]
    expected = {
        "num_shots": num_shots,
        "num_masked": num_masked,
        "num_targets": num_targets,
        "num_hidden": tuple(hidden),
        "num_present": tuple(present),
        "num_masked_present": tuple(masked),
    }
    counts = asdict(counts_of(windows, drawn.corpus))
    assert counts == {name: expected[name] for name in counts}


@pytest.mark.parametrize("size", [1, 7, 12, 1000])
def test_micro_steps_hold_every_window_once_and_keep_to_their_size(drawn, size):
    windows = drawn.windows(2)
    runs = list(in_micro_steps(windows, size))
    assert sorted(item.window.title_id for run in runs for item in run) == [title.title_id for title in drawn.titles]
    assert all(len(run) == 1 or sum(item.window.num_shots for item in run) <= size for run in runs)


def test_a_whole_title_is_copied_as_it_is(drawn):
    for title in drawn.titles:
        sequence = drawn.corpus.title(title.title_id)
        fused, is_present, metadata = title_tensors(sequence)
        assert (fused.dtype, is_present.dtype) == (torch.float32, torch.bool)
        assert np.array_equal(fused.numpy(), sequence.fused)
        assert np.array_equal(is_present.numpy(), sequence.is_present)
        assert (metadata is None) == (sequence.metadata is None)
        assert metadata is None or np.array_equal(metadata.numpy(), sequence.metadata)
        is_present.logical_not_()
        assert np.array_equal(~is_present.numpy(), drawn.corpus.title(title.title_id).is_present)

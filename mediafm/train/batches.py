"""From windows of the corpus to packed tensors, with the truth that was hidden."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mediafm.data.corpus import Corpus
from mediafm.data.sampler import MaskedWindow
from mediafm.model.batch import PackedShots, pack
from mediafm.objective.batch import MaskedBatch, StepCounts

Flags = NDArray[np.bool_]
Slices = tuple[slice, slice, slice]


def collate(windows: Sequence[MaskedWindow], corpus: Corpus, metadata_dim: int, slices: Slices) -> MaskedBatch:
    """The windows as one batch, float32 on the CPU.

    Args:
        metadata_dim: M, that the model reads.
        slices: the modalities' blocks of a fused vector.
    """
    rows = [_rows(item, corpus) for item in windows]
    true_NE = torch.cat([torch.from_numpy(fused.astype(np.float32)) for fused, _ in rows])
    present_N3 = np.concatenate([present for _, present in rows])
    hidden_N3 = np.concatenate([item.mask.is_hidden for item in windows]) & present_N3
    unread_N3 = _per_shot(windows, [item.mask.is_dropped for item in windows])
    metadata = [_metadata(item, corpus) for item in windows]
    teacher = None
    if windows[0].is_unread_by_teacher is not None:
        unseen_N3 = _per_shot(windows, [_told(item.is_unread_by_teacher) for item in windows])
        teacher = _seen(windows, true_NE, present_N3, unseen_N3, metadata, metadata_dim, slices)
    return MaskedBatch(
        shots=_seen(windows, true_NE, present_N3, hidden_N3 | unread_N3, metadata, metadata_dim, slices),
        true_NE=true_NE,
        is_present_N3=torch.from_numpy(present_N3),
        is_hidden_N3=torch.from_numpy(hidden_N3),
        is_masked_N=torch.from_numpy(np.concatenate([item.is_masked for item in windows])),
        teacher=teacher,
    )


def counts_of(windows: Sequence[MaskedWindow], corpus: Corpus) -> StepCounts:
    """The counts of a whole step."""
    present, hidden = np.zeros(3, np.int64), np.zeros(3, np.int64)
    num_targets = 0
    for item in windows:
        window = item.window
        present_n3 = corpus.title(window.title_id).is_present[window.start : window.end]
        hidden_n3 = item.mask.is_hidden & present_n3
        present += present_n3.sum(axis=0)
        hidden += hidden_n3.sum(axis=0)
        num_targets += int(hidden_n3.any(axis=1).sum())
    return StepCounts(
        num_shots=sum(item.window.num_shots for item in windows),
        num_masked=sum(int(item.is_masked.sum()) for item in windows),
        num_targets=num_targets,
        num_hidden=(int(hidden[0]), int(hidden[1]), int(hidden[2])),
        num_present=(int(present[0]), int(present[1]), int(present[2])),
    )


def in_micro_steps(windows: Sequence[MaskedWindow], shots_per_micro_step: int) -> Iterator[list[MaskedWindow]]:
    """A step's windows, dealt into runs of about so many shots, longest first so that a run's lengths are alike."""
    run: list[MaskedWindow] = []
    num_shots = 0
    for item in sorted(windows, key=lambda item: -item.window.num_shots):
        if run and num_shots + item.window.num_shots > shots_per_micro_step:
            yield run
            run, num_shots = [], 0
        run.append(item)
        num_shots += item.window.num_shots
    if run:
        yield run


def _rows(item: MaskedWindow, corpus: Corpus) -> tuple[NDArray[np.floating], Flags]:
    window = item.window
    sequence = corpus.title(window.title_id)
    return sequence.fused[window.start : window.end], sequence.is_present[window.start : window.end]


def _metadata(item: MaskedWindow, corpus: Corpus) -> Tensor | None:
    metadata = corpus.title(item.window.title_id).metadata
    return None if metadata is None or item.is_metadata_dropped else torch.from_numpy(np.array(metadata))


def _per_shot(windows: Sequence[MaskedWindow], flags: Sequence[Flags]) -> Flags:
    """Flags [3] of each window, repeated for its shots: [N, 3]."""
    return np.repeat(np.stack(flags), [item.window.num_shots for item in windows], axis=0)


def _told(flags: Flags | None) -> Flags:
    return np.zeros(3, np.bool_) if flags is None else flags


def _seen(
    windows: Sequence[MaskedWindow],
    true_NE: Tensor,
    present_N3: Flags,
    unseen_N3: Flags,
    metadata: Sequence[Tensor | None],
    metadata_dim: int,
    slices: Slices,
) -> PackedShots:
    """What a reader sees: shots without anything visible are masked; of others the unseen blocks are as if absent."""
    visible_N3 = present_N3 & ~unseen_N3
    is_masked_N: Flags = np.asarray(~visible_N3.any(axis=1), np.bool_)
    is_partial_N: Flags = np.asarray(~is_masked_N & (visible_N3 != present_N3).any(axis=1), np.bool_)
    fused_NE = without_blocks(true_NE, visible_N3, is_partial_N, slices) if is_partial_N.any() else true_NE
    lengths = [item.window.num_shots for item in windows]
    sequences = zip(
        torch.split(fused_NE, lengths),
        torch.split(torch.from_numpy(visible_N3 | (is_masked_N[:, None] & present_N3)), lengths),
        metadata,
        torch.split(torch.from_numpy(is_masked_N), lengths),
        strict=True,
    )
    return pack(list(sequences), metadata_dim)


def without_blocks(true_NE: Tensor, visible_N3: Flags, is_partial_N: Flags, slices: Slices) -> Tensor:
    """A copy in which the rows of `is_partial_N` are what the fusion would make of their visible blocks alone."""
    rows = torch.from_numpy(np.flatnonzero(is_partial_N))
    seen_RE = true_NE[rows]
    for number, where in enumerate(slices):
        seen_RE[:, where] *= torch.from_numpy(visible_N3[is_partial_N, number].astype(np.float32))[:, None]
    fused_NE = true_NE.clone()
    fused_NE[rows] = torch.nn.functional.normalize(seen_RE, dim=1)
    return fused_NE

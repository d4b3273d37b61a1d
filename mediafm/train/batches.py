"""From windows of the corpus to packed tensors, with the truth that was hidden.

In two parts, so that the first may run ahead on a thread of its own while the network is busy: `gather` reads the
corpus and leaves a `HostBatch` on the CPU; `HostBatch.on` takes it to the device and hides there what is to be hidden.

B sequences, N shots of all sequences together, R shots that are shown in part, E fused width, M metadata width, C shots
of the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mediafm.data.corpus import Corpus
from mediafm.data.sampler import MaskedWindow
from mediafm.data.sequences import TitleSequence
from mediafm.errors import StoreError
from mediafm.model.batch import PackedShots
from mediafm.objective.batch import MaskedBatch, StepCounts

Flags = NDArray[np.bool_]
Slices = tuple[slice, slice, slice]
CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Reading:
    """What one reader sees of a batch.

    is_masked_N: shots without anything visible.
    is_present_N3: the flags that it reads: of what it sees, or of a masked shot's truth, which the model hides.
    partial_R: int64; the other shots of which something is not seen.
    visible_R3: float32, 1 for the blocks of those that are seen.
    """

    is_masked_N: Tensor
    is_present_N3: Tensor
    partial_R: Tensor
    visible_R3: Tensor


@dataclass(frozen=True, eq=False)
class HostBatch:
    """A micro-step's batch on the CPU.

    num_shots: of each sequence.
    rows_N: int64; where each shot stands in the corpus.
    fused_NE: the fused vectors; None where the device holds the whole corpus.
    metadata_BM, has_metadata_B: float32 rows, and whether they are to be read.
    is_present_N3, is_hidden_N3, is_masked_N: as in `MaskedBatch`.
    student, teacher: what is seen; no teacher for objectives without one.
    slices: the modalities' blocks of a fused vector.
    """

    num_shots: tuple[int, ...]
    rows_N: Tensor
    fused_NE: Tensor | None
    metadata_BM: Tensor
    has_metadata_B: Tensor
    is_present_N3: Tensor
    is_hidden_N3: Tensor
    is_masked_N: Tensor
    student: Reading
    teacher: Reading | None
    slices: Slices

    def on(self, device: torch.device, resident_CE: Tensor | None = None) -> MaskedBatch:
        """The batch on `device`, vectors float32.

        Args:
            resident_CE: the corpus there, which a batch without vectors takes its rows from.
        """
        fused_NE = self.fused_NE
        if fused_NE is None:
            assert resident_CE is not None, "a batch without vectors is for a resident corpus"
            true_NE = resident_CE.index_select(0, self.rows_N.to(device, non_blocking=True)).float()
        else:
            true_NE = fused_NE.to(device, non_blocking=True).float()
        return MaskedBatch(
            shots=self._seen(self.student, true_NE),
            true_NE=true_NE,
            is_present_N3=self.is_present_N3.to(device, non_blocking=True),
            is_hidden_N3=self.is_hidden_N3.to(device, non_blocking=True),
            is_masked_N=self.is_masked_N.to(device, non_blocking=True),
            teacher=None if self.teacher is None else self._seen(self.teacher, true_NE),
        )

    def _seen(self, reading: Reading, true_NE: Tensor) -> PackedShots:
        device = true_NE.device
        return PackedShots(
            without_blocks(true_NE, reading.partial_R, reading.visible_R3, self.slices),
            reading.is_present_N3.to(device, non_blocking=True),
            self.metadata_BM.to(device, non_blocking=True),
            self.has_metadata_B.to(device, non_blocking=True),
            self.num_shots,
            reading.is_masked_N.to(device, non_blocking=True),
        )


def title_tensors(sequence: TitleSequence) -> tuple[Tensor, Tensor, Tensor | None]:
    """A whole title as `mediafm.model.export.layer_vectors` reads it, copied from what may be a mapped file.

    Returns:
        Fused vectors float32 [n, E], presence bool [n, 3], metadata float32 [M] or None.
    """
    metadata = sequence.metadata
    return (
        torch.from_numpy(sequence.fused.astype(np.float32)),
        torch.from_numpy(np.array(sequence.is_present)),
        None if metadata is None else torch.from_numpy(np.array(metadata, np.float32)),
    )


def collate(windows: Sequence[MaskedWindow], corpus: Corpus, metadata_dim: int, slices: Slices) -> MaskedBatch:
    """The windows as one batch, float32 on the CPU; arguments and errors are those of `gather`."""
    return gather(windows, corpus, metadata_dim, slices).on(CPU)


def gather(
    windows: Sequence[MaskedWindow],
    corpus: Corpus,
    metadata_dim: int,
    slices: Slices,
    device: torch.device = CPU,
    *,
    is_resident: bool = False,
) -> HostBatch:
    """Reads the windows from the corpus.

    Args:
        metadata_dim: M, that the model reads.
        slices: the modalities' blocks of a fused vector.
        device: where the batch goes: for another than the CPU vectors stay float16, half the bytes to copy, and are
            pinned where that is CUDA.
        is_resident: the device holds the corpus, so that no vectors are read.

    Raises:
        StoreError: a title could not be read.
    """
    present_N3 = np.concatenate([_present(item, corpus) for item in windows])
    hidden_N3 = np.concatenate([item.mask.is_hidden for item in windows]) & present_N3
    unread_N3 = _per_shot(windows, [item.mask.is_dropped for item in windows])
    metadata_BM, has_metadata_B = _metadata(windows, corpus, metadata_dim)
    teacher = None
    if windows[0].is_unread_by_teacher is not None:
        teacher = _reading(present_N3, _per_shot(windows, [_told(item.is_unread_by_teacher) for item in windows]))
    return HostBatch(
        num_shots=tuple(item.window.num_shots for item in windows),
        rows_N=torch.cat([torch.arange(*corpus.place(item.window)) for item in windows]),
        fused_NE=None if is_resident else _vectors(windows, corpus, device),
        metadata_BM=metadata_BM,
        has_metadata_B=has_metadata_B,
        is_present_N3=torch.from_numpy(present_N3),
        is_hidden_N3=torch.from_numpy(hidden_N3),
        is_masked_N=torch.from_numpy(np.concatenate([item.is_masked for item in windows])),
        student=_reading(present_N3, hidden_N3 | unread_N3),
        teacher=teacher,
        slices=slices,
    )


def counts_of(windows: Sequence[MaskedWindow], corpus: Corpus) -> StepCounts:
    """The counts of a whole step."""
    present, hidden, masked = (np.zeros(3, np.int64) for _ in range(3))
    num_targets = 0
    for item in windows:
        present_n3 = _present(item, corpus)
        hidden_n3 = item.mask.is_hidden & present_n3
        present += present_n3.sum(axis=0)
        hidden += hidden_n3.sum(axis=0)
        masked += present_n3[item.is_masked].sum(axis=0)
        num_targets += int(hidden_n3.any(axis=1).sum())
    return StepCounts(
        num_shots=sum(item.window.num_shots for item in windows),
        num_masked=sum(int(item.is_masked.sum()) for item in windows),
        num_targets=num_targets,
        num_hidden=_three(hidden),
        num_present=_three(present),
        num_masked_present=_three(masked),
    )


def _three(counts_3: NDArray[np.int64]) -> tuple[int, int, int]:
    return int(counts_3[0]), int(counts_3[1]), int(counts_3[2])


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


def without_blocks(true_NE: Tensor, partial_R: Tensor, visible_R3: Tensor, slices: Slices) -> Tensor:
    """The vectors, in which the rows `partial_R` are what the fusion would make of their visible blocks alone.

    A copy where there are such rows, `true_NE` itself where there are none. `partial_R` and `visible_R3` may be on the
    CPU.
    """
    if not len(partial_R):
        return true_NE
    rows_R = partial_R.to(true_NE.device, non_blocking=True)
    visible_R3 = visible_R3.to(true_NE.device, non_blocking=True)
    seen_RE = true_NE.index_select(0, rows_R)
    for number, where in enumerate(slices):
        seen_RE[:, where] *= visible_R3[:, number, None]
    return true_NE.index_copy(0, rows_R, torch.nn.functional.normalize(seen_RE, dim=1))


def _vectors(windows: Sequence[MaskedWindow], corpus: Corpus, device: torch.device) -> Tensor:
    num_shots = sum(item.window.num_shots for item in windows)
    half_NE = torch.empty(num_shots, corpus.fused_dim, dtype=torch.float16, pin_memory=device.type == "cuda")
    filled, start = half_NE.numpy(), 0
    for item in windows:
        window = item.window
        try:
            filled[start : start + window.num_shots] = corpus.title(window.title_id).fused[window.start : window.end]
        except Exception as error:
            raise StoreError(
                f"{type(error).__name__}: {error}",
                rule="a step's windows can be read",
                where=f"title {window.title_id}, shots {window.start} to {window.end}",
                remedy="Delete the cache folder and look at the disk.",
            ) from error
        start += window.num_shots
    # Widened by torch, which is several times as quick at it as numpy.
    return half_NE.float() if device.type == "cpu" else half_NE


def _metadata(windows: Sequence[MaskedWindow], corpus: Corpus, metadata_dim: int) -> tuple[Tensor, Tensor]:
    rows_BM = np.zeros((len(windows), metadata_dim), np.float32)
    has_metadata_B = np.zeros(len(windows), np.bool_)
    for number, item in enumerate(windows):
        metadata = corpus.title(item.window.title_id).metadata
        if metadata is not None and not item.is_metadata_dropped:
            rows_BM[number], has_metadata_B[number] = metadata, True
    return torch.from_numpy(rows_BM), torch.from_numpy(has_metadata_B)


def _present(item: MaskedWindow, corpus: Corpus) -> Flags:
    return corpus.title(item.window.title_id).is_present[item.window.start : item.window.end]


def _per_shot(windows: Sequence[MaskedWindow], flags: Sequence[Flags]) -> Flags:
    """Flags [3] of each window, repeated for its shots: [N, 3]."""
    return np.repeat(np.stack(flags), [item.window.num_shots for item in windows], axis=0)


def _told(flags: Flags | None) -> Flags:
    return np.zeros(3, np.bool_) if flags is None else flags


def _reading(present_N3: Flags, unseen_N3: Flags) -> Reading:
    """What a reader sees: shots without anything visible are masked; of others the unseen blocks are as if absent."""
    visible_N3 = present_N3 & ~unseen_N3
    is_masked_N: Flags = np.asarray(~visible_N3.any(axis=1), np.bool_)
    partial_R = np.flatnonzero(~is_masked_N & (visible_N3 != present_N3).any(axis=1))
    return Reading(
        is_masked_N=torch.from_numpy(is_masked_N),
        is_present_N3=torch.from_numpy(visible_N3 | (is_masked_N[:, None] & present_N3)),
        partial_R=torch.from_numpy(partial_R),
        visible_R3=torch.from_numpy(visible_N3[partial_R].astype(np.float32)),
    )

"""From windows of the corpus to packed tensors, with the targets that the masked shots are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mediafm.data.corpus import Corpus
from mediafm.data.sampler import MaskedWindow
from mediafm.model.batch import PackedShots, pack


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """A packed batch with its targets.

    shots: what the model sees.
    target_ME: the true fused vectors of the masked shots, in their order, float32.
    """

    shots: PackedShots
    target_ME: Tensor

    def to(self, device: torch.device) -> MaskedBatch:
        return MaskedBatch(self.shots.to(device), self.target_ME.to(device, non_blocking=True))


def collate(windows: Sequence[MaskedWindow], corpus: Corpus, metadata_dim: int) -> MaskedBatch:
    """The windows as one batch, float32 on the CPU."""
    sequences = []
    for item in windows:
        window = item.window
        sequence = corpus.title(window.title_id)
        has_metadata = sequence.metadata is not None and not item.is_metadata_dropped
        sequences.append(
            (
                torch.from_numpy(sequence.fused[window.start : window.end].astype(np.float32)),
                torch.from_numpy(np.array(sequence.is_present[window.start : window.end])),
                torch.from_numpy(np.array(sequence.metadata)) if has_metadata else None,
                torch.from_numpy(item.is_masked),
            )
        )
    shots = pack(sequences, metadata_dim)
    return MaskedBatch(shots, shots.fused_NE[shots.is_masked_N])


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

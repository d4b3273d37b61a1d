"""What an objective sees of a micro-step, and the counts of the whole step that it divides by.

B sequences, N shots of all sequences together, E fused width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mediafm.model.batch import PackedShots


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """A packed batch with the truth that was hidden.

    shots: what the model sees; its `is_masked_N` are the rows without anything visible.
    true_NE: the fused vectors as they are, float32.
    is_present_N3: which modalities a shot truly has.
    is_hidden_N3: modalities to be predicted; True only where present.
    is_masked_N: shots that the mask hides whole.
    teacher: what a teacher sees; None for objectives without one.
    """

    shots: PackedShots
    true_NE: Tensor
    is_present_N3: Tensor
    is_hidden_N3: Tensor
    is_masked_N: Tensor
    teacher: PackedShots | None = None

    def target_rows(self) -> Tensor:
        """The shots of which anything is to be predicted, int64 [M]."""
        return self.is_hidden_N3.any(dim=1).nonzero().squeeze(1)

    def to(self, device: torch.device) -> MaskedBatch:
        """The same batch on `device`."""
        return MaskedBatch(
            self.shots.to(device),
            self.true_NE.to(device, non_blocking=True),
            self.is_present_N3.to(device, non_blocking=True),
            self.is_hidden_N3.to(device, non_blocking=True),
            self.is_masked_N.to(device, non_blocking=True),
            None if self.teacher is None else self.teacher.to(device),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCounts:
    """Counts over the whole global step: all ranks and micro-steps. Sums divided by them add up to means.

    num_shots: all.
    num_masked: hidden whole.
    num_targets: of which anything is to be predicted.
    num_hidden: hidden blocks by modality.
    num_present: present blocks by modality.
    num_masked_present: present blocks of shots that are hidden whole, by modality.
    """

    num_shots: int
    num_masked: int
    num_targets: int
    num_hidden: tuple[int, int, int]
    num_present: tuple[int, int, int]
    num_masked_present: tuple[int, int, int]

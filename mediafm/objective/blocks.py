"""The modalities' blocks of a fused vector, and what they are on average: what "standardised" refers to.

E fused width, W numbers of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

MIN_VARIANCE = 1e-6
"""A modality that never varies must not divide by zero."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Where blocks stand, how the fusion weighs them, and their statistics over training shots.

    slices: of video, audio, text in E.
    weights: of a block in the fused vector of a shot that has every modality.
    mean_E: mean of the weighted unit blocks.
    variances: mean squared distance of a weighted unit block from its mean, by modality.
    """

    slices: tuple[slice, slice, slice]
    weights: tuple[float, float, float]
    mean_E: Tensor
    variances: tuple[float, float, float]

    def targets(self, true_NE: Tensor) -> Tensor:
        """Each block as a unit vector times its weight, [N, E]: the same whatever else the shot has."""
        return torch.cat(
            [
                weight * functional.normalize(true_NE[:, where].float(), dim=-1)
                for where, weight in zip(self.slices, self.weights, strict=True)
            ],
            dim=1,
        )

    def to(self, device: torch.device) -> Blocks:
        return Blocks(self.slices, self.weights, self.mean_E.to(device), self.variances)


def measure(true_NE: Tensor, is_present_N3: Tensor, slices: Sequence[slice], fusion_weights: Sequence[float]) -> Blocks:
    """The blocks' statistics over these shots.

    Args:
        true_NE: float32 fused vectors of training shots.
        is_present_N3: which blocks count.
        slices: of the three blocks.
        fusion_weights: of the fusion rule, before the whole is unit normed.
    """
    length = float(torch.tensor(fusion_weights, dtype=torch.float64).norm())
    weights = tuple(float(weight) / length for weight in fusion_weights)
    plain = Blocks(tuple(slices), weights, torch.zeros(true_NE.shape[1]), (1.0, 1.0, 1.0))  # type: ignore[arg-type]
    targets_NE = plain.targets(true_NE)
    mean_E, variances = torch.zeros(true_NE.shape[1]), []
    for number, where in enumerate(plain.slices):
        rows = targets_NE[is_present_N3[:, number]][:, where].double()
        mean = rows.mean(0) if len(rows) else torch.zeros(where.stop - where.start, dtype=torch.float64)
        mean_E[where] = mean.float()
        variance = float((rows - mean).square().sum(1).mean()) if len(rows) else 1.0
        variances.append(max(variance, MIN_VARIANCE))
    return Blocks(plain.slices, plain.weights, mean_E, tuple(variances))  # type: ignore[arg-type]

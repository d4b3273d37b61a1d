"""Masked shot modelling: predict the fused vector of each masked shot.

Source: Netflix, "MediaFM" (23 February 2026): cosine distance at the masked positions. Our choices: float32 whatever
the model computes in, and the sum over masked shots divided by their number in the *whole* step (all micro-steps and
ranks), so that cutting a step into micro-steps moves nothing.

M masked shots, E fused width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cosine_distances(predicted_ME: Tensor, target_ME: Tensor) -> Tensor:
    """1 - cosine of each row, float32 [M], in [0, 2]; a zero row has distance 1."""
    predicted_ME, target_ME = predicted_ME.float(), target_ME.float()
    return 1.0 - functional.cosine_similarity(predicted_ME, target_ME, dim=-1, eps=1e-8)


def msm_loss(predicted_ME: Tensor, target_ME: Tensor, num_masked_in_step: int) -> Tensor:
    """A micro-step's share of the step's loss, a float32 scalar; a step's shares add up to its mean distance."""
    with torch.autocast(predicted_ME.device.type, enabled=False):
        return cosine_distances(predicted_ME, target_ME).sum() / num_masked_in_step

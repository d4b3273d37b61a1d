"""Masked shot modelling: predict what is hidden of a shot.

Source: Netflix, "MediaFM" (23 February 2026): cosine distance to the fused vector at the masked positions. Our choices:
float32 whatever the model computes in, and the sum over masked shots divided by their number in the *whole* step (all
micro-steps and ranks), so that cutting a step into micro-steps moves nothing. The options and their sources are in
`mediafm.objective.config`, `masking` and `terms`; with all of them off this is the published objective.

M rows, N shots, E fused width, D model width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mediafm.model.mediafm import MediaFM
from mediafm.objective.batch import MaskedBatch, StepCounts
from mediafm.objective.blocks import Blocks
from mediafm.objective.config import ObjectiveConfig
from mediafm.objective.objective import Objective, Terms
from mediafm.objective.surroundings import Surroundings
from mediafm.objective.terms import (
    contrast,
    cosine_distances,
    mean_over_modalities,
    spread_penalty,
    standardised_errors,
)


class MaskedShots(Objective):
    """The `msm` family."""

    def __init__(self, config: ObjectiveConfig, blocks: Blocks, hidden_dim: int) -> None:
        super().__init__()
        self.config = config
        self.blocks = blocks
        self.surroundings = Surroundings(config, blocks, hidden_dim) if _reads_exported(config) else None

    def terms(self, model: MediaFM, batch: MaskedBatch, counts: StepCounts) -> Terms:
        rows_M = batch.target_rows()
        layers = model.shot_layers(batch.shots) if self._needs_layers() else None
        predicted_ME = model(batch.shots) if layers is None else model.decode(layers[-1].index_select(0, rows_M))
        found: dict[str, tuple[float, Tensor]] = {}
        with torch.autocast(predicted_ME.device.type, enabled=False):
            found["masked"] = (1.0, self._hidden(predicted_ME, batch, rows_M, counts))
            if self.config.contrast_weight > 0:
                errors_M = contrast(predicted_ME, batch.true_NE, rows_M, self.config.contrast_temperature)
                found["contrast"] = (self.config.contrast_weight, errors_M.sum() / counts.num_targets)
            if layers is not None and self.surroundings is not None:
                found |= self.surroundings.terms(exported(layers), batch, counts)
            if layers is not None and self.config.spread_weight > 0:
                share = len(batch.true_NE) / counts.num_shots
                found["spread"] = (self.config.spread_weight, share * spread_penalty(exported(layers)))
        return found

    def _needs_layers(self) -> bool:
        """Whether more is read than the last block at shots that are masked whole."""
        masks = self.config.masks
        has_parts = masks.modality_share > 0 or masks.modality_drop_share > 0
        return has_parts or self.surroundings is not None or self.config.spread_weight > 0

    def _hidden(self, predicted_ME: Tensor, batch: MaskedBatch, rows_M: Tensor, counts: StepCounts) -> Tensor:
        true_ME = batch.true_NE.index_select(0, rows_M)
        if self.config.target == "fused":
            return msm_loss(predicted_ME, true_ME, counts.num_targets)
        blocks = self.blocks.to(predicted_ME.device)
        errors_M3 = standardised_errors(predicted_ME, blocks.targets(true_ME), blocks)
        return mean_over_modalities(errors_M3, batch.is_hidden_N3.index_select(0, rows_M), counts.num_hidden)


def _reads_exported(config: ObjectiveConfig) -> bool:
    return config.visible_weight > 0 or config.neighbour_weight > 0


def exported(layers: list[Tensor]) -> Tensor:
    """What is supervised as the exported vector: the mean of all blocks' unit outputs, float32 [N, D]."""
    return torch.stack([torch.nn.functional.normalize(x_ND.float(), dim=-1) for x_ND in layers[1:]]).mean(0)


def msm_loss(predicted_ME: Tensor, target_ME: Tensor, num_masked_in_step: int) -> Tensor:
    """A micro-step's share of the step's loss, a float32 scalar; a step's shares add up to its mean distance."""
    with torch.autocast(predicted_ME.device.type, enabled=False):
        return cosine_distances(predicted_ME, target_ME).sum() / num_masked_in_step

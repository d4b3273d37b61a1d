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
from mediafm.objective.terms import contrast, cosine_distances, spread_penalty, standardised_errors


class MaskedShots(Objective):
    """The `msm` family."""

    def __init__(self, config: ObjectiveConfig, blocks: Blocks) -> None:
        super().__init__()
        self.config = config
        self.blocks = blocks

    def terms(self, model: MediaFM, batch: MaskedBatch, counts: StepCounts) -> Terms:
        rows_M = batch.target_rows()
        if not self._reads_more_than_targets():
            predicted_ME, layers = model(batch.shots), None
        else:
            layers = model.shot_layers(batch.shots)
            predicted_ME = model.decode(layers[-1].index_select(0, rows_M))
        with torch.autocast(predicted_ME.device.type, enabled=False):
            found = {"masked": (1.0, self._hidden(predicted_ME, batch, rows_M, counts))}
            if self.config.contrast_weight > 0:
                errors_M = contrast(predicted_ME, batch.true_NE, rows_M, self.config.contrast_temperature)
                found["contrast"] = (self.config.contrast_weight, errors_M.sum() / counts.num_targets)
        if layers is not None and self.config.visible_weight > 0:
            found["visible"] = (self.config.visible_weight, self._visible(model, layers[-1], batch, counts))
        if layers is not None and self.config.spread_weight > 0:
            with torch.autocast(predicted_ME.device.type, enabled=False):
                share = len(batch.true_NE) / counts.num_shots
                found["spread"] = (self.config.spread_weight, share * spread_penalty(exported(layers)))
        return found

    def _reads_more_than_targets(self) -> bool:
        has_terms = self.config.visible_weight > 0 or self.config.spread_weight > 0
        return has_terms or self.config.masks.modality_share > 0 or self.config.masks.modality_drop_share > 0

    def _hidden(self, predicted_ME: Tensor, batch: MaskedBatch, rows_M: Tensor, counts: StepCounts) -> Tensor:
        true_ME = batch.true_NE.index_select(0, rows_M)
        if self.config.target == "fused":
            return msm_loss(predicted_ME, true_ME, counts.num_targets)
        is_hidden_M3 = batch.is_hidden_N3.index_select(0, rows_M)
        return self._by_modality(predicted_ME, true_ME, is_hidden_M3, counts.num_hidden)

    def _visible(self, model: MediaFM, last_ND: Tensor, batch: MaskedBatch, counts: StepCounts) -> Tensor:
        """The same for what is not hidden: it says what stands at visible positions (BERT keeps a tenth of its chosen
        tokens unchanged for that, Devlin et al. 2019, section 3.1)."""
        rows_M = (~batch.is_masked_N).nonzero().squeeze(1)
        predicted_ME = model.decode(last_ND.index_select(0, rows_M))
        with torch.autocast(predicted_ME.device.type, enabled=False):
            true_ME = batch.true_NE.index_select(0, rows_M)
            if self.config.target == "fused":
                return cosine_distances(predicted_ME, true_ME).sum() / max(1, counts.num_shots - counts.num_masked)
            is_shown_M3 = (batch.is_present_N3 & ~batch.is_hidden_N3).index_select(0, rows_M)
            shown = (
                counts.num_present[0] - counts.num_hidden[0],
                counts.num_present[1] - counts.num_hidden[1],
                counts.num_present[2] - counts.num_hidden[2],
            )
            return self._by_modality(predicted_ME, true_ME, is_shown_M3, shown)

    def _by_modality(
        self, predicted_ME: Tensor, true_ME: Tensor, counted_M3: Tensor, counts: tuple[int, int, int]
    ) -> Tensor:
        """The mean over the modalities that have any row of their mean standardised error."""
        blocks = self.blocks.to(predicted_ME.device)
        errors_M3 = standardised_errors(predicted_ME, blocks.targets(true_ME), blocks)
        sums_3 = (errors_M3 * counted_M3).sum(0)
        num_there = sum(count > 0 for count in counts)
        shares = [total / count for total, count in zip(sums_3, counts, strict=True) if count > 0]
        return torch.stack(shares).sum() / num_there if shares else sums_3.sum()


def exported(layers: list[Tensor]) -> Tensor:
    """What the spread term looks at: the mean of all blocks' unit outputs, [N, D]."""
    return torch.stack([torch.nn.functional.normalize(x_ND.float(), dim=-1) for x_ND in layers[1:]]).mean(0)


def msm_loss(predicted_ME: Tensor, target_ME: Tensor, num_masked_in_step: int) -> Tensor:
    """A micro-step's share of the step's loss, a float32 scalar; a step's shares add up to its mean distance."""
    with torch.autocast(predicted_ME.device.type, enabled=False):
        return cosine_distances(predicted_ME, target_ME).sum() / num_masked_in_step

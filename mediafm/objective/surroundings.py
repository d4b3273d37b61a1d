"""What an exported vector is asked for while the model learns: its own shot, and the hidden shots beside it.

A masked-shot loss supervises masked positions only, while what is exported stands at visible ones. These two terms are
read, by linear heads that are thrown away, from the very vector that is exported:
- "visible": the blocks of the shot itself, those that the model did not see among them (BERT keeps some of its chosen
  tokens as they are, so that visible positions are supervised too: Devlin et al. 2019, section 3.1; ours: all of them,
  and as a term of its own).
- "neighbour": the blocks of a *masked* shot up to `neighbour_reach` places away, one head for each place (as CPC
  predicts later steps from a context vector, one matrix a step: van den Oord et al. 2018, section 2.2; ours: on both
  sides, by regression, and hidden shots only, so that copying what the model sees does not answer).

N shots, P pairs of a visible and a masked shot, E fused width, D model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mediafm.model.blocks import Linear
from mediafm.objective.batch import MaskedBatch, StepCounts
from mediafm.objective.blocks import Blocks
from mediafm.objective.config import ObjectiveConfig
from mediafm.objective.objective import Terms
from mediafm.objective.terms import cosine_distances, mean_over_modalities, standardised_errors


class Surroundings(nn.Module):
    """The heads and their terms. Predictions begin at the training mean."""

    def __init__(self, config: ObjectiveConfig, blocks: Blocks, hidden_dim: int) -> None:
        super().__init__()
        self.config = config
        self.blocks = blocks
        reach = config.neighbour_reach if config.neighbour_weight > 0 else 0
        self.offsets = [*range(-reach, 0), *range(1, reach + 1)]
        self.own = _head(blocks, hidden_dim) if config.visible_weight > 0 else None
        self.neighbours = nn.ModuleList(_head(blocks, hidden_dim) for _ in self.offsets)

    def terms(self, exported_ND: Tensor, batch: MaskedBatch, counts: StepCounts) -> Terms:
        """The two weighted shares, float32 scalars."""
        x_ND = exported_ND * exported_ND.shape[1] ** 0.5
        found: dict[str, tuple[float, Tensor]] = {}
        if self.own is not None:
            shown_M = (~batch.is_masked_N).nonzero().squeeze(1)
            num_shown = _minus(counts.num_present, counts.num_masked_present)
            num_rows = counts.num_shots - counts.num_masked
            share = self._share(self.own, x_ND, shown_M, shown_M, batch, num_shown, num_rows)
            found["visible"] = (self.config.visible_weight, share)
        if self.offsets:
            shares = [
                self._share(head, x_ND, *pairs(batch, offset), batch, counts.num_masked_present, counts.num_masked)
                for head, offset in zip(self.neighbours, self.offsets, strict=True)
            ]
            found["neighbour"] = (self.config.neighbour_weight, torch.stack(shares).mean())
        return found

    def _share(
        self,
        head: nn.Module,
        x_ND: Tensor,
        from_P: Tensor,
        to_P: Tensor,
        batch: MaskedBatch,
        num_blocks: tuple[int, int, int],
        num_rows: int,
    ) -> Tensor:
        """What `head` makes of the shots `from_P`, against the true shots `to_P`."""
        predicted_PE = head(x_ND.index_select(0, from_P)).float()
        true_PE = batch.true_NE.index_select(0, to_P)
        if self.config.target == "fused":
            return cosine_distances(predicted_PE, true_PE).sum() / max(1, num_rows)
        blocks = self.blocks.to(predicted_PE.device)
        errors_P3 = standardised_errors(predicted_PE, blocks.targets(true_PE), blocks)
        return mean_over_modalities(errors_P3, batch.is_present_N3.index_select(0, to_P), num_blocks)


def pairs(batch: MaskedBatch, offset: int) -> tuple[Tensor, Tensor]:
    """Visible shots, and the masked shots of the same title `offset` places on: two int64 [P]."""
    lengths_B = torch.tensor(batch.shots.num_shots)
    title_N = torch.repeat_interleave(torch.arange(len(lengths_B)), lengths_B).to(batch.is_masked_N.device)
    place_N = torch.arange(len(title_N), device=title_N.device)
    other_N = (place_N + offset).clamp(0, len(title_N) - 1)
    is_pair_N = (place_N + offset == other_N) & (title_N[other_N] == title_N)
    from_P = (is_pair_N & ~batch.is_masked_N & batch.is_masked_N[other_N]).nonzero().squeeze(1)
    return from_P, other_N[from_P]


def _head(blocks: Blocks, hidden_dim: int) -> Linear:
    """Zero weights, and the training mean as bias: it draws nothing and learns at once."""
    head = Linear(hidden_dim, len(blocks.mean_E))
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(blocks.mean_E)
    return head


def _minus(these: tuple[int, int, int], those: tuple[int, int, int]) -> tuple[int, int, int]:
    return these[0] - those[0], these[1] - those[1], these[2] - those[2]

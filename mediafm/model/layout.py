"""Where tokens stand: each sequence is [CLS], [GLOBAL], then its shots, and sequences follow one another.

B sequences, N shots, T tokens (N + 2 B), S positions of the longest sequence, K head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NUM_SPECIAL_TOKENS = 2
"""[CLS] and [GLOBAL]."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Index tensors of one packed batch, all int64 on the model's device.

    lengths: tokens of each sequence.
    cls_B, global_B: where those tokens stand among the T.
    shot_N: where each shot stands among the T.
    position_T: a shot's place in its window, from 0; 0 for [CLS] and [GLOBAL], which have no place.
    padded_T: where each token stands in a padded [B * S] grid.
    """

    lengths: tuple[int, ...]
    cls_B: Tensor
    global_B: Tensor
    shot_N: Tensor
    position_T: Tensor
    padded_T: Tensor

    @property
    def num_tokens(self) -> int:
        return sum(self.lengths)

    @property
    def max_length(self) -> int:
        return max(self.lengths)


def layout_of(num_shots: tuple[int, ...], device: torch.device) -> Layout:
    """The layout of sequences with that many shots."""
    shots_B = torch.tensor(num_shots)
    lengths_B = shots_B + NUM_SPECIAL_TOKENS
    starts_B = lengths_B.cumsum(0) - lengths_B
    num_tokens = int(lengths_B.sum())
    sequence_T = torch.repeat_interleave(torch.arange(len(num_shots)), lengths_B)
    place_T = torch.arange(num_tokens) - starts_B[sequence_T]
    is_shot_T = place_T >= NUM_SPECIAL_TOKENS
    index = (
        starts_B,
        starts_B + 1,
        is_shot_T.nonzero().squeeze(1),
        (place_T - NUM_SPECIAL_TOKENS).clamp(min=0),
        sequence_T * int(lengths_B.max()) + place_T,
    )
    return Layout(tuple(lengths_B.tolist()), *(item.to(device, non_blocking=True) for item in index))


def rotary_table(position_T: Tensor, head_dim: int, base: float, is_special_T: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, K/2] of the rotary angles (Su et al. 2021, "RoFormer", section 3.2.2).

    Our choice: [CLS] and [GLOBAL] are not rotated, so they stand where shot 0 stands.
    """
    exponent = torch.arange(0, head_dim, 2, device=position_T.device, dtype=torch.float32) / head_dim
    angle_TK = position_T[:, None].float() * base**-exponent
    angle_TK = angle_TK.masked_fill(is_special_T[:, None], 0.0)
    return angle_TK.cos(), angle_TK.sin()

"""From a text's token vectors to one: the poolings that the sentence-transformers layout names.

B texts, L tokens, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch

PoolingMode: TypeAlias = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


def pool(hidden_BLW: torch.Tensor, is_token_BL: torch.Tensor, modes: Sequence[PoolingMode]) -> torch.Tensor:
    """float32 [B, W * modes]: each mode's vector, joined. Padding stands behind the tokens and counts nowhere.

    "mean" is over tokens; "mean_sqrt_len_tokens" divides by the root of their number; "weightedmean" weighs a token by
    its place, counted from 1; "max" is taken for each number alone; "cls" and "lasttoken" are one token's vector.
    """
    hidden = hidden_BLW.to(torch.float32)
    return torch.cat([_pooled(hidden, is_token_BL, mode) for mode in modes], dim=1)


def _pooled(hidden_BLW: torch.Tensor, is_token_BL: torch.Tensor, mode: PoolingMode) -> torch.Tensor:
    if mode == "cls":
        return hidden_BLW[:, 0]
    if mode == "max":
        return hidden_BLW.masked_fill(~is_token_BL[:, :, None], float("-inf")).amax(dim=1)
    if mode == "lasttoken":
        last_B = is_token_BL.sum(dim=1) - 1
        return hidden_BLW[torch.arange(len(hidden_BLW), device=hidden_BLW.device), last_B]
    weights_BL = is_token_BL.to(torch.float32)
    if mode == "weightedmean":
        weights_BL = weights_BL * torch.arange(1, hidden_BLW.shape[1] + 1, device=hidden_BLW.device)
    total_BW = torch.einsum("blw,bl->bw", hidden_BLW, weights_BL)
    count_B1 = weights_BL.sum(dim=1, keepdim=True)
    return total_BW / (count_B1.sqrt() if mode == "mean_sqrt_len_tokens" else count_B1)

"""Where tokens stand: each sequence is [CLS], [GLOBAL], then its shots, and sequences follow one another.

B sequences, N shots, T tokens (N + 2 B), S positions of the longest sequence, R rotated coordinates of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

NUM_SPECIAL_TOKENS = 2
"""[CLS] and [GLOBAL]."""

Backend = Literal["varlen", "padded", "buckets"]
"""How attention keeps to its sequence; `mediafm.model.attention` says which is for what."""


@dataclass(frozen=True, eq=False)
class Varlen:
    """For the variable-length kernel, which reads packed tokens as they are.

    cumulative: int32 [B + 1]; sequence b holds the tokens [cumulative[b], cumulative[b + 1]).
    max_length: tokens of the longest sequence, S.
    """

    cumulative: Tensor
    max_length: int


@dataclass(frozen=True, eq=False)
class Padded:
    """For attention over a [B, S] grid with a mask.

    place_T: int64; where each token stands in the flattened grid.
    is_token_B11S: bool; None when every sequence fills its row and the model has no blind block.
    num_sequences, max_length: B and S.
    """

    place_T: Tensor
    is_token_B11S: Tensor | None
    num_sequences: int
    max_length: int


@dataclass(frozen=True, eq=False)
class Buckets:
    """For one dense call per length: sequences of equal length side by side.

    shapes: (sequences, tokens of each) of every bucket, in the order of first appearance.
    order_T, inverse_T: int64; the tokens in the buckets' order, and the way back. None where they stand so already,
        as in a batch that is sorted by length.
    """

    shapes: tuple[tuple[int, int], ...]
    order_T: Tensor | None
    inverse_T: Tensor | None


@dataclass(frozen=True, eq=False)
class Layout:
    """Index tensors of one packed batch, int64 on the model's device unless said otherwise.

    lengths: tokens of each sequence.
    cls_B, global_B: where those tokens stand among the T.
    shot_N: where each shot stands among the T.
    position_T: a shot's place in its window, from 0; 0 for [CLS] and [GLOBAL], which have no place.
    plan: what the attention backend needs to know.
    blind_plan: the same for blocks in which no token attends to itself; the kernel for packed tokens cannot leave one
        out, so there it is a padded grid. None where the model has no such block.
    """

    lengths: tuple[int, ...]
    cls_B: Tensor
    global_B: Tensor
    shot_N: Tensor
    position_T: Tensor
    plan: Varlen | Padded | Buckets
    blind_plan: Padded | Buckets | None = None

    @property
    def num_tokens(self) -> int:
        return sum(self.lengths)

    @property
    def max_length(self) -> int:
        return max(self.lengths)

    @property
    def backend(self) -> Backend:
        """The name of what attends over this layout."""
        return "varlen" if isinstance(self.plan, Varlen) else "padded" if isinstance(self.plan, Padded) else "buckets"


def layout_of(
    num_shots: tuple[int, ...], device: torch.device, backend: Backend = "buckets", *, has_blind: bool = False
) -> Layout:
    """The layout of sequences with that many shots, planned for that backend, and for blind blocks if there are any."""
    lengths = tuple(count + NUM_SPECIAL_TOKENS for count in num_shots)
    lengths_B = torch.tensor(lengths)
    starts_B = lengths_B.cumsum(0) - lengths_B
    place_T = torch.arange(sum(lengths)) - torch.repeat_interleave(starts_B, lengths_B)
    shot_N = (place_T >= NUM_SPECIAL_TOKENS).nonzero().squeeze(1)
    position_T = (place_T - NUM_SPECIAL_TOKENS).clamp(min=0)
    plan = _PLANS[backend](lengths, device)
    blind_plan = None
    if has_blind:
        # Blind blocks mask in any case; a mask that comes and goes would only be one more kind to compile.
        blind_plan = plan if isinstance(plan, Buckets) else _padded(lengths, device, has_mask=True)
        plan = blind_plan if isinstance(plan, Padded) else plan
    return Layout(
        lengths,
        starts_B.to(device, non_blocking=True),
        (starts_B + 1).to(device, non_blocking=True),
        shot_N.to(device, non_blocking=True),
        position_T.to(device, non_blocking=True),
        plan,
        blind_plan,
    )


def rotary_table(position_T: Tensor, rotary_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, R/2] of the rotary angles of R coordinates (Su et al. 2021, "RoFormer", section 3.2.2).

    Our choice: [CLS] and [GLOBAL], whose position is 0, are not rotated: they stand where shot 0 stands.
    """
    exponent = torch.arange(0, rotary_dim, 2, device=position_T.device, dtype=torch.float32) / rotary_dim
    angle_TR = position_T[:, None].float() * base**-exponent
    return angle_TR.cos(), angle_TR.sin()


def _varlen(lengths: Sequence[int], device: torch.device) -> Varlen:
    cumulative = torch.tensor((0, *lengths)).cumsum(0).to(torch.int32)
    return Varlen(cumulative.to(device, non_blocking=True), max(lengths))


def _padded(lengths: Sequence[int], device: torch.device, *, has_mask: bool = False) -> Padded:
    longest = max(lengths)
    is_token_BS = torch.arange(longest) < torch.tensor(lengths)[:, None]
    place_T = is_token_BS.flatten().nonzero().squeeze(1)
    mask_B11S = None
    if has_mask or min(lengths) < longest:
        mask_B11S = is_token_BS[:, None, None].to(device, non_blocking=True)
    return Padded(place_T.to(device, non_blocking=True), mask_B11S, len(lengths), longest)


def _buckets(lengths: Sequence[int], device: torch.device) -> Buckets:
    members: dict[int, list[int]] = {}
    for item, length in enumerate(lengths):
        members.setdefault(length, []).append(item)
    shapes = tuple((len(items), length) for length, items in members.items())
    order = [item for items in members.values() for item in items]
    if order == list(range(len(lengths))):
        return Buckets(shapes, None, None)
    tokens = torch.split(torch.arange(sum(lengths)), list(lengths))
    order_T = torch.cat([tokens[item] for item in order])
    return Buckets(shapes, order_T.to(device), order_T.argsort().to(device))


_PLANS: Mapping[Backend, Callable[[Sequence[int], torch.device], Varlen | Padded | Buckets]] = {
    "varlen": _varlen,
    "padded": _padded,
    "buckets": _buckets,
}

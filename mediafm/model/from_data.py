"""First weights from the training vectors (our choice): begin where a trivial predictor stands, and learn from there.

A random projection to D of E numbers and a random head back cannot reproduce a vector, so a small catalogue spends its
few steps on learning to copy, and over-fits meanwhile. Instead:
- The projection begins as the leading principal directions, turned at random so that no channel is special; the head
  as its inverse.
- [MASK], [CLS], [GLOBAL] and "no metadata" begin at zero: they bring nothing of their own.
- The first block's queries and keys begin so that attention falls with distance, each head at its own pace; values and
  outputs pass on what they read: a masked shot begins as a mean of its neighbours. (Trockman and Kolter 2023, "Mimetic
  Initialization of Self-Attention Layers", also begin attention where training takes it.)
- Where the first block is blind to the token itself, a shot's own vector takes the first half of the width, and what
  attention gathers is written into the second, so that neither blurs the other. The own half holds the principal
  directions of vectors whose coordinates were first brought to one spread, as probes do it: rare words are small and
  say much. Queries and keys also meet by content:
  their unrotated coordinates begin as principal directions. So a shot begins beside a mean of the shots that resemble
  it and are near (as non-local means denoise a picture: Buades et al. 2005).
Nothing is added beside the network: training may leave all of it.

N shots, E fused width, D model width, R rank, H heads, K head width.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from mediafm.model.blocks import Attention, Block
from mediafm.model.config import ModelConfig
from mediafm.model.mediafm import MediaFM

SHARPEST, BROADEST = 1.0, 0.1
"""Attention's first fall with distance: scales of its logits in the first and the last head, geometric between."""
CONTENT = 4.0
"""Logits that two equal shots add by content; measured better than 8 on scenes (`benchmarks.context`)."""
GATHERED_SCALE = 2.0
"""What attention gathers is a mean, shorter than one shot: it is scaled up to about a shot's size."""
METADATA_SCALE = 0.1
"""[GLOBAL] begins with a whisper of the metadata."""
MIN_SPREAD = 0.1
"""A coordinate that varies less than this share of the typical one is not blown up to its size."""
_MIN_SPREAD = 1e-6
_MIN_VARIANCE_SHARE = 1e-6
_MIN_VARIANCE = 1e-12


@torch.no_grad()
def begin_from_data(model: MediaFM, rows_NE: Tensor, generator: torch.Generator) -> None:
    """Sets projection, head and special tokens and, with pre-norm and rotary positions, the first block's attention.

    Args:
        model: initialised already; everything else of it stays.
        rows_NE: float32 fused vectors of training shots.
        generator: draws the random turn.
    """
    config = model.config
    has_halves = gathers_apart(config)
    own_dim = config.hidden_dim // 2 if has_halves else config.hidden_dim
    mean_E = rows_NE.mean(0)
    spread_E = _spread(rows_NE) if has_halves else torch.ones_like(mean_E)
    basis_RE, variance_R = principal_directions((rows_NE - mean_E) / spread_E, own_dim)
    turn_OR, _ = torch.linalg.qr(torch.randn(own_dim, len(basis_RE), generator=generator))
    basis_OE = turn_OR @ basis_RE
    # Entries of a projected shot get size 1, as those of a random projection of a unit vector would.
    scale = math.sqrt(max(float(variance_R.sum()), _MIN_VARIANCE) / own_dim)
    model.project_shot.weight.zero_()
    model.project_shot.bias.zero_()
    model.project_shot.weight[:own_dim] = basis_OE / spread_E / (scale * math.sqrt(config.fused_dim))
    model.project_shot.bias[:own_dim] = -(basis_OE @ (mean_E / spread_E)) / scale
    back_EO = spread_E[:, None] * basis_OE.T * scale
    model.head.weight.copy_(torch.cat([back_EO] * (config.hidden_dim // own_dim), dim=1))
    for token in (model.mask_token, model.cls_token, model.global_token, model.no_metadata):
        token.zero_()
    model.project_metadata.weight.mul_(METADATA_SCALE)
    if model.presence is not None and has_halves:
        model.presence.mul_(METADATA_SCALE)
    if config.norm == "pre" and config.positions == "rotary" and config.has_qk_bias:
        attention = cast(Block, model.blocks[0]).attention
        _attend_by_distance(attention, config.rotary_dim, _content_length(config))
        if has_halves:
            _attend_by_content(attention, rows_NE - mean_E, back_EO, config.rotary_dim)
            _gather_apart(attention, own_dim)
        else:
            attention.value.weight.copy_(torch.eye(config.hidden_dim))
            attention.output.weight.copy_(torch.eye(config.hidden_dim))


def gathers_apart(config: ModelConfig) -> bool:
    """Whether the first block's attention begins by writing into a half of the width that nothing else uses."""
    is_fit = config.norm == "pre" and config.positions == "rotary" and config.has_qk_bias
    return is_fit and config.num_blind_blocks > 0 and config.num_heads % 2 == 0


def _content_length(config: ModelConfig) -> float:
    """The squared length, over sqrt(K), of what the first queries and keys hold of a shot's content."""
    if gathers_apart(config):
        return CONTENT if config.rotary_dim < config.head_dim else 0.0
    return config.init_std_scale**2 * math.sqrt(config.head_dim)


def _attend_by_distance(attention: Attention, rotary_dim: int, content: float) -> None:
    """Logits begin as scale * sum of cos(frequency * distance), by head.

    Equal queries and keys whose rotary pairs are (c, 0) have exactly that inner product, with c^2 = scale * sqrt(K)
    against the division by sqrt(K). Over rotary's geometric frequencies the sum falls about as log(distance) grows.

    Normalised, the query and the key of a shot lose their length, whose square over sqrt(K) is scale * R / 2 and, of
    its content, `content`: the learned scale gives it back, so two visible shots have the same logits as without the
    norm. A masked shot has no content, so its logits are sqrt(1 + 2 content / (scale * R)) times those: it looks
    around, and is looked at, somewhat more sharply, above all by heads that fall slowly.
    """
    heads, width = attention.num_heads, attention.head_dim
    scale_H = SHARPEST * (BROADEST / SHARPEST) ** (torch.arange(heads) / max(heads - 1, 1))
    bias_HK = torch.zeros(heads, width)
    bias_HK[:, : rotary_dim // 2] = (scale_H * math.sqrt(width)).sqrt()[:, None]
    if attention.query_scale is not None:
        attention.query_scale.copy_((scale_H * rotary_dim / 2 + content)[:, None])
    attention.query.bias.copy_(bias_HK.flatten())
    attention.key.bias.copy_(bias_HK.flatten())


def _attend_by_content(attention: Attention, centred_NE: Tensor, back_EO: Tensor, rotary_dim: int) -> None:
    """Adds about `CONTENT` times the cosine of two shots to the logits of each head.

    Unrotated coordinates of queries and keys begin as the leading principal directions of the fused vectors as they
    are, in which likeness is what the fusion says it is; rotated ones see no content.

    Args:
        centred_NE: training shots about their mean.
        back_EO: the own half of the width -> fused vectors about their mean.
    """
    heads, width = attention.num_heads, attention.head_dim
    own_dim = back_EO.shape[1]
    basis_RE, variance_R = principal_directions(centred_NE, max(1, width - rotary_dim))
    num_met = min(width - rotary_dim, len(basis_RE))
    total = max(float(centred_NE.square().sum() / len(centred_NE)), _MIN_VARIANCE)
    # The norm before attention scales the filled half by sqrt(2), so that a shot has a squared length of 2 own_dim.
    # Leading directions hold at least an even share of the variance, except where there is none.
    held = max(float(variance_R[:num_met].sum()) / total, max(num_met, 1) / own_dim)
    gain = CONTENT * math.sqrt(width) / (2.0 * total * held)
    weight = torch.zeros(heads, width, heads * width)
    weight[:, rotary_dim : rotary_dim + num_met, :own_dim] = (basis_RE[:num_met] @ back_EO) * math.sqrt(gain)
    attention.query.weight.copy_(weight.flatten(0, 1))
    attention.key.weight.copy_(weight.flatten(0, 1))


def _spread(rows_NE: Tensor) -> Tensor:
    """Each coordinate's standard deviation, at least `MIN_SPREAD` of their root mean square, float32 [E]."""
    std_E = rows_NE.std(0, correction=0)
    typical = float(std_E.square().mean().sqrt())
    return std_E.clamp(min=max(MIN_SPREAD * typical, _MIN_SPREAD))


def _gather_apart(attention: Attention, own_dim: int) -> None:
    """Values read the own half, a slice of it in each head; outputs write the slices' means into the other half.

    Two heads share each slice, one of the first half of the heads and one of the second.
    """
    heads, width = attention.num_heads, attention.head_dim
    slices = torch.arange(heads * width) % own_dim
    reading = torch.zeros(heads * width, heads * width)
    reading[torch.arange(heads * width), slices] = 1.0
    attention.value.weight.copy_(reading)
    writing = torch.zeros(heads * width, heads * width)
    writing[own_dim + slices, torch.arange(heads * width)] = GATHERED_SCALE / 2.0
    attention.output.weight.copy_(writing)


def principal_directions(centred_NE: Tensor, max_rank: int) -> tuple[Tensor, Tensor]:
    """The leading directions [R, E], orthonormal rows, and the variance [R] along each; R is at most `max_rank`.

    By the smaller of the two Gram matrices; directions with next to no variance are left out, at least one is kept.
    """
    num_rows, width = centred_NE.shape
    rows = centred_NE.double()
    if num_rows < width:
        values, vectors = torch.linalg.eigh(rows @ rows.T / num_rows)
        basis = vectors.flip(1).T @ rows
    else:
        values, vectors = torch.linalg.eigh(rows.T @ rows / num_rows)
        basis = vectors.flip(1).T
    values = values.flip(0).clamp(min=0)
    rank = int((values > _MIN_VARIANCE_SHARE * values.sum()).sum())
    rank = max(1, min(max_rank, rank))
    basis = torch.nn.functional.normalize(basis[:rank], dim=1)
    return basis.float(), values[:rank].float()

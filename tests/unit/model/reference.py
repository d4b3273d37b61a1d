"""What the packed model is held against: the same network written plainly on a padded grid, softmax and all."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mediafm.model.batch import PackedShots
from mediafm.model.blocks import Block
from mediafm.model.mediafm import MediaFM


def padded_states(model: MediaFM, batch: PackedShots) -> list[Tensor]:
    """The shots' states after 0, 1, ... L blocks, each [N, D], sequence by sequence as the batch holds them."""
    lengths = [count + 2 for count in batch.num_shots]
    grid_BSD = torch.zeros(len(lengths), max(lengths), model.config.hidden_dim, dtype=model.mask_token.dtype)
    at = 0
    for row, count in enumerate(batch.num_shots):
        grid_BSD[row, : count + 2] = _tokens(model, batch, row, slice(at, at + count))
        at += count
    is_token_BS = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    place_S = (torch.arange(max(lengths)) - 2).clamp(min=0)
    states = [grid_BSD]
    for number, block in enumerate(model.blocks):
        is_met_B1SS = is_token_BS[:, None, None].expand(-1, 1, max(lengths), -1).clone()
        if number < model.config.num_blind_blocks:
            is_met_B1SS.diagonal(dim1=-2, dim2=-1).fill_(False)
        states.append(_block(block, model, states[-1], is_met_B1SS, place_S))
    return [torch.cat([x[row, 2 : count + 2] for row, count in enumerate(batch.num_shots)]) for x in states]


def predictions(model: MediaFM, batch: PackedShots) -> Tensor:
    """Predicted fused vectors of the masked shots, [number of masked shots, E]."""
    norm = model.final_norm
    x = padded_states(model, batch)[-1][batch.is_masked_N]
    return functional.linear(_layer_norm(x, norm.weight, norm.bias), model.head.weight, model.head.bias)


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, is_key: Tensor | None = None) -> Tensor:
    """[..., S, K] -> [..., S, K]; False in `is_key` [..., 1 or S, S] hides a key from all queries or one."""
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if is_key is not None:
        scores = scores.masked_fill(~is_key, float("-inf"))
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    return weights / weights.sum(-1, keepdim=True) @ v


def _tokens(model: MediaFM, batch: PackedShots, row: int, shots: slice) -> Tensor:
    config = model.config
    fused, present = batch.fused_NE[shots].to(model.mask_token.dtype), batch.is_present_N3[shots]
    shots_nD = fused * config.fused_dim**0.5 @ model.project_shot.weight.T + model.project_shot.bias
    if model.presence is not None:
        shots_nD = shots_nD + present.to(shots_nD.dtype) @ model.presence
    shots_nD = torch.stack(
        [model.mask_token if masked else x for x, masked in zip(shots_nD, batch.is_masked_N[shots], strict=True)]
    )
    if model.positions is not None:
        shots_nD = shots_nD + model.positions[: len(shots_nD)]
    metadata = model.no_metadata
    if batch.has_metadata_B[row]:
        scaled = batch.metadata_BM[row].to(shots_nD.dtype) * config.metadata_dim**0.5
        metadata = model.project_metadata.weight @ scaled + model.project_metadata.bias
    return torch.cat((model.cls_token[None], (model.global_token + metadata)[None], shots_nD))


def _block(block: Block, model: MediaFM, x: Tensor, is_met_B1SS: Tensor, place_S: Tensor) -> Tensor:
    def norm(layer: torch.nn.LayerNorm, value: Tensor) -> Tensor:
        return _layer_norm(value, layer.weight, layer.bias)

    if model.config.norm == "pre":
        x = x + _attention(block, model, norm(block.attention_norm, x), is_met_B1SS, place_S)
        return x + _feedforward(block, norm(block.feedforward_norm, x))
    x = norm(block.attention_norm, x + _attention(block, model, x, is_met_B1SS, place_S))
    return norm(block.feedforward_norm, x + _feedforward(block, x))


def _attention(block: Block, model: MediaFM, x: Tensor, is_met_B1SS: Tensor, place_S: Tensor) -> Tensor:
    part, config = block.attention, model.config
    q, k, v = (
        functional.linear(x, item.weight, item.bias).unflatten(-1, (config.num_heads, -1)).transpose(1, 2)
        for item in (part.query, part.key, part.value)
    )
    if part.query_scale is not None:
        # The tiny sum keeps the rows of padding, which are zero, from becoming NaN.
        q, k = (item * (item.square().sum(-1, keepdim=True) + 1e-24).rsqrt() for item in (q, k))
        q = q * part.query_scale[None, :, None] * config.head_dim**0.5
    if config.positions == "rotary":
        # An even number of coordinates, the first of each head, at least one pair.
        num_turned = max(1, round(config.rotary_share * config.head_dim / 2)) * 2
        q, k = (
            torch.cat((_turned(item[..., :num_turned], place_S, config.rotary_base), item[..., num_turned:]), dim=-1)
            for item in (q, k)
        )
    mixed = softmax_attention(q, k, v, is_met_B1SS)
    return functional.linear(mixed.transpose(1, 2).flatten(2), part.output.weight, part.output.bias)


def _turned(x: Tensor, place_S: Tensor, base: float) -> Tensor:
    """Su et al. 2021, equation 13, as multiplication by e^(i angle) of the pairs (k, k + K/2) as complex numbers."""
    half = x.shape[-1] // 2
    angle = place_S[:, None].float() * base ** -(torch.arange(half) / half)
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angle), angle).to(
        torch.complex(x[:1, :1, :1, :1], x[:1, :1, :1, :1]).dtype
    )
    return torch.cat((turned.real, turned.imag), dim=-1)


def _feedforward(block: Block, x: Tensor) -> Tensor:
    part = block.feedforward
    gate = functional.linear(x, part.gate.weight, part.gate.bias)
    inner = gate * 0.5 * (1 + torch.erf(gate / 2**0.5))
    if part.value is not None:
        inner = inner * functional.linear(x, part.value.weight, part.value.bias)
    return functional.linear(inner, part.output.weight, part.output.bias)


def _layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight
    return scaled if bias is None else scaled + bias

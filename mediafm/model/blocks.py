"""The transformer block over packed tokens.

What differs from the textbook: linear maps run on packed tokens, so padding costs nothing there; attention runs inside
each sequence only, either sequence by sequence ("split", quick on a CPU) or on a padded grid ("padded", for a GPU); q,
k, v and the GeGLU halves are separate matrices, because Muon orthogonalises each matrix by itself.

T tokens, D model width, F feed-forward width, H heads, K head width, B sequences, S positions of the longest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm.model.config import ModelConfig
from mediafm.model.layout import Layout


class Linear(nn.Linear):
    """`nn.Linear` that draws nothing at construction: `MediaFM.initialise` fills it from its own generator."""

    def reset_parameters(self) -> None:
        return


class Attention(nn.Module):
    """Multi-head self-attention inside each sequence of a packed batch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, bias = config.hidden_dim, config.has_bias
        self.num_heads, self.head_dim = config.num_heads, config.head_dim
        self.query = Linear(width, width, bias=bias or config.has_qk_bias)
        self.key = Linear(width, width, bias=bias or config.has_qk_bias)
        self.value = Linear(width, width, bias=bias)
        self.output = Linear(width, width, bias=bias)
        self.query_scale = nn.Parameter(torch.empty(config.num_heads, 1)) if config.has_qk_norm else None

    def forward(self, x_TD: Tensor, layout: Layout, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
        """[T, D] -> [T, D]."""
        q_THK, k_THK, v_THK = (
            project(x_TD).unflatten(-1, (self.num_heads, self.head_dim))
            for project in (self.query, self.key, self.value)
        )
        if self.query_scale is not None:
            # softmax sees scale * cos(q, k): SDPA divides by sqrt(K), which we undo.
            scale_H1 = self.query_scale * self.head_dim**0.5
            q_THK, k_THK = functional.normalize(q_THK, dim=-1) * scale_H1, functional.normalize(k_THK, dim=-1)
        if rotary is not None:
            q_THK, k_THK = rotate(q_THK, rotary), rotate(k_THK, rotary)
        attend = attend_padded if x_TD.device.type == "cuda" else attend_split
        mixed_THK = attend(q_THK, k_THK, v_THK.to(q_THK.dtype), layout)
        return self.output(mixed_THK.flatten(1).to(x_TD.dtype))  # type: ignore[no-any-return]


def rotate(x_THK: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Turns the pairs (k, k + K/2) of each head by the token's angles; keeps norms and dtype."""
    cos_T1K, sin_T1K = (item[:, None].to(x_THK.dtype) for item in rotary)
    first, second = x_THK.chunk(2, dim=-1)
    return torch.cat((first * cos_T1K - second * sin_T1K, second * cos_T1K + first * sin_T1K), dim=-1)


def attend_split(q_THK: Tensor, k_THK: Tensor, v_THK: Tensor, layout: Layout) -> Tensor:
    """Attention sequence by sequence: no padding, no mask. [T, H, K] -> [T, H, K]."""
    mixed = [
        functional.scaled_dot_product_attention(*(item.transpose(0, 1)[None] for item in qkv))[0].transpose(0, 1)
        for qkv in zip(*(torch.split(item, list(layout.lengths)) for item in (q_THK, k_THK, v_THK)), strict=True)
    ]
    return torch.cat(mixed)


def attend_padded(q_THK: Tensor, k_THK: Tensor, v_THK: Tensor, layout: Layout) -> Tensor:
    """The same on a padded grid with a mask. [T, H, K] -> [T, H, K]."""
    num_sequences, longest = len(layout.lengths), layout.max_length

    def grid(x_THK: Tensor) -> Tensor:
        flat = x_THK.new_zeros(num_sequences * longest, *x_THK.shape[1:])
        flat = flat.index_copy(0, layout.padded_T, x_THK)
        return flat.view(num_sequences, longest, *x_THK.shape[1:]).transpose(1, 2)

    is_token = torch.zeros(num_sequences * longest, dtype=torch.bool, device=q_THK.device)
    is_token[layout.padded_T] = True
    mask_B11S = None if min(layout.lengths) == longest else is_token.view(num_sequences, 1, 1, longest)
    mixed_BHSK = functional.scaled_dot_product_attention(grid(q_THK), grid(k_THK), grid(v_THK), attn_mask=mask_B11S)
    return mixed_BHSK.transpose(1, 2).flatten(0, 1).index_select(0, layout.padded_T)


class FeedForward(nn.Module):
    """GeGLU (Shazeer 2020, "GLU Variants Improve Transformer") with separate halves, or plain GELU."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, inner, bias = config.hidden_dim, config.feedforward_dim, config.has_bias
        self.gate = Linear(width, inner, bias=bias)
        self.value = Linear(width, inner, bias=bias) if config.activation == "geglu" else None
        self.output = Linear(inner, width, bias=bias)

    def forward(self, x_TD: Tensor) -> Tensor:
        """[T, D] -> [T, D]."""
        inner_TF = functional.gelu(self.gate(x_TD))
        if self.value is not None:
            inner_TF = inner_TF * self.value(x_TD)
        return self.output(inner_TF)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and feed-forward, each with its residual; the norm before them ("pre") or after the sum ("post")."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.is_pre_norm = config.norm == "pre"
        self.attention_norm = nn.LayerNorm(config.hidden_dim, bias=config.has_bias)
        self.attention = Attention(config)
        self.feedforward_norm = nn.LayerNorm(config.hidden_dim, bias=config.has_bias)
        self.feedforward = FeedForward(config)

    def forward(self, x_TD: Tensor, layout: Layout, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
        """[T, D] -> [T, D]."""
        if self.is_pre_norm:
            x_TD = x_TD + self.attention(self.attention_norm(x_TD), layout, rotary)
            return x_TD + self.feedforward(self.feedforward_norm(x_TD))  # type: ignore[no-any-return]
        x_TD = self.attention_norm(x_TD + self.attention(x_TD, layout, rotary))
        return self.feedforward_norm(x_TD + self.feedforward(x_TD))  # type: ignore[no-any-return]

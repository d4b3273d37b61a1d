"""The transformer block over packed tokens.

What differs from the textbook: everything runs on packed tokens, so padding costs nothing; attention runs inside each
sequence only (`mediafm.model.attention`); q, k, v and the GeGLU halves are separate matrices, because Muon
orthogonalises each matrix by itself.

T tokens, D model width, F feed-forward width, H heads, K head width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm.model.attention import attend
from mediafm.model.config import ModelConfig
from mediafm.model.layout import Layout


class Linear(nn.Linear):
    """`nn.Linear` that draws nothing at construction: `MediaFM.initialise` fills it from its own generator."""

    def reset_parameters(self) -> None:
        return


class Attention(nn.Module):
    """Multi-head self-attention inside each sequence of a packed batch."""

    def __init__(self, config: ModelConfig, *, sees_self: bool = True) -> None:
        super().__init__()
        width, bias = config.hidden_dim, config.has_bias
        self.sees_self = sees_self
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
            # softmax sees scale * cos(q, k): attention divides by sqrt(K), which we undo.
            scale_H1 = self.query_scale * self.head_dim**0.5
            q_THK, k_THK = functional.normalize(q_THK, dim=-1) * scale_H1, functional.normalize(k_THK, dim=-1)
        if rotary is not None:
            q_THK, k_THK = rotate(q_THK, rotary), rotate(k_THK, rotary)
        # Under autocast the norm above is float32; values, as the matrices give them, say what attention runs in.
        mixed_THK = attend(q_THK.to(v_THK.dtype), k_THK.to(v_THK.dtype), v_THK, layout, sees_self=self.sees_self)
        return self.output(mixed_THK.flatten(1))  # type: ignore[no-any-return]


def rotate(x_THK: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Turns the pairs (r, r + R/2) of each head's first R coordinates by the token's angles; keeps norms and dtype."""
    cos_T1R, sin_T1R = (item[:, None].to(x_THK.dtype) for item in rotary)
    half = cos_T1R.shape[-1]
    first, second, still = torch.split(x_THK, [half, half, x_THK.shape[-1] - 2 * half], dim=-1)
    return torch.cat((first * cos_T1R - second * sin_T1R, second * cos_T1R + first * sin_T1R, still), dim=-1)


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

    def __init__(self, config: ModelConfig, *, sees_self: bool = True) -> None:
        super().__init__()
        self.is_pre_norm = config.norm == "pre"
        self.attention_norm = nn.LayerNorm(config.hidden_dim, bias=config.has_bias)
        self.attention = Attention(config, sees_self=sees_self)
        self.feedforward_norm = nn.LayerNorm(config.hidden_dim, bias=config.has_bias)
        self.feedforward = FeedForward(config)

    def forward(self, x_TD: Tensor, layout: Layout, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
        """[T, D] -> [T, D]."""
        if self.is_pre_norm:
            x_TD = x_TD + self.attention(self.attention_norm(x_TD), layout, rotary)
            return x_TD + self.feedforward(self.feedforward_norm(x_TD))  # type: ignore[no-any-return]
        x_TD = self.attention_norm(x_TD + self.attention(x_TD, layout, rotary))
        return self.feedforward_norm(x_TD + self.feedforward(x_TD))  # type: ignore[no-any-return]

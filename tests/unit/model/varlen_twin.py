"""`torch.nn.attention.varlen.varlen_attn` as its documentation describes it, for machines without its kernel."""

from __future__ import annotations

import inspect

import torch
from torch import Tensor
from torch.nn.attention import varlen

from tests.unit.model.reference import softmax_attention


def varlen_attn_twin(*args, **kwargs) -> Tensor:
    """Softmax attention inside each run of packed tokens; the caller's side of the contract is asserted."""
    bound = inspect.signature(varlen.varlen_attn).bind(*args, **kwargs).arguments
    assert set(bound) == {"query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k"}
    query, key, value, places = (bound[name] for name in ("query", "key", "value", "cu_seq_q"))
    assert query.shape == key.shape == value.shape
    assert query.dtype == key.dtype == value.dtype
    assert query.ndim == 3
    assert bound["cu_seq_k"] is places
    assert places.dtype == torch.int32
    assert places.is_contiguous()
    lengths = places.diff().tolist()
    assert places[0] == 0
    assert places[-1] == len(query)
    assert bound["max_q"] == bound["max_k"] == max(lengths)
    return packed(query, key, value, lengths)


def packed(query: Tensor, key: Tensor, value: Tensor, lengths: list[int]) -> Tensor:
    parts = zip(*(torch.split(item, lengths) for item in (query, key, value)), strict=True)
    return torch.cat([softmax_attention(*(item.transpose(0, 1) for item in qkv)).transpose(0, 1) for qkv in parts])

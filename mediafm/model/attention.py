"""Attention inside each sequence of a packed batch, by whichever way the device is quick at.

- "varlen": `torch.nn.attention.varlen.varlen_attn` (FlashAttention; Dao 2023) on packed tokens. CUDA, 16-bit numbers.
- "padded": dense attention on a [B, S] grid with a mask. Whatever the varlen kernel does not take: float32 on CUDA,
  older GPUs, odd head widths, other devices. (`flex_attention` with a block mask would serve float32 as well, but only
  compiled; uncompiled it writes all T x T scores.)
- "buckets": sequences of equal length in one dense call. CPU, where a call costs little and padding costs much.

All three give the same numbers but for rounding, and no token ever meets one of another sequence.

Measured for the CPU (forward and backward of attention alone, one thread, against one call per sequence): 60 titles of
about 40 shots (log-normal, sigma .8), 4 heads of 64: equal lengths .73, near lengths padded up to 10 / 25 / 50 %
together .83 / .89 / 1.03, one padded grid 4.9; 300 titles of about 8 shots: .36, .39 / .43 / .50, 5.8; 30 of about 200
shots, 12 heads: .98, 1.10 / 1.21 / 1.38, 3.6. Padding never won, so lengths are never mixed. Of a whole step attention
is a small part (processor time): `small` on those 60 titles: buckets .98, grid 1.38; 2x128 on the 300: .89, 1.83.

T tokens, H heads, K head width, B sequences, S positions of the longest.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mediafm.errors import MediaFMError
from mediafm.model.layout import Backend, Buckets, Layout, Padded, Varlen

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # An older torch; `has_varlen_kernel` then says no.
    varlen_attn = None  # type: ignore[assignment]

VARLEN_DTYPES = (torch.float16, torch.bfloat16)
_MIN_CAPABILITY = (8, 0)
_MAX_HEAD_DIM, _HEAD_DIM_STEP = 256, 8


def has_varlen_kernel(device: torch.device) -> bool:
    """Whether this build of torch and this GPU run `varlen_attn` (FlashAttention 2: compute capability 8 and above)."""
    return (
        device.type == "cuda"
        and varlen_attn is not None
        and torch.backends.cuda.is_flash_attention_available()
        and torch.cuda.get_device_capability(device) >= _MIN_CAPABILITY
    )


def choose_backend(device_type: str, dtype: torch.dtype, head_dim: int, *, has_varlen: bool) -> Backend:
    """The backend for values of `dtype` on that kind of device; `has_varlen` is what `has_varlen_kernel` says."""
    if device_type == "cpu":
        return "buckets"
    fits = dtype in VARLEN_DTYPES and head_dim <= _MAX_HEAD_DIM and head_dim % _HEAD_DIM_STEP == 0
    return "varlen" if has_varlen and fits else "padded"


def attend(q_THK: Tensor, k_THK: Tensor, v_THK: Tensor, layout: Layout, *, sees_self: bool = True) -> Tensor:
    """softmax(q k^T / sqrt(K)) v inside each sequence, by the layout's plan. [T, H, K] of one dtype -> [T, H, K].

    Args:
        sees_self: whether a token attends to itself as well; if not, the layout has a plan for it.
    """
    plan = layout.plan if sees_self else layout.blind_plan
    if isinstance(plan, Varlen):
        return _attend_varlen(q_THK, k_THK, v_THK, plan)
    if isinstance(plan, Padded):
        return _attend_padded(q_THK, k_THK, v_THK, plan, sees_self)
    if isinstance(plan, Buckets):
        return _attend_buckets(q_THK, k_THK, v_THK, plan, sees_self)  # type: ignore[no-any-return]
    raise MediaFMError(
        "a layout without a plan for blind blocks", rule="`MediaFM.layout` makes one where there are any"
    )


def _attend_varlen(q_THK: Tensor, k_THK: Tensor, v_THK: Tensor, plan: Varlen) -> Tensor:
    places, longest = plan.cumulative, plan.max_length
    return varlen_attn(q_THK, k_THK, v_THK, places, places, longest, longest)  # type: ignore[return-value]


def _attend_padded(q_THK: Tensor, k_THK: Tensor, v_THK: Tensor, plan: Padded, sees_self: bool) -> Tensor:
    def grid(x_THK: Tensor) -> Tensor:
        flat = x_THK.new_zeros(plan.num_sequences * plan.max_length, *x_THK.shape[1:])
        flat = flat.index_copy(0, plan.place_T, x_THK)
        return flat.view(plan.num_sequences, plan.max_length, *x_THK.shape[1:]).transpose(1, 2)

    mask = plan.is_token_B11S
    if not sees_self:
        others_SS = _others(plan.max_length, q_THK.device)
        mask = others_SS if mask is None else mask & others_SS
    mixed_BHSK = functional.scaled_dot_product_attention(grid(q_THK), grid(k_THK), grid(v_THK), attn_mask=mask)
    return mixed_BHSK.transpose(1, 2).flatten(0, 1).index_select(0, plan.place_T)


# The number of calls and their shapes change with every batch: compiled, each batch would be compiled anew.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _attend_buckets(q_THK: Tensor, k_THK: Tensor, v_THK: Tensor, plan: Buckets, sees_self: bool) -> Tensor:
    sizes = [count * length for count, length in plan.shapes]
    # Backward in bfloat16, torch's CPU kernel takes .85 ms a call at the least: eight times float32's 12 tokens.
    qkv = (q_THK.float(), k_THK.float(), v_THK.float()) if v_THK.dtype == torch.bfloat16 else (q_THK, k_THK, v_THK)
    if plan.order_T is not None:
        qkv = tuple(item.index_select(0, plan.order_T) for item in qkv)  # type: ignore[assignment]
    # `split` rather than slices: the gradient of each slice would be a tensor of all T tokens.
    runs = zip(plan.shapes, *(torch.split(item, sizes) for item in qkv), strict=True)
    with torch.autocast(q_THK.device.type, enabled=False):
        mixed_THK = torch.cat([_attend_dense(shape, sees_self, *run) for shape, *run in runs])
    mixed_THK = mixed_THK if plan.inverse_T is None else mixed_THK.index_select(0, plan.inverse_T)
    return mixed_THK.to(v_THK.dtype)


def _attend_dense(shape: tuple[int, int], sees_self: bool, *qkv: Tensor) -> Tensor:
    """One bucket: (sequences, tokens of each) and its q, k, v, each [tokens of all, H, K]."""
    query, key, value = (item.reshape(*shape, *item.shape[1:]).transpose(1, 2) for item in qkv)
    mask = None if sees_self else _others(shape[1], query.device)
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return mixed.transpose(1, 2).flatten(0, 1)


def _others(length: int, device: torch.device) -> Tensor:
    """bool [S, S]: every token but the one itself; never empty, since a sequence has [CLS], [GLOBAL] and a shot."""
    return ~torch.eye(length, dtype=torch.bool, device=device)

"""What the model computes in: float32, or bfloat16 by autocast. Weights, gradients and the loss are float32 always.

"auto" follows a rule rather than a timed trial, which would make two runs of one configuration differ by the weather.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]
PrecisionSetting = Literal["auto", "float32", "bfloat16"]


MIN_CPU_DIM = 128
"""Models from this width on gain enough on a CPU to be rounded for it (our choice, from the measurement below)."""


def resolve_precision(setting: PrecisionSetting, device: torch.device, hidden_dim: int) -> Precision:
    """What a model of that width computes in on that device."""
    if setting != "auto":
        return setting
    return auto_precision(device.type, hidden_dim, is_native=is_native(device))


def auto_precision(device_type: str, hidden_dim: int, *, is_native: bool) -> Precision:
    """bfloat16 where the device multiplies it itself: on CUDA always, on a CPU for models that are wide enough.

    Measured on one core with AVX512-BF16 (CPU seconds of a whole step of 1,010 shots, E 2304, float32 over bfloat16,
    in turns): 2x128 1.7, small (256 wide) 1.8 to 2.3, medium (512) 1.9, base (768) 1.55; 2x128 with E 192: 1.1.
    Narrower models lose in casts what they gain. Validation losses of 2x128 agreed to four digits over 120 steps.
    """
    if device_type == "cuda":
        return "bfloat16" if is_native else "float32"
    return "bfloat16" if device_type == "cpu" and is_native and hidden_dim >= MIN_CPU_DIM else "float32"


def is_native(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 itself: CUDA from compute capability 8, CPUs with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def computing_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Autocasts where the precision is bfloat16."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        yield

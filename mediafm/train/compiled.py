"""`torch.compile` for a run that asks for it, and the way back where there is no compiler or it fails.

Blocks are compiled in place (`MediaFM.compile_blocks`), so names of weights stay as they are. Compilation happens at
the first call, so a trial batch, forward and backward, shows before the first step whether it works; it moves nothing.
Compiled sums are taken in another order: numbers agree to rounding, not bit by bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mediafm.model.batch import NUM_MODALITIES, pack
from mediafm.model.mediafm import MediaFM

TRIAL_SHOTS = (5, 9, 7)
"""Sequences of the trial batch: of different lengths, as a run's are."""


def try_compile(model: MediaFM, **options: Any) -> str:
    """Compiles the model's blocks; "" if that works, else it stays as it was and a sentence says why.

    Called where and as the model will compute (device, autocast); leaves its gradients as they were.

    Args:
        options: for `torch.compile`.
    """
    model.compile_blocks(**options)
    try:
        _keeping_gradients(model, lambda: _trial(model))
    except Exception as error:  # noqa: BLE001 - whatever a compiler may raise; what is not its fault the plain model shows
        for block in model.blocks:
            block._compiled_call_impl = None
        _keeping_gradients(model, lambda: _trial(model))
        note = f"not compiled, since {type(error).__name__}: {_in_short(error)}"
        warnings.warn(f"training goes on uncompiled: {note}", RuntimeWarning, stacklevel=2)
        return note
    return ""


def _trial(model: MediaFM) -> None:
    device = next(model.parameters()).device
    config = model.config
    batch = pack([_sequence(count, config.fused_dim) for count in TRIAL_SHOTS], config.metadata_dim).to(device)
    model.train()
    model(batch).float().sum().backward()
    model.eval()
    with torch.no_grad():
        model(batch)


def _sequence(num_shots: int, fused_dim: int) -> tuple[Tensor, Tensor, None, Tensor]:
    fused_nE = torch.full((num_shots, fused_dim), fused_dim**-0.5)
    return fused_nE, torch.ones(num_shots, NUM_MODALITIES, dtype=torch.bool), None, torch.arange(num_shots) == 1


def _keeping_gradients(model: MediaFM, work: Callable[[], None]) -> None:
    kept = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in kept:
        parameter.grad = None
    try:
        work()
    finally:
        for parameter, gradient in kept:
            parameter.grad = gradient


def _in_short(error: Exception) -> str:
    """The first two lines: whose error it was, and what."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or "it does not say why"

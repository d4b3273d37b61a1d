"""Inputs of each modality for `mediafm.testing.encoders.check_encoder`: ordinary ones and the oddest to be borne."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mediafm.encoders.encoder import ShotAudio, ShotFrames
from mediafm.types import Modality

TEXTS = (
    "Hello there. Hello!",
    "",
    "   \n",
    "♪♪",
    "七人の侍",
    "Ça, c'est là-bas",
    "\ud800 lone surrogate",
    "قصة قصيرة",
    "x" * 10_000,
)


def odd_shots() -> list[ShotFrames]:
    """Noise of several sizes (one pixel too), black and white."""
    draw = np.random.default_rng(0)
    sizes = [(3, 96, 128), (1, 1, 1), (8, 54, 97), (2, 384, 682)]
    noisy = [
        ShotFrames(
            tuple(draw.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)),
            tuple(0.1 * place for place in range(count)),
        )
        for count, height, width in sizes
    ]
    black = np.zeros((72, 128, 3), np.uint8)
    return [*noisy, ShotFrames((black, black), (0.0, 1.0)), ShotFrames((black + 255,), (0.0,))]


def odd_sounds() -> list[ShotAudio]:
    """Noise of several lengths (one sample too), silence, no samples at all, and other sample rates."""
    draw = np.random.default_rng(1)
    lengths = (1, 37, 511, 16_000, 100_003)
    noisy = [ShotAudio(draw.uniform(-1, 1, length).astype(np.float32), 16_000) for length in lengths]
    silent = [ShotAudio(np.zeros(length, np.float32), 16_000) for length in (0, 1, 8000)]
    other_rates = [ShotAudio(draw.normal(0, 0.1, 4000).astype(np.float32), rate) for rate in (8000, 44_100)]
    return [*noisy, *silent, *other_rates]


def odd_inputs(modality: Modality) -> Sequence[Any]:
    """Inputs that every encoder of `modality` must bear."""
    if modality is Modality.VIDEO:
        return odd_shots()
    return odd_sounds() if modality is Modality.AUDIO else TEXTS

"""Every encoder of the registry is held to the conformance pack."""

from __future__ import annotations

import numpy as np
import pytest

from mediafm.config import EncoderChoice
from mediafm.encoders.encoder import ShotAudio, ShotFrames
from mediafm.encoders.registry import REGISTRY, create_encoder
from mediafm.testing.encoders import check_encoder
from mediafm.types import Modality


def _shots() -> list[ShotFrames]:
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


def _sounds() -> list[ShotAudio]:
    draw = np.random.default_rng(1)
    lengths = (1, 37, 511, 16_000, 100_003)
    noisy = [ShotAudio(draw.uniform(-1, 1, length).astype(np.float32), 16_000) for length in lengths]
    silent = [ShotAudio(np.zeros(length, np.float32), 16_000) for length in (0, 1, 8000)]
    other_rates = [ShotAudio(draw.normal(0, 0.1, 4000).astype(np.float32), rate) for rate in (8000, 44_100)]
    return [*noisy, *silent, *other_rates]


TEXTS = [
    "Hello there. Hello!",
    "",
    "   \n",
    "♪♪",
    "七人の侍",
    "Ça, c'est là-bas",
    "\ud800 lone surrogate",
    "قصة قصيرة",
    "x" * 10_000,
]


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_conforms(name: str) -> None:
    modality = REGISTRY[name].modality
    inputs = {Modality.VIDEO: _shots(), Modality.AUDIO: _sounds(), Modality.TEXT: TEXTS}[modality]
    check_encoder(lambda: create_encoder(modality, EncoderChoice(name=name)), inputs)

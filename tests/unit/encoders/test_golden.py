"""Vectors that must not move unless `step_version` does.

Written by `python tests/unit/encoders/test_golden.py`, after raising the step version of what was meant to move.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediafm.config import EncoderChoice
from mediafm.encoders.encoder import ShotAudio, ShotFrames
from mediafm.encoders.registry import create_encoder
from mediafm.types import Modality

GOLDEN_FILE = Path(__file__).with_name("golden.npz")
TOLERANCE = 1e-3
"""Float16 keeps about three digits; processors differ in the seventh."""


def _frames(shift: int) -> ShotFrames:
    """Pictures by arithmetic alone: no generator whose stream could change."""
    down, across = np.indices((120, 213))
    pictures = []
    for place in range(3):
        phase = down * (3 + shift) + across * (2 + place) + (down * across) // 37
        pictures.append(
            np.stack([phase % 256, (phase * 3 + 40 * shift) % 251, (across + down) % 199], -1).astype(np.uint8)
        )
    return ShotFrames(tuple(pictures), (0.0, 1.0, 2.0))


def _sound(step: int) -> ShotAudio:
    places = np.arange(20_000, dtype=np.int64)
    hiss = (places * places * step) % 1009 / 1009 - 0.5
    tone = np.sin(places * 0.0173 * step) + np.sin(places * 0.1 / step)
    return ShotAudio((0.2 * tone + 0.05 * hiss).astype(np.float32), 16_000)


INPUTS: dict[str, tuple[Modality, Sequence[Any]]] = {
    "lite-video": (Modality.VIDEO, [_frames(0), _frames(4)]),
    "lite-audio": (Modality.AUDIO, [_sound(1), _sound(3)]),
    "lite-text": (Modality.TEXT, ["The dragon sleeps, and the village waits.", "七人の侍"]),
}


def _encode(name: str) -> tuple[int, np.ndarray]:
    modality, inputs = INPUTS[name]
    encoder = create_encoder(modality, EncoderChoice(name=name))
    return encoder.spec.step_version, encoder.encode(inputs)


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_output_moves_only_with_its_step_version(name: str) -> None:
    step_version, vectors = _encode(name)
    with np.load(GOLDEN_FILE, allow_pickle=False) as golden:
        expected, expected_version = golden[name], int(golden[f"{name}.step_version"])
    assert step_version == expected_version, "the step version was raised: write the golden file again"
    difference = np.abs(vectors - expected.astype(np.float32)).max()
    assert difference <= TOLERANCE, (
        f"{name} moved by {difference:.2g}: raise its STEP_VERSION, then write the file again"
    )


if __name__ == "__main__":
    parts: dict[str, np.ndarray] = {}
    for each in INPUTS:
        version, found = _encode(each)
        parts[each], parts[f"{each}.step_version"] = found.astype(np.float16), np.int64(version)
    np.savez_compressed(GOLDEN_FILE, **parts)

"""The smallest sounds: notes, slides, thumps. Waves are float64, one dimension, of any level, at `rate_hz`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Waves: TypeAlias = NDArray[np.float64]

HIGHEST_SHARE = 0.45
"""Nothing sounds above this share of the sample rate."""
ATTACK_SECONDS, RELEASE_SECONDS = 0.012, 0.02
SLIDE_SECONDS = 0.35
THUMP_SECONDS = 0.14


def seconds_of(num_samples: int, rate_hz: int) -> Waves:
    """The time of each sample, from 0."""
    return np.arange(num_samples) / rate_hz


def note(
    pitch_hz: float,
    partials: Sequence[float],
    length_seconds: float,
    rate_hz: int,
    *,
    decay_seconds: float,
    vibrato_hz: float = 0.0,
) -> Waves:
    """A plucked note; `partials` are the strengths of its harmonics from the first."""
    seconds = seconds_of(round(length_seconds * rate_hz), rate_hz)
    phase = 2 * np.pi * pitch_hz * seconds
    if vibrato_hz:
        phase = phase + 0.008 * pitch_hz / vibrato_hz * np.sin(2 * np.pi * vibrato_hz * seconds)
    tone = np.zeros_like(seconds)
    for number, strength in enumerate(partials, start=1):
        if strength and number * pitch_hz < HIGHEST_SHARE * rate_hz:
            tone += strength * np.sin(number * phase)
    attack = np.minimum(1.0, seconds / ATTACK_SECONDS)
    release = np.minimum(1.0, (length_seconds - seconds) / RELEASE_SECONDS)
    return tone * attack * release * np.exp(-seconds / decay_seconds)


def slide(pitch_hz: float, rate_hz: int) -> Waves:
    """A whistle that goes up and comes down."""
    seconds = seconds_of(round(SLIDE_SECONDS * rate_hz), rate_hz)
    hump = np.sin(np.pi * seconds / SLIDE_SECONDS)
    sweep_hz = pitch_hz * 2 * 2 ** (1.6 * hump)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(sweep_hz) / rate_hz) * hump, np.float64)


def thump(rate_hz: int) -> Waves:
    """A drum."""
    seconds = seconds_of(round(THUMP_SECONDS * rate_hz), rate_hz)
    return np.asarray(
        np.sin(2 * np.pi * (55 * seconds - 2.2 * np.exp(-seconds / 0.02))) * np.exp(-seconds / 0.05), np.float64
    )


def clap(rng: np.random.Generator, rate_hz: int) -> Waves:
    """A clap of hands, no two alike."""
    seconds = seconds_of(round(THUMP_SECONDS * rate_hz), rate_hz)
    return np.asarray(np.diff(rng.standard_normal(seconds.size + 1)) * np.exp(-seconds / 0.02), np.float64)


def mix_in(mix: Waves, sound: Waves, at: int) -> None:
    """Adds `sound` from sample `at` on, in place; what passes the end is lost."""
    end = min(mix.size, at + sound.size)
    if end > at >= 0:
        mix[at:end] += sound[: end - at]

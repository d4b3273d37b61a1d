"""lite-audio: the sound of a shot by statistics of its log-mel spectrogram and chromagram. No weights; our choice.

Timbre (level by band and its percentiles), movement (spread, changes, modulation) and harmony (pitch classes), each
family centred by fixed constants, brought to unit length and weighted.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mediafm.config import Positive, Section
from mediafm.encoders.encoder import Encoder, EncoderSpec, ShotAudio
from mediafm.encoders.sound_descriptors import FLOOR_DECIBELS, NUM_MEL_BANDS, Floats, chroma, log_mel
from mediafm.types import Modality

STEP_VERSION = 1
WIDTH = 768
USUAL_DECIBELS = (-45.0, -80.0)
"""The level by band that we expect of any sound track, from the lowest band to the highest on a straight line."""
USUAL_SPREAD_DECIBELS = 8.0
NUM_MODULATIONS = 8
MODULATION_STEPS = 128
"""Window of the modulation spectrum, about two seconds."""
NUM_BROAD_BANDS = 16
MIN_FAMILY_NORM = 1e-3


class LiteAudioSettings(Section):
    """How much each family of descriptors counts in the cosine."""

    timbre_weight: Positive = 1.0
    movement_weight: Positive = 0.5
    harmony_weight: Positive = 0.5


class LiteAudio(Encoder[ShotAudio]):
    """768 numbers a shot: timbre, movement and harmony of its sound."""

    def __init__(self, settings: LiteAudioSettings | None = None) -> None:
        self.settings = settings or LiteAudioSettings()
        self.spec = EncoderSpec(
            name="lite-audio",
            modality=Modality.AUDIO,
            width=WIDTH,
            step_version=STEP_VERSION,
            settings=self.settings.model_dump(mode="json"),
        )

    def _encode(self, batch: Sequence[ShotAudio]) -> NDArray[np.float32]:
        return np.stack([self._vector(shot) for shot in batch])

    def _vector(self, shot: ShotAudio) -> Floats:
        levels = log_mel(shot.samples, shot.sample_rate_hz)
        joined = np.concatenate(
            (
                self.settings.timbre_weight * _unit(_timbre(levels)),
                self.settings.movement_weight * _unit(_movement(levels)),
                self.settings.movement_weight * _unit(_modulation(levels)),
                self.settings.harmony_weight * _unit(_harmony(chroma(shot.samples, shot.sample_rate_hz))),
            )
        )
        vector = np.zeros(WIDTH, np.float32)
        vector[: len(joined)] = joined
        return vector


def _timbre(levels: Floats) -> Floats:
    """Mean and three percentiles of each band's level, in units of 20 dB about the usual one. [4 * M]"""
    usual = np.linspace(*USUAL_DECIBELS, NUM_MEL_BANDS)
    statistics = np.stack([levels.mean(axis=0), *np.percentile(levels, (10, 50, 90), axis=0)])
    return np.asarray((statistics - usual) / 20, np.float32).reshape(-1)


def _movement(levels: Floats) -> Floats:
    """Spread of each band's level and of its changes from step to step, about the usual. [2 * M]"""
    changes = np.diff(levels, axis=0) if len(levels) > 1 else np.zeros_like(levels)
    spread = np.stack([levels.std(axis=0) - USUAL_SPREAD_DECIBELS, changes.std(axis=0) - USUAL_SPREAD_DECIBELS / 2])
    return np.asarray(spread / 10, np.float32).reshape(-1)


def _modulation(levels: Floats) -> Floats:
    """How strongly broad bands swing at slow rates (about 0.5 to 16 Hz, in octaves), as shares. [16 * 8]"""
    broad = levels.reshape(len(levels), NUM_BROAD_BANDS, -1).mean(axis=2)
    broad = np.pad(broad, ((0, -len(broad) % MODULATION_STEPS), (0, 0)), mode="edge")
    pieces = broad.reshape(-1, MODULATION_STEPS, NUM_BROAD_BANDS)
    pieces = pieces - pieces.mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(pieces * np.hanning(MODULATION_STEPS)[:, None], axis=1)).mean(axis=0)
    edges = np.unique(np.round(np.geomspace(1, len(spectrum), NUM_MODULATIONS + 1)).astype(int))
    rates = np.stack([spectrum[low:high].mean(axis=0) for low, high in pairwise(edges)])
    total = rates.sum()
    shares = np.sqrt(rates / total) if total > -FLOOR_DECIBELS * 1e-6 else np.zeros_like(rates)
    return np.asarray(shares - shares.mean(), np.float32).reshape(-1)


def _harmony(pitch_classes: Floats) -> Floats:
    """Mean and spread of each pitch class's share, and how often two sound together. [12 + 12 + 78]"""
    mean = np.sqrt(pitch_classes.mean(axis=0))
    spread = np.sqrt(pitch_classes.std(axis=0))
    together = np.sqrt(pitch_classes.T @ pitch_classes / len(pitch_classes))[np.triu_indices(12)]
    return np.concatenate([part - part.mean() for part in (mean, spread, together)]).astype(np.float32)


def _unit(values: Floats) -> Floats:
    return np.asarray(values / (np.linalg.norm(values) + MIN_FAMILY_NORM), np.float32)

"""lite-audio: the sound of a shot by statistics of its spectrogram. No weights; our choice throughout.

Timbre (level by mel band), notes (which semitones stand out), harmony (which pitch classes sound together), spread (how
much each band moves) and rhythm (how fast it moves). Each family is centred by fixed constants, put to signed roots
where a few numbers would own the cosine, brought to unit length and weighted. No number is fitted on a catalogue: a
shot's vector comes from that shot alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mediafm.config import Section
from mediafm.encoders import sound_descriptors as measure
from mediafm.encoders.encoder import Encoder, EncoderSpec, ShotAudio
from mediafm.encoders.joining import Weight, centred, join, signed_root
from mediafm.encoders.sound_descriptors import NUM_MEL_BANDS, NUM_OCTAVES, Floats
from mediafm.types import Modality

STEP_VERSION = 1
WIDTH = 768
USUAL_DECIBELS = (-45.0, -80.0)
"""The level that we expect of any sound track in the lowest and in the highest band, on a straight line between."""
USUAL_LEVEL_DECIBELS = -30.0
USUAL_SPREAD_DECIBELS = 7.0
USUAL_CHANGE_DECIBELS = 4.0
PERCENTILES = (10, 50, 90)
USUAL_PERCENTILES_DECIBELS = (-8.0, 0.0, 8.0)
"""How far the percentiles of a band usually lie from its mean."""
NOTE_NEIGHBOURHOOD = 25
"""Semitones, one octave to each side, whose mean level a note must exceed to stand out."""
RHYTHM_WINDOW_STEPS = 128
"""About two seconds of the mel spectrogram."""
RHYTHM_EDGES = (1, 2, 3, 5, 9, 17, 33, 65)
"""Bins of the rhythm window's spectrum (0.49 Hz each) between which the seven rates lie."""
NUM_BROAD_BANDS = 16


class LiteAudioSettings(Section):
    """How much each family of descriptors counts in the cosine."""

    timbre_weight: Weight = 1.0
    notes_weight: Weight = 0.7
    harmony_weight: Weight = 0.4
    spread_weight: Weight = 0.2
    rhythm_weight: Weight = 0.1


class LiteAudio(Encoder[ShotAudio]):
    """768 numbers a shot; any length, silence included."""

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
        levels = measure.log_mel(shot.samples, shot.sample_rate_hz)
        power = measure.note_power(shot.samples, shot.sample_rate_hz)
        return join(
            (self.settings.timbre_weight, timbre(levels)),
            (self.settings.notes_weight, notes(measure.decibels(power))),
            (self.settings.harmony_weight, harmony(power)),
            (self.settings.spread_weight, spread(levels)),
            (self.settings.rhythm_weight, rhythm(levels)),
        )


def timbre(levels: Floats) -> Floats:
    """Mean and percentiles of each band about the usual level, and the loudest and mean level overall. [4 * M + 2]"""
    usual = np.linspace(*USUAL_DECIBELS, NUM_MEL_BANDS)
    percentiles = np.percentile(levels, PERCENTILES, axis=0) - np.asarray(USUAL_PERCENTILES_DECIBELS)[:, None]
    bands = np.concatenate([levels.mean(axis=0, keepdims=True), percentiles]) - usual
    whole = 10 * np.log10((10 ** (levels.astype(np.float64) / 10)).sum(axis=1))
    overall = np.array([whole.mean(), whole.max()]) - USUAL_LEVEL_DECIBELS
    return signed_root(np.concatenate([bands.reshape(-1), overall]) / 20)


def notes(levels: Floats) -> Floats:
    """How far each semitone stands out of the octaves around it: on the whole, when soft, when loud. [3 * P]"""
    statistics = [levels.mean(axis=0), *np.percentile(levels, (10, 90), axis=0)]
    return np.asarray(np.concatenate([_standing_out(row) for row in statistics]) / 10, np.float32)


def harmony(power: Floats) -> Floats:
    """Mean and spread of each pitch class's share of the power, and how much two sound together. [12 + 12 + 66]"""
    classes = power.reshape(len(power), NUM_OCTAVES, 12).sum(axis=1)
    total = classes.sum(axis=1, keepdims=True)
    shares = classes / np.maximum(total, measure.FLOOR_POWER)
    together = (np.einsum("ti,tj->ij", shares, shares) / len(shares))[np.triu_indices(12, 1)]
    parts = (shares.mean(axis=0), shares.std(axis=0), together)
    return np.concatenate([centred(np.sqrt(part)) for part in parts])


def spread(levels: Floats) -> Floats:
    """Spread of each band's level, and of its change from step to step, about the usual. [2 * M]"""
    changes = np.diff(levels, axis=0) if len(levels) > 1 else np.zeros_like(levels)
    within = levels.std(axis=0) - np.float32(USUAL_SPREAD_DECIBELS)
    between = changes.std(axis=0) - np.float32(USUAL_CHANGE_DECIBELS)
    return np.asarray(np.concatenate([within, between]) / 10, np.float32)


def rhythm(levels: Floats) -> Floats:
    """Root share of each rate (about 0.5 to 32 Hz, in octaves) in the swing of broad bands. [7 * 16]"""
    broad = levels.reshape(len(levels), NUM_BROAD_BANDS, -1).mean(axis=2)
    broad = np.pad(broad, ((0, -len(broad) % RHYTHM_WINDOW_STEPS), (0, 0)), mode="edge")
    pieces = broad.reshape(-1, RHYTHM_WINDOW_STEPS, NUM_BROAD_BANDS)
    swings = (pieces - pieces.mean(axis=1, keepdims=True)) * np.hanning(RHYTHM_WINDOW_STEPS)[:, None]
    spectrum = np.abs(np.fft.rfft(swings, axis=1)).mean(axis=0)
    rates = np.stack([spectrum[low:high].mean(axis=0) for low, high in pairwise(RHYTHM_EDGES)])
    return centred(np.sqrt(rates / (rates.sum() + 1)).reshape(-1))


def _standing_out(levels: Floats) -> Floats:
    """Each level less the mean of its neighbourhood; the ends are continued with the outermost level."""
    padded = np.pad(levels, NOTE_NEIGHBOURHOOD // 2, mode="edge")
    around = np.convolve(padded, np.full(NOTE_NEIGHBOURHOOD, 1 / NOTE_NEIGHBOURHOOD), "valid")
    return np.asarray(levels - around, np.float32)

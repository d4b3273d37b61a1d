"""What lite-audio measures of a sound: a log-mel spectrogram and levels by semitone, read in bounded memory.

Shapes: T time steps, F frequency bins, K bands: M mel bands, P semitones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NUM_MEL_BANDS = 64
MEL_LOWEST_HZ = 50.0
MEL_HIGHEST_HZ = 7600.0
MEL_WINDOW_SECONDS = 0.032
MEL_STEP_SECONDS = 0.016
NUM_OCTAVES = 5
NUM_SEMITONES = 12 * NUM_OCTAVES
LOWEST_NOTE_HZ = 65.406
"""C2 of equal temperament at A4 = 440 Hz, so that semitone 0 of each octave is a C."""
NOTE_WINDOW_SECONDS = 0.512
NOTE_STEP_SECONDS = 0.256
FLOOR_POWER = 1e-9
"""-90 dB relative to full scale: below it all is silence."""
STEPS_AT_ONCE = 2048
"""Windows transformed at once: bounds memory to some 10 MB however long the shot."""


def log_mel(samples: Floats, sample_rate_hz: int) -> Floats:
    """Mel band levels in dB relative to full scale, float32 [T, M], never below -90; T >= 1."""
    window = max(2, round(MEL_WINDOW_SECONDS * sample_rate_hz))
    step = max(1, round(MEL_STEP_SECONDS * sample_rate_hz))
    return decibels(_banded_power(samples, window, step, mel_bank(sample_rate_hz, window)))


def note_power(samples: Floats, sample_rate_hz: int) -> Floats:
    """Power by semitone over five octaves, float32 [T, P]; T >= 1."""
    window = max(2, round(NOTE_WINDOW_SECONDS * sample_rate_hz))
    step = max(1, round(NOTE_STEP_SECONDS * sample_rate_hz))
    return _banded_power(samples, window, step, note_bank(sample_rate_hz, window))


def decibels(power: Floats) -> Floats:
    return np.asarray(10 * np.log10(np.maximum(power, np.float32(FLOOR_POWER))), np.float32)


@dataclass(frozen=True, slots=True)
class Bank:
    """K bands of a spectrum. Each is a run of frequency bins with weights that sum to 1.

    runs: for each band its first bin and the weights from there on.
    """

    runs: tuple[tuple[int, Floats], ...]

    def power(self, spectrum: Floats) -> Floats:
        """Power by band of [T, F], float32 [T, K].

        By einsum and not by a matrix product: BLAS threads cost more than they give at this size, many times more on
        a busy machine, and their number moves the last digit.
        """
        found = np.empty((len(spectrum), len(self.runs)), np.float32)
        for band, (first, weights) in enumerate(self.runs):
            np.einsum("tf,f->t", spectrum[:, first : first + len(weights)], weights, out=found[:, band])
        return found


@lru_cache(maxsize=8)
def mel_bank(sample_rate_hz: int, window: int) -> Bank:
    """Triangles between points equally far on the mel scale (O'Shaughnessy's formula)."""
    bins_mel = _mel(np.fft.rfftfreq(window, 1 / sample_rate_hz))
    highest_hz = min(MEL_HIGHEST_HZ, sample_rate_hz / 2)
    lowest_mel, highest_mel = _mel(np.array([MEL_LOWEST_HZ, highest_hz])).tolist()
    return _triangles(bins_mel, np.linspace(lowest_mel, highest_mel, NUM_MEL_BANDS + 2))


@lru_cache(maxsize=8)
def note_bank(sample_rate_hz: int, window: int) -> Bank:
    """Triangles one semitone to each side of each note."""
    bins_hz = np.fft.rfftfreq(window, 1 / sample_rate_hz)
    bins_semitones = 12 * np.log2(np.maximum(bins_hz, 1.0) / LOWEST_NOTE_HZ)
    return _triangles(bins_semitones, np.arange(-1.0, NUM_SEMITONES + 1))


def _triangles(bins: NDArray[np.float64], corners: NDArray[np.float64]) -> Bank:
    """Triangle k rises from corner k, peaks at k + 1 and falls to k + 2; bins and corners on one scale."""
    runs = []
    for low, peak, high in zip(corners[:-2], corners[1:-1], corners[2:], strict=True):
        weights = np.maximum(0, np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak)))
        if weights.sum() < 0.5:
            # A band narrower than a bin would hear nothing: it listens to the nearest bin.
            weights = (np.arange(len(bins)) == np.abs(bins - peak).argmin()).astype(np.float64)
        heard = np.flatnonzero(weights)
        run = weights[heard[0] : heard[-1] + 1]
        runs.append((int(heard[0]), np.asarray(run / run.sum(), np.float32)))
    return Bank(tuple(runs))


def _banded_power(samples: Floats, window: int, step: int, bank: Bank) -> Floats:
    """Power in each band of `bank` per time step; the end is padded with zeros to a whole window. [T, bands]"""
    num_steps = 1 + max(0, -(-(len(samples) - window) // step))
    taper = np.hanning(window + 1)[:-1]
    taper = (taper / taper.sum()).astype(np.float32)
    found = np.empty((num_steps, len(bank.runs)), np.float32)
    for first in range(0, num_steps, STEPS_AT_ONCE):
        last = min(first + STEPS_AT_ONCE, num_steps)
        piece = samples[first * step : (last - 1) * step + window].astype(np.float32)
        piece = np.pad(piece, (0, (last - 1 - first) * step + window - len(piece)))
        windows = np.lib.stride_tricks.sliding_window_view(piece, window)[::step]
        spectrum = np.fft.rfft(windows * taper, axis=1)
        found[first:last] = bank.power(np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32))
    return found


def _mel(hertz: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + hertz / 700), np.float64)

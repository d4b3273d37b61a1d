"""What lite-audio measures of a sound: a log-mel spectrogram and a chromagram, read in bounded memory.

Shapes: T time steps, M mel bands, F frequency bins.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NUM_MEL_BANDS = 48
LOWEST_HZ = 50.0
HIGHEST_HZ = 7600.0
MEL_WINDOW_SECONDS = 0.032
MEL_STEP_SECONDS = 0.016
CHROMA_WINDOW_SECONDS = 0.256
CHROMA_STEP_SECONDS = 0.128
CHROMA_LOWEST_HZ = 55.0
CHROMA_HIGHEST_HZ = 1760.0
NUM_CHROMA = 12
FLOOR_DECIBELS = -90.0
STEPS_AT_ONCE = 2048
"""Windows transformed at once: bounds memory to a few MB however long the shot."""


def log_mel(samples: Floats, sample_rate_hz: int) -> Floats:
    """Mel band levels in dB relative to full scale, float32 [T, M], never below `FLOOR_DECIBELS`; T >= 1."""
    window = round(MEL_WINDOW_SECONDS * sample_rate_hz)
    bank = mel_bank(sample_rate_hz, window)
    power = _banded_power(samples, window, round(MEL_STEP_SECONDS * sample_rate_hz), bank)
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (FLOOR_DECIBELS / 10))), np.float32)


def chroma(samples: Floats, sample_rate_hz: int) -> Floats:
    """Power by pitch class (0 is C) per time step, each step's sum 1 or 0, float32 [T, 12]; T >= 1."""
    window = round(CHROMA_WINDOW_SECONDS * sample_rate_hz)
    bank = chroma_bank(sample_rate_hz, window)
    power = _banded_power(samples, window, round(CHROMA_STEP_SECONDS * sample_rate_hz), bank)
    total = power.sum(axis=1, keepdims=True)
    is_heard = total > 10 ** (FLOOR_DECIBELS / 10)
    return np.where(is_heard, power / np.where(is_heard, total, 1), 0).astype(np.float32)


@lru_cache(maxsize=8)
def mel_bank(sample_rate_hz: int, window: int) -> Floats:
    """Triangles of equal area between points equally far on the mel scale (O'Shaughnessy's formula), [F, M]."""
    bins_hz = np.fft.rfftfreq(window, 1 / sample_rate_hz)
    highest_hz = min(HIGHEST_HZ, sample_rate_hz / 2)
    corners = np.linspace(_mel(LOWEST_HZ), _mel(highest_hz), NUM_MEL_BANDS + 2)
    place = np.interp(_mel(bins_hz), corners, np.arange(NUM_MEL_BANDS + 2))
    triangles = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(1, NUM_MEL_BANDS + 1)))
    # A band narrower than a bin would hear nothing: it listens to the nearest bin.
    empty = np.flatnonzero(triangles.sum(axis=0) < 0.5)
    nearest = np.abs(_mel(bins_hz)[:, None] - corners[1:-1][empty]).argmin(axis=0)
    triangles[nearest, empty] = 1
    return np.asarray(triangles / triangles.sum(axis=0), np.float32)


@lru_cache(maxsize=8)
def chroma_bank(sample_rate_hz: int, window: int) -> Floats:
    """Each frequency bin's share in the twelve pitch classes of equal temperament at 440 Hz, [F, 12]."""
    bins_hz = np.fft.rfftfreq(window, 1 / sample_rate_hz)
    is_heard = (bins_hz >= CHROMA_LOWEST_HZ) & (bins_hz <= CHROMA_HIGHEST_HZ)
    pitch = 12 * np.log2(np.where(is_heard, bins_hz, 440.0) / 440.0) + 9
    distance = np.abs((pitch[:, None] - np.arange(NUM_CHROMA) + 6) % 12 - 6)
    return np.where(is_heard[:, None], np.maximum(0, 1 - distance), 0).astype(np.float32)


def _banded_power(samples: Floats, window: int, step: int, bank: Floats) -> Floats:
    """Power in each band of `bank` per time step; the end is padded with zeros to a whole window. [T, bands]"""
    num_steps = 1 + max(0, -(-(len(samples) - window) // step))
    taper = np.hanning(window + 1)[:-1].astype(np.float32)
    taper *= np.float32(1 / taper.sum())
    found = np.empty((num_steps, bank.shape[1]), np.float32)
    for first in range(0, num_steps, STEPS_AT_ONCE):
        last = min(first + STEPS_AT_ONCE, num_steps)
        piece = samples[first * step : (last - 1) * step + window].astype(np.float32)
        piece = np.pad(piece, (0, (last - 1 - first) * step + window - len(piece)))
        windows = np.lib.stride_tricks.sliding_window_view(piece, window)[::step]
        spectrum = np.fft.rfft(windows * taper, axis=1)
        found[first:last] = (spectrum.real**2 + spectrum.imag**2) @ bank
    return found


def _mel(hertz: NDArray[np.floating] | float) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz, np.float64) / 700))

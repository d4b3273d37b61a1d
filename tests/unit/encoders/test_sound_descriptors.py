"""What is measured of a sound, against tones whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.encoders import sound_descriptors as measure

RATE_HZ = 16_000


def _tone(frequency_hz: float, duration_seconds: float = 1.0, rate_hz: int = RATE_HZ) -> np.ndarray:
    times_seconds = np.arange(round(duration_seconds * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * frequency_hz * times_seconds)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [4000, 8000, 11_025, 16_000, 44_100, 96_000])
def test_every_band_hears_something_at_every_rate(rate_hz: int) -> None:
    window = round(measure.MEL_WINDOW_SECONDS * rate_hz)
    mel = measure.mel_bank(rate_hz, window).power(np.ones((2, window // 2 + 1), np.float32))
    np.testing.assert_allclose(mel, np.ones((2, measure.NUM_MEL_BANDS)), rtol=1e-5)
    window = round(measure.NOTE_WINDOW_SECONDS * rate_hz)
    notes = measure.note_bank(rate_hz, window).power(np.ones((2, window // 2 + 1), np.float32))
    np.testing.assert_allclose(notes, np.ones((2, measure.NUM_SEMITONES)), rtol=1e-5)


def test_an_a_is_an_a() -> None:
    power = measure.note_power(_tone(440.0), RATE_HZ).mean(axis=0)
    assert power.argmax() % 12 == 9
    assert power.argmax() == 12 * 2 + 9


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_pitch_does_not_depend_on_the_rate(rate_hz: int) -> None:
    assert measure.note_power(_tone(261.63, rate_hz=rate_hz), rate_hz).mean(axis=0).argmax() == 24


def test_higher_tones_lie_in_higher_bands() -> None:
    bands = [int(measure.log_mel(_tone(hertz), RATE_HZ).mean(axis=0).argmax()) for hertz in (100, 400, 1600, 6400)]
    assert bands == sorted(set(bands))


def test_ten_decibels_are_ten_decibels() -> None:
    loud = measure.log_mel(_tone(1000), RATE_HZ)
    soft = measure.log_mel(_tone(1000) * np.float32(10**-0.5), RATE_HZ)
    band = int(loud.mean(axis=0).argmax())
    assert (loud - soft)[:-2, band] == pytest.approx(10, abs=0.01)


def test_silence_is_the_floor() -> None:
    assert (measure.log_mel(np.zeros(1000, np.float32), RATE_HZ) == -90).all()


@settings(deadline=None)
@given(st.integers(0, 3000))
def test_any_length_gives_at_least_one_step(num_samples: int) -> None:
    samples = np.full(num_samples, 0.1, np.float32)
    levels = measure.log_mel(samples, RATE_HZ)
    window, step = 512, 256
    assert len(levels) == 1 + max(0, -(-(num_samples - window) // step))
    assert np.isfinite(levels).all()


def test_pieces_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 50_000).astype(np.float32)
    whole = measure.log_mel(samples, RATE_HZ)
    monkeypatch.setattr(measure, "STEPS_AT_ONCE", 7)
    np.testing.assert_allclose(measure.log_mel(samples, RATE_HZ), whole, atol=1e-3)

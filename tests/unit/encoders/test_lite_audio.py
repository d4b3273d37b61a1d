"""lite-audio: what sounds alike lies close; any length and silence are borne."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.encoders import lite_audio
from mediafm.encoders.encoder import ShotAudio
from mediafm.encoders.lite_audio import LiteAudio

RATE_HZ = 16_000


def _chord(*notes_hz: float, start_seconds: float = 0.0, rate_hz: int = RATE_HZ) -> ShotAudio:
    times_seconds = start_seconds + np.arange(2 * rate_hz) / rate_hz
    tone = sum(
        np.sin(2 * np.pi * note * overtone * times_seconds) / overtone for note in notes_hz for overtone in (1, 2)
    )
    hiss = np.random.default_rng(int(start_seconds * 10)).normal(0, 0.003, len(times_seconds))
    return ShotAudio((0.1 * tone + hiss).astype(np.float32), rate_hz)


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_the_same_chord_later_is_closer_than_another_chord_or_noise() -> None:
    noise = ShotAudio(np.random.default_rng(5).normal(0, 0.2, 2 * RATE_HZ).astype(np.float32), RATE_HZ)
    c_major, again = _chord(262, 330, 392), _chord(262, 330, 392, start_seconds=3.7)
    f_sharp = _chord(370, 466, 554)
    vectors = LiteAudio().encode([c_major, again, f_sharp, noise])
    same, other, hiss = (_cosine(vectors[0], vectors[row]) for row in (1, 2, 3))
    assert same > 0.9 > other > hiss


def test_the_rate_hardly_matters_below_its_limit() -> None:
    vectors = LiteAudio().encode([_chord(262, 330, 392), _chord(262, 330, 392, rate_hz=32_000)])
    assert _cosine(vectors[0], vectors[1]) > 0.9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 5000), st.sampled_from([0.0, 1e-30, 1.0, 1e6]), st.integers(0, 9))
def test_any_sound_gives_a_finite_vector_with_a_direction(num_samples: int, scale: float, seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-scale, scale, num_samples).astype(np.float32)
    vector = LiteAudio().encode([ShotAudio(samples, RATE_HZ)])[0]
    assert np.linalg.norm(vector) > 0.5


def test_all_families_fill_the_width() -> None:
    levels = np.random.default_rng(0).uniform(-80, -20, (300, 64)).astype(np.float32)
    power = np.random.default_rng(1).uniform(0, 1e-3, (20, 60)).astype(np.float32)
    assert lite_audio.rhythm(levels).shape == (112,)
    assert lite_audio.harmony(power).shape == (90,)
    assert lite_audio.notes(power).shape == (180,)
    assert lite_audio.spread(levels).shape == (128,)
    assert lite_audio.timbre(levels).shape == (258,)


def test_rhythm_finds_the_rate() -> None:
    """Bands that swing at 2 Hz: bin 4 of 0.49 Hz each, the third of the rates (bins 3 and 4)."""
    steps = np.arange(512)
    levels = np.repeat(-40 + 10 * np.sin(2 * np.pi * 4 * steps / 128)[:, None], 64, axis=1).astype(np.float32)
    assert lite_audio.rhythm(levels).reshape(7, 16).sum(axis=1).argmax() == 2


def test_a_note_stands_out_of_its_neighbourhood() -> None:
    levels = np.full((5, 60), -50, np.float32)
    levels[:, 33] = -20
    for statistic in lite_audio.notes(levels).reshape(3, 60):
        assert statistic.argmax() == 33
        assert statistic[33] == pytest.approx(3 * 24 / 25, rel=1e-4)


@pytest.mark.slow
def test_an_hour_needs_little_memory() -> None:
    import tracemalloc

    samples = np.zeros(3600 * RATE_HZ, np.float32)
    samples[::7] = 0.1
    tracemalloc.start()
    LiteAudio().encode([ShotAudio(samples, RATE_HZ)])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 600 * 1024**2

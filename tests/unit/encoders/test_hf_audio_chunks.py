"""Windows own every frame of a shot once, whatever its length; sound is extended and resampled without surprises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.encoders.hf_audio_chunks import FrameGrid, Window, cover, equal_parts, extended, resampled, widened

WAV2VEC2 = FrameGrid.of_convolutions((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))
lengths = st.lists(st.integers(1, 80), min_size=1, max_size=6, unique=True).map(sorted)


def owned(windows: list[Window]) -> list[int]:
    return [frame for window in windows for frame in range(window.own_start, window.own_end)]


def test_the_grid_of_wav2vec2() -> None:
    """Baevski et al. 2020, section 4.2: 20 ms from frame to frame, 25 ms of sound in each."""
    assert FrameGrid(320, 400) == WAV2VEC2
    assert [WAV2VEC2.num_frames(samples) for samples in (0, 399, 400, 719, 720, 16_000)] == [1, 1, 1, 1, 2, 49]


@given(st.integers(1, 10_000))
def test_samples_of_frames_are_just_enough(num_frames: int) -> None:
    assert WAV2VEC2.num_frames(WAV2VEC2.num_samples(num_frames)) == num_frames
    if num_frames > 1:
        assert WAV2VEC2.num_frames(WAV2VEC2.num_samples(num_frames) - 1) == num_frames - 1


@given(st.integers(1, 700), lengths)
def test_a_cover_owns_every_frame_once_with_windows_of_the_lengths(num_frames: int, allowed: list[int]) -> None:
    windows = cover(num_frames, allowed)
    assert owned(windows) == list(range(num_frames))
    for window in windows:
        assert 0 <= window.start <= window.own_start < window.own_end <= window.end <= num_frames
        assert window.num_frames in allowed or (num_frames < allowed[0] and window.num_frames == num_frames)


@given(st.integers(1, 700), lengths)
def test_a_cover_wastes_less_than_its_last_window(num_frames: int, allowed: list[int]) -> None:
    windows = cover(num_frames, allowed)
    assert sum(window.num_frames for window in windows) - num_frames < windows[-1].num_frames


def test_a_cover_by_hand() -> None:
    assert cover(23, [4, 8]) == [Window(0, 8, 0, 8), Window(8, 16, 8, 15), Window(15, 23, 15, 23)]
    assert cover(18, [4, 8])[1:] == [Window(8, 16, 8, 15), Window(14, 18, 15, 18)]
    assert cover(3, [4, 8]) == [Window(0, 3, 0, 3)]


@given(st.integers(1, 5000), st.integers(1, 400))
def test_equal_parts_own_every_frame_once_and_are_equal(num_frames: int, longest: int) -> None:
    windows = equal_parts(num_frames, longest)
    assert owned(windows) == list(range(num_frames))
    sizes = [window.num_frames for window in windows]
    assert max(sizes) <= longest
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 300), lengths, st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_widened_windows_own_the_shot_and_hear_its_margins(
    num_frames: int, allowed: list[int], before: int, after: int, margin: int
) -> None:
    heard = before + num_frames + after
    windows = widened(cover(num_frames, allowed), before, heard, margin)
    assert owned(windows) == list(range(before, before + num_frames))
    for window in windows:
        assert window.start == max(0, window.start)
        assert window.end <= heard
        assert window.own_start - window.start >= min(margin, window.own_start)
        assert window.end - window.own_end >= min(margin, heard - window.own_end)


@pytest.mark.parametrize(("num_samples", "expected"), [(1, [1, 1, 1, 1, 1]), (2, [1, 2, 2, 1, 1]), (0, [0] * 5)])
def test_short_sound_is_mirrored(num_samples: int, expected: list[int]) -> None:
    assert extended(np.arange(1, num_samples + 1, dtype=np.float32), 5).tolist() == expected


def test_long_sound_is_left_as_it_is() -> None:
    sound = np.arange(6, dtype=np.float32)
    assert extended(sound, 5) is sound


@pytest.mark.parametrize("rate_hz", [8000, 44_100, 48_000])
def test_a_tone_stays_the_same_tone_at_another_rate(rate_hz: int) -> None:
    tone, wanted = (np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32) for rate in (rate_hz, 16_000))
    found = resampled(tone, rate_hz, 16_000)
    assert found.dtype == np.float32
    assert len(found) == 16_000
    np.testing.assert_allclose(found[500:-500], wanted[500:-500], atol=5e-3)

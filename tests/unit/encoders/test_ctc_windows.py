"""Windows of a sound that comes as a stream: every frame kept once, heard with the overlap around it, none padded."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.encoders.ctc_windows import SoundWindow, WindowCutter
from mediafm.encoders.hf_audio_chunks import FrameGrid
from mediafm.errors import EncoderError

GRID = FrameGrid(hop_samples=4, field_samples=7)


def cut(num_samples: int, portions: list[int], length: int, overlap: int) -> list[SoundWindow]:
    samples = np.arange(num_samples, dtype=np.float32)
    cutter = WindowCutter(GRID, length, overlap)
    borders = [0, *sorted(min(each, num_samples) for each in portions), num_samples]
    found: list[SoundWindow] = []
    for first, last in pairwise(borders):
        found += cutter.push(samples[first:last])
    return found + list(cutter.finish())


@given(st.integers(0, 400), st.lists(st.integers(0, 400), max_size=8), st.integers(1, 20), st.integers(0, 6))
def test_each_frame_is_kept_once_and_heard_with_its_surroundings(
    num_samples: int, portions: list[int], length: int, overlap: int
) -> None:
    length = max(length, 2 * overlap + 1)
    num_frames = GRID.num_frames(num_samples) if num_samples >= GRID.field_samples else 0
    windows = cut(num_samples, portions, length, overlap)
    kept = [frame for window in windows for frame in range(window.own_start, window.own_end)]
    assert kept == list(range(num_frames))
    for window in windows:
        assert window.num_frames == min(length, num_frames), "one length; a short sound is one window"
        first = window.start * GRID.hop_samples
        assert window.samples.tolist() == list(range(first, first + GRID.num_samples(window.num_frames)))
        assert window.own_start - window.start >= (overlap if window.start else 0)
        end = window.start + window.num_frames
        assert end - window.own_end >= (overlap if end < num_frames else 0)


@given(st.lists(st.integers(0, 300), max_size=8))
def test_how_the_stream_is_portioned_changes_nothing(portions: list[int]) -> None:
    whole, portioned = cut(300, [], 12, 3), cut(300, portions, 12, 3)
    assert [(each.start, each.own_start, each.own_end) for each in portioned] == [
        (each.start, each.own_start, each.own_end) for each in whole
    ]


def test_memory_does_not_grow_with_the_sound() -> None:
    cutter = WindowCutter(GRID, 20, 4)
    for _ in range(1000):
        list(cutter.push(np.zeros(50, np.float32)))
        assert len(cutter._held) <= 2 * GRID.num_samples(20) + 50


def test_overlaps_that_leave_nothing_are_refused() -> None:
    with pytest.raises(EncoderError, match="windows of 8 frames that overlap by 4"):
        WindowCutter(GRID, 8, 4)

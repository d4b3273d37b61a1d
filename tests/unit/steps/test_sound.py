"""A title's sound shot by shot: margins of the neighbours' sound, and one loudness for the whole title."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.media.audio import ShotSamples
from mediafm.media.loudness import MAX_GAIN_DB, SILENT_LUFS, TARGET_LUFS, gain_to_target
from mediafm.steps.sound import with_margins


def numbered(lengths: list[int]) -> list[ShotSamples]:
    """Shots whose samples count on from one to the next."""
    ends = np.cumsum([0, *lengths])
    return [
        ShotSamples(index, np.arange(ends[index], ends[index + 1], dtype=np.float32)) for index in range(len(lengths))
    ]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(1, 12))
def test_margins_are_the_sound_just_before_and_after(lengths: list[int], margin: int) -> None:
    shots = numbered(lengths)
    whole = np.concatenate([shot.samples for shot in shots])
    found = list(with_margins(shots, [True] * len(shots), margin))
    assert [shot.index for shot, _, _ in found] == list(range(len(shots)))
    start = 0
    for shot, before, after in found:
        end = start + len(shot.samples)
        np.testing.assert_array_equal(before, whole[max(0, start - margin) : start])
        np.testing.assert_array_equal(after, whole[end : end + margin])
        start = end


def test_without_a_margin_nothing_is_held_back() -> None:
    read: list[int] = []

    def shots() -> Iterator[ShotSamples]:
        for shot in numbered([3, 3, 3]):
            read.append(shot.index)
            yield shot

    first, before, after = next(with_margins(shots(), [True] * 3, 0))
    assert (first.index, before.size, after.size, read) == (0, 0, 0, [0])


def test_only_the_shots_that_a_margin_reaches_over_are_held() -> None:
    read: list[int] = []

    def shots() -> Iterator[ShotSamples]:
        for shot in numbered([4] * 100):
            read.append(shot.index)
            yield shot

    stream = with_margins(shots(), [True] * 100, 6)
    for expected in range(50):
        assert next(stream)[0].index == expected
    assert len(read) <= 50 + 3


def test_a_shot_that_was_not_read_whole_lends_no_margin() -> None:
    found = list(with_margins(numbered([4, 4, 4]), [True, False, True], 3))
    assert [(before.size, after.size) for _, before, after in found] == [(0, 0), (0, 0), (0, 0)]


def test_a_title_is_brought_to_the_target() -> None:
    assert gain_to_target(TARGET_LUFS) == pytest.approx(1.0)
    assert gain_to_target(TARGET_LUFS - 20) == pytest.approx(10.0)
    assert gain_to_target(TARGET_LUFS + 20) == pytest.approx(0.1)


def test_silence_is_not_made_loud_and_gain_is_bounded() -> None:
    assert gain_to_target(SILENT_LUFS) == 1.0
    assert gain_to_target(SILENT_LUFS + 1) == pytest.approx(10 ** (MAX_GAIN_DB / 20))

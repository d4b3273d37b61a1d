from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mediafm.media.frame_choice import CANDIDATES_PER_FRAME, FrameReservoir


def chosen(num_frames: int, num_kept: int = 8, seconds_per_frame: float = 0.04) -> list[int]:
    reservoir: FrameReservoir[None] = FrameReservoir(num_kept)
    for index in range(num_frames):
        reservoir.offer(index, index * seconds_per_frame, None)
    return [candidate.frame_index for candidate in reservoir.choose(num_frames * seconds_per_frame)]


@given(num_frames=st.integers(1, 3000), num_kept=st.integers(1, 12))
def test_in_order_distinct_and_never_too_many(num_frames: int, num_kept: int) -> None:
    frames = chosen(num_frames, num_kept)
    assert frames == sorted(set(frames))
    assert 1 <= len(frames) <= num_kept
    assert 0 <= frames[0] <= frames[-1] < num_frames
    assert len(frames) == min(num_frames, num_kept)


@given(num_frames=st.integers(8, 5000))
def test_spread_evenly(num_frames: int) -> None:
    spacing = num_frames / 8
    for position, frame in enumerate(chosen(num_frames)):
        wanted = (position + 0.5) * spacing
        assert wanted - spacing / 2 - 1 <= frame <= wanted + 1


def test_golden() -> None:
    assert chosen(3) == [0, 1, 2]
    assert chosen(8) == list(range(8))
    assert chosen(32) == [2, 6, 10, 14, 18, 22, 26, 30]
    assert chosen(80) == [4, 12, 24, 32, 44, 52, 64, 72]
    assert chosen(32, num_kept=1) == [16]


def test_memory_is_bounded_in_an_hour_long_shot() -> None:
    reservoir: FrameReservoir[None] = FrameReservoir(8)
    largest = 0
    for index in range(60 * 3600):
        reservoir.offer(index, index / 60, None)
        largest = max(largest, len(reservoir))
    assert largest <= 8 * CANDIDATES_PER_FRAME
    assert len(reservoir.choose(3600.0)) == 8


def test_choice_is_by_time_not_by_number() -> None:
    reservoir: FrameReservoir[None] = FrameReservoir(2)
    for index, seconds in enumerate([0.0, 0.1, 0.2, 0.3, 10.0]):
        reservoir.offer(index, seconds, None)
    assert [candidate.frame_index for candidate in reservoir.choose(20.0)] == [3, 4]

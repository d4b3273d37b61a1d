"""Which frames of a shot are kept: spread evenly over its time, in bounded memory, whatever its length.

A reservoir takes every `stride`-th frame and doubles the stride when it is full, dropping every other candidate. So an
hour-long shot holds no more candidates than a second-long one, and each chosen frame is at most half a spacing early
(our choice of capacity below).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")

CANDIDATES_PER_FRAME = 4


@dataclass(frozen=True, slots=True)
class Candidate(Generic[Item]):
    """A frame that may be kept: its index in the title, its time, and whatever stands for its picture."""

    frame_index: int
    time_seconds: float
    item: Item


class FrameReservoir(Generic[Item]):
    """Candidates of one shot. Frames are offered one by one, in order."""

    def __init__(self, num_kept: int) -> None:
        self._num_kept = num_kept
        self._capacity = num_kept * CANDIDATES_PER_FRAME
        self._stride = 1
        self._num_offered = 0
        self._candidates: list[Candidate[Item]] = []

    def __len__(self) -> int:
        return len(self._candidates)

    def offer(self, frame_index: int, time_seconds: float, item: Item) -> None:
        """The shot's next frame, and what stands for its picture."""
        is_taken = self._num_offered % self._stride == 0
        if is_taken and len(self._candidates) == self._capacity:
            self._candidates = self._candidates[::2]
            self._stride *= 2
            is_taken = self._num_offered % self._stride == 0
        self._num_offered += 1
        if is_taken:
            self._candidates.append(Candidate(frame_index, time_seconds, item))

    def choose(self, end_seconds: float) -> tuple[Candidate[Item], ...]:
        """The candidates on screen in the middle of each of `num_kept` equal parts of the shot, each once.

        Args:
            end_seconds: where the shot ends.
        """
        if len(self._candidates) <= self._num_kept:
            return tuple(self._candidates)
        times = [candidate.time_seconds for candidate in self._candidates]
        part_seconds = (end_seconds - times[0]) / self._num_kept
        middles = [times[0] + (part + 0.5) * part_seconds for part in range(self._num_kept)]
        chosen = dict.fromkeys(max(0, bisect_right(times, middle) - 1) for middle in middles)
        return tuple(self._candidates[position] for position in chosen)

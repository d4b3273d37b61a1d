"""Which shot a caption belongs to: exactly one, the one that it shares most time with."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mediafm.errors import MediaFMError
from mediafm.media.timed_text_cue import Cue
from mediafm.types import Span


@dataclass(frozen=True, slots=True)
class Assignment:
    """`assigned`: (shot index, cue), ordered by shot and time. `num_outside`: cues that touch no shot."""

    assigned: tuple[tuple[int, Cue], ...]
    num_outside: int


def assign_cues(cues: Sequence[Cue], spans: Sequence[Span]) -> Assignment:
    """Each cue to the shot that it overlaps longest, the earlier one on a tie.

    Exactly one shot, so that no caption is seen by two shots' text vectors (our choice; design, section 7).
    O((n + m) log m) for n cues and m shots, also where every cue spans every shot.

    Raises:
        MediaFMError: the spans are not in order or overlap, or cues were lost (a bug).
    """
    timeline = _Timeline(spans)
    assigned: list[tuple[int, Cue]] = []
    num_outside = 0
    for cue in cues:
        index = timeline.greatest_overlap(cue.start_seconds, cue.end_seconds)
        if index is None:
            num_outside += 1
        else:
            assigned.append((index, cue))
    assigned.sort(key=lambda item: (item[0], item[1].start_seconds, item[1].end_seconds))
    if len(assigned) + num_outside != len(cues):
        raise MediaFMError(
            f"{len(assigned)} cues assigned and {num_outside} outside of {len(cues)}", rule="no cue may get lost"
        )
    return Assignment(tuple(assigned), num_outside)


def shot_text(cues: Sequence[Cue]) -> str:
    """The text of one shot: its cues in order of time, joined by newlines."""
    return "\n".join(cue.text for cue in sorted(cues, key=lambda cue: (cue.start_seconds, cue.end_seconds)))


class _Timeline:
    """Ordered, disjoint spans with a table of maxima over their durations (a sparse table, built when first needed)."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self.starts = [span.start_seconds for span in spans]
        self.ends = [span.end_seconds for span in spans]
        for index in range(1, len(spans)):
            if self.starts[index] < self.ends[index - 1]:
                raise MediaFMError(
                    f"shot {index} starts at {self.starts[index]} s, before shot {index - 1} ends",
                    rule="spans are ordered and disjoint",
                )

    def greatest_overlap(self, start: float, end: float) -> int | None:
        first = bisect_right(self.ends, start)
        last = bisect_left(self.starts, end) - 1
        if first > last:
            return None
        candidates = [first]
        if last - first > 1:
            candidates.append(self._longest(first + 1, last))
        candidates.append(last)
        return max(candidates, key=lambda index: (self._overlap(index, start, end), -index))

    def _overlap(self, index: int, start: float, end: float) -> float:
        return min(self.ends[index], end) - max(self.starts[index], start)

    def _longest(self, low: int, high: int) -> int:
        """The earliest of the longest spans in [low, high)."""
        level = (high - low).bit_length() - 1
        left = int(self._tables[level][low])
        right = int(self._tables[level][high - (1 << level)])
        return right if self._durations[right] > self._durations[left] else left

    @cached_property
    def _durations(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.asarray(self.ends, dtype=np.float64) - np.asarray(self.starts, dtype=np.float64)

    @cached_property
    def _tables(self) -> list[np.ndarray[tuple[int], np.dtype[np.int32]]]:
        """Table k holds, at i, the index of the earliest longest span in [i, i + 2**k)."""
        tables = [np.arange(len(self.starts), dtype=np.int32)]
        while len(tables[-1]) > (1 << (len(tables) - 1)):
            step = 1 << (len(tables) - 1)
            left, right = tables[-1][:-step], tables[-1][step:]
            tables.append(np.where(self._durations[right] > self._durations[left], right, left))
        return tables

"""From scores above a threshold to cuts: a run of such frames is one transition."""

from __future__ import annotations

from typing import Literal

CutPlace = Literal["end", "middle"]

MAX_BACK_FRAMES = 25
"""A cut "in the middle" lies at most this far before the first frame after the run: the delay is bounded."""


class RunCuts:
    """One cut for each run of frames above the threshold.

    "end" is the published convention (`predictions_to_scenes`): the new shot begins with the first frame after the run,
    and the frames of the run belong to the old one. For a hard cut the network marks the old shot's last frame, so the
    cut is the new shot's first. "middle" is our choice for gradual transitions: the frame after the run's middle (the
    earlier of two middles), which for a run of one frame is the same.

    A run at the very beginning or end of a title parts no two shots and makes no cut; the published code, which leaves
    such frames out of every scene, begins its first scene after the one and ends its last before the other.
    """

    def __init__(self, place: CutPlace) -> None:
        self._place = place
        self._index = -1
        self._run_start: int | None = None

    def push(self, is_above: bool) -> list[int]:
        """Takes the next frame; the cut of a run that it ends, if there is one."""
        self._index += 1
        if is_above:
            if self._run_start is None:
                self._run_start = self._index
            return []
        start, self._run_start = self._run_start, None
        return [] if not start else [self._cut(start)]

    def _cut(self, start: int) -> int:
        if self._place == "end":
            return self._index
        middle = (start + self._index - 1) // 2 + 1
        return max(middle, self._index - MAX_BACK_FRAMES)

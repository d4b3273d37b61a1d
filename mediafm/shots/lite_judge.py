"""How the default detector judges: its settings, the rule for plain hard cuts, and which peaks become cuts."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import Section, Share
from mediafm.shots.lite_features import BLOCK, FEATURE_NAMES, REACH, STRUCTURE_FLOOR, Floats

_MAX_STRIDE = 2
_COLUMN = {name: column for column, name in enumerate(FEATURE_NAMES)}


class LiteSettings(Section):
    """Lengths count analysed frames: every frame up to `max_rate_hz`, every second one above it.

    threshold: probability from which a peak is a boundary.
    hard_step: a hard cut changes the pixels by at least so much, as a share of full scale, in one frame,
    hard_ratio: by at least this many times the mean of the three steps on each side (PySceneDetect's adaptive ratio),
    hard_margin: and this many times the greatest of them;
    hard_return: the picture does not return: three and five frames apart it has changed by this share of the step;
    hard_structure: and correlates less than 1 - this with the picture before.
    peak_radius: a boundary is the highest probability this far around; two cannot be nearer.
    min_shot_frames: a cut nearer than this to the one before it or to the title's first frame is dropped: what would
        have been a shot is merged. So is one near the title's last frame, if `peak_radius` still holds it back.
    black_luma, black_spread: mean and deviation, in [0, 1], below which a frame is black.
    black_margin_frames: two boundaries this near to either end of one stretch of black are one: the first is kept, so
        that black belongs to the shot after it and is never a shot of its own.
    max_rate_hz: dissolves last so many seconds, not frames; above this rate every second frame is analysed.
    """

    threshold: Share = 0.5
    hard_step: Share = 0.05
    hard_ratio: Annotated[float, Field(ge=1)] = 3.0
    hard_margin: Annotated[float, Field(ge=1)] = 1.5
    hard_return: Share = 0.6
    hard_structure: Share = 0.28
    peak_radius: Annotated[int, Field(ge=1, le=24)] = 8
    min_shot_frames: Annotated[int, Field(ge=1)] = 9
    black_luma: Share = 0.08
    black_spread: Share = 0.03
    black_margin_frames: Annotated[int, Field(ge=0)] = 12
    max_rate_hz: Annotated[float, Field(gt=0)] = 33.0

    def delay_frames(self) -> int:
        """Rows come REACH + BLOCK - 1 frames late, peaks `peak_radius` later, doubled where frames are left out."""
        return _MAX_STRIDE * (REACH + BLOCK - 1 + self.peak_radius) + 1


def is_hard_cut(rows: Floats, settings: LiteSettings) -> NDArray[np.bool_]:
    """bool [C]: what no network need be asked: one step that stands out, lasts, and changes the picture's structure."""
    step = rows[:, _COLUMN["fine_step"]]
    lasting = np.minimum(rows[:, _COLUMN["fine_over_3"]], rows[:, _COLUMN["fine_over_5"]])
    found: NDArray[np.bool_] = (
        (step >= np.log(settings.hard_step))
        & (step - rows[:, _COLUMN["fine_beside_mean"]] >= np.log(settings.hard_ratio))
        & (step - rows[:, _COLUMN["fine_beside_max"]] >= np.log(settings.hard_margin))
        & (lasting - step >= np.log(settings.hard_return))
        & (rows[:, _COLUMN["structure_2"]] >= np.log(settings.hard_structure + STRUCTURE_FLOOR))
    )
    return found


def is_black(rows: Floats, settings: LiteSettings) -> NDArray[np.bool_]:
    """bool [C]: dark and without contrast."""
    dark = rows[:, _COLUMN["luma"]] < settings.black_luma
    found: NDArray[np.bool_] = dark & (rows[:, _COLUMN["spread"]] < settings.black_spread)
    return found


class PeakPicker:
    """Probabilities of consecutive analysed frames in, cuts out, `peak_radius` frames later."""

    def __init__(self, settings: LiteSettings) -> None:
        self._settings = settings
        self._window: list[tuple[int, float]] = []
        self._num_pushed = 0
        self._last_cut = 0
        self._black = (-(10**9), -(10**9))

    def push(self, begin: int, probability: float, is_black: bool) -> list[int]:
        """`begin` is what to answer if this frame is a boundary."""
        if is_black:
            is_same = self._black[1] == self._num_pushed - 1
            self._black = (self._black[0] if is_same else self._num_pushed, self._num_pushed)
        self._num_pushed += 1
        self._window.append((begin, probability))
        radius = self._settings.peak_radius
        if len(self._window) <= radius:
            return []
        told = self._judge(len(self._window) - 1 - radius)
        self._window = self._window[-2 * radius :]
        return told

    def flush(self) -> list[int]:
        """Judges the frames that waited for what comes after them."""
        first = max(0, len(self._window) - self._settings.peak_radius)
        last = len(self._window) - self._settings.min_shot_frames
        return [cut for place in range(first, last + 1) for cut in self._judge(place)]

    def _judge(self, place: int) -> list[int]:
        begin, probability = self._window[place]
        if probability < self._settings.threshold:
            return []
        radius = self._settings.peak_radius
        before = [value for _, value in self._window[max(0, place - radius) : place]]
        after = [value for _, value in self._window[place + 1 : place + 1 + radius]]
        if max(before, default=-1.0) >= probability or max(after, default=-1.0) > probability:
            return []
        position = self._num_pushed - len(self._window) + place
        if position - self._last_cut < self._settings.min_shot_frames or self._is_end_of_black(position):
            return []
        self._last_cut = position
        return [begin]

    def _is_end_of_black(self, position: int) -> bool:
        start, end = self._black
        margin = self._settings.black_margin_frames
        return start - margin <= self._last_cut < position and start < position <= end + margin

"""The default detector: no weights to download, about as fast as PySceneDetect's Adaptive, and it sees dissolves.

Frames become vectors of mean colours, windows of them become features (`lite_features`), features a probability
(`lite_network`), and its peaks the cuts: a hard cut at the first frame of the new shot, a gradual one at its middle.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import DetectorChoice, Section, Share
from mediafm.shots.detector import DetectorSpec, ShotDetector, SmallFrame
from mediafm.shots.lite_features import BLOCK, FEATURE_NAMES, REACH, Floats, TransitionFeatures, frame_vector
from mediafm.shots.lite_network import load_network
from mediafm.shots.settings import read_settings

STEP_VERSION = 3

_MAX_STRIDE = 2
_LUMA, _SPREAD = FEATURE_NAMES.index("luma"), FEATURE_NAMES.index("spread")


class LiteSettings(Section):
    """Lengths count analysed frames: every frame up to `max_rate_hz`, every second one above it.

    threshold: probability from which a peak is a boundary.
    peak_radius: a boundary is the highest probability this far around; two cannot be nearer.
    min_shot_frames: a cut nearer than this to the one before it or to the title's first frame is dropped: what would
        have been a shot is merged. So is one near the title's last frame, if `peak_radius` still holds it back.
    black_luma, black_spread: mean and deviation, in [0, 1], below which a frame is black.
    black_margin_frames: two boundaries this near to either end of one stretch of black are one: the first is kept, so
        that black belongs to the shot after it and is never a shot of its own.
    max_rate_hz: dissolves last so many seconds, not frames; above this rate every second frame is analysed.
    """

    threshold: Share = 0.5
    peak_radius: Annotated[int, Field(ge=1, le=24)] = 8
    min_shot_frames: Annotated[int, Field(ge=1)] = 9
    black_luma: Share = 0.08
    black_spread: Share = 0.03
    black_margin_frames: Annotated[int, Field(ge=0)] = 12
    max_rate_hz: Annotated[float, Field(gt=0)] = 33.0

    def delay_frames(self) -> int:
        """Rows come REACH + BLOCK - 1 frames late, peaks `peak_radius` later, doubled where frames are left out."""
        return _MAX_STRIDE * (REACH + BLOCK - 1 + self.peak_radius) + 1


class LiteDetector(ShotDetector):
    """Hard cuts, dissolves and fades through black, seen in frames of 64x36 px; a flash or a black frame is no cut."""

    def __init__(self, settings: LiteSettings) -> None:
        self._settings = settings
        self._network = load_network()
        self._features = TransitionFeatures()
        self._peaks = PeakPicker(settings)
        self._begins: list[int] = []
        self._last: tuple[SmallFrame, Floats] | None = None
        self._skipped: SmallFrame | None = None
        self.spec = DetectorSpec(
            name="lite",
            step_version=STEP_VERSION,
            frame_width_px=64,
            frame_height_px=36,
            pixel_format="bgr24",
            delay_frames=settings.delay_frames(),
            settings={**settings.model_dump(mode="json"), "network": self._network.fingerprint},
        )

    def push(self, frame: SmallFrame) -> list[int]:
        if self._is_surplus(frame):
            self._skipped = frame
            return []
        vector = frame_vector(frame.pixels)
        self._begins.append(self._begin_index(frame, vector))
        self._last, self._skipped = (frame, vector), None
        return self._cuts(self._features.push(vector))

    def flush(self) -> list[int]:
        return [*self._cuts(self._features.flush()), *self._peaks.flush()]

    def _is_surplus(self, frame: SmallFrame) -> bool:
        if self._last is None or self._skipped is not None:
            return False
        return frame.time_seconds - self._last[0].time_seconds < 1.0 / self._settings.max_rate_hz

    def _begin_index(self, frame: SmallFrame, vector: Floats) -> int:
        """Where a shot begins that is first seen in this frame: the frame left out before it may belong to it."""
        if self._last is None or self._skipped is None:
            return frame.index
        left_out = frame_vector(self._skipped.pixels)
        is_of_new = np.square(left_out - vector).sum() < np.square(left_out - self._last[1]).sum()
        return self._skipped.index if is_of_new else frame.index

    def _cuts(self, rows: Floats) -> list[int]:
        if not len(rows):
            return []
        begins, self._begins = self._begins[: len(rows)], self._begins[len(rows) :]
        is_black: NDArray[np.bool_] = (rows[:, _LUMA] < self._settings.black_luma) & (
            rows[:, _SPREAD] < self._settings.black_spread
        )
        cuts = []
        for begin, probability, black in zip(begins, self._network.probability(rows), is_black, strict=True):
            cuts += self._peaks.push(begin, float(probability), bool(black))
        return cuts


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


def build(choice: DetectorChoice) -> LiteDetector:
    """The detector of `choice`.

    Raises:
        ConfigError: a setting is unknown or out of its bounds.
    """
    return LiteDetector(read_settings(LiteSettings, choice))

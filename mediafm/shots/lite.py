"""The default detector: no weights to download, about as fast as PySceneDetect's Adaptive, and it sees dissolves.

Frames become features (`lite_features`). A written rule finds the plain hard cuts (`lite_judge`), a small network gives
the probability of all others (`lite_network`), and peaks are the cuts: a hard cut at the first frame of the new shot, a
gradual one at its middle.
"""

from __future__ import annotations

import numpy as np

from mediafm.config import DetectorChoice
from mediafm.shots.detector import DetectorSpec, ShotDetector, SmallFrame
from mediafm.shots.lite_features import FRAME_PX, Floats, TransitionFeatures, frame_vector
from mediafm.shots.lite_judge import LiteSettings, PeakPicker, is_black, is_hard_cut
from mediafm.shots.lite_network import load_network
from mediafm.shots.settings import read_settings

STEP_VERSION = 4


class LiteDetector(ShotDetector):
    """Hard cuts, dissolves and fades through black, seen in frames of 64x36 px; a flash or a black frame is no cut."""

    def __init__(self, settings: LiteSettings) -> None:
        self._settings = settings
        self._network = load_network()
        self._features = TransitionFeatures()
        self._peaks = PeakPicker(settings)
        self._begins: list[int] = []
        self._last: SmallFrame | None = None
        self._skipped: SmallFrame | None = None
        self.spec = DetectorSpec(
            name="lite",
            step_version=STEP_VERSION,
            frame_width_px=FRAME_PX[0],
            frame_height_px=FRAME_PX[1],
            pixel_format="bgr24",
            delay_frames=settings.delay_frames(),
            settings={**settings.model_dump(mode="json"), "network": self._network.fingerprint},
        )

    def push(self, frame: SmallFrame) -> list[int]:
        if self._is_surplus(frame):
            self._skipped = frame
            return []
        self._begins.append(self._begin_index(frame))
        self._last, self._skipped = frame, None
        return self._cuts(self._features.push(frame.pixels))

    def flush(self) -> list[int]:
        return [*self._cuts(self._features.flush()), *self._peaks.flush()]

    def _is_surplus(self, frame: SmallFrame) -> bool:
        if self._last is None or self._skipped is not None:
            return False
        return frame.time_seconds - self._last.time_seconds < 1.0 / self._settings.max_rate_hz

    def _begin_index(self, frame: SmallFrame) -> int:
        """Where a shot begins that is first seen in this frame: the frame left out before it may belong to it."""
        if self._last is None or self._skipped is None:
            return frame.index
        before, left_out, new = (frame_vector(each.pixels) for each in (self._last, self._skipped, frame))
        is_of_new = np.square(left_out - new).sum() < np.square(left_out - before).sum()
        return self._skipped.index if is_of_new else frame.index

    def _cuts(self, rows: Floats) -> list[int]:
        if not len(rows):
            return []
        begins, self._begins = self._begins[: len(rows)], self._begins[len(rows) :]
        probability = np.where(is_hard_cut(rows, self._settings), 1.0, self._network.probability(rows))
        judged = zip(begins, probability.tolist(), is_black(rows, self._settings).tolist(), strict=True)
        return [cut for each in judged for cut in self._peaks.push(*each)]


def build(choice: DetectorChoice) -> LiteDetector:
    """The detector of `choice`.

    Raises:
        ConfigError: a setting is unknown or out of its bounds.
    """
    return LiteDetector(read_settings(LiteSettings, choice))

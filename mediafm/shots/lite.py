"""The default detector: no weights. First version: Adaptive and Histogram together."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mediafm.config import DetectorChoice, Section
from mediafm.shots.detector import DetectorSpec, ShotDetector, SmallFrame
from mediafm.shots.pyscenedetect import AdaptiveSettings, HistogramSettings, PySceneDetectDetector
from mediafm.shots.settings import read_settings

STEP_VERSION = 1


class LiteSettings(Section):
    """A cut closer than `min_shot_frames` to the one before it is dropped."""

    min_shot_frames: Annotated[int, Field(ge=1)] = 12


class LiteDetector(ShotDetector):
    """Every cut that either of the two finds."""

    def __init__(self, settings: LiteSettings) -> None:
        self._settings = settings
        self._parts = (
            PySceneDetectDetector("adaptive", AdaptiveSettings(min_scene_len=settings.min_shot_frames)),
            PySceneDetectDetector("histogram", HistogramSettings(min_scene_len=settings.min_shot_frames)),
        )
        self._last_cut = 0
        self.spec = DetectorSpec(
            name="lite",
            step_version=STEP_VERSION,
            frame_width_px=256,
            frame_height_px=0,
            pixel_format="bgr24",
            delay_frames=max(part.spec.delay_frames for part in self._parts),
            settings=settings.model_dump(mode="json"),
        )

    def push(self, frame: SmallFrame) -> list[int]:
        told = sorted({cut for part in self._parts for cut in part.push(frame)})
        kept = []
        for cut in told:
            if cut - self._last_cut >= self._settings.min_shot_frames:
                kept.append(cut)
                self._last_cut = cut
        return kept


def build(choice: DetectorChoice) -> LiteDetector:
    """The detector of `choice`.

    Raises:
        ConfigError: a setting is unknown or out of its bounds.
    """
    return LiteDetector(read_settings(LiteSettings, choice))

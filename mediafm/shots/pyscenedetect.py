"""PySceneDetect's detectors behind our interface, by name, fed by our own decode.

They are given frame numbers, never times: every length below counts frames, so that a title with a variable
frame rate is cut at the right frames and keeps the times that its stream says. Frames are as wide as
PySceneDetect's own default downscale makes them. Source: scenedetect 0.7 (BSD-3-Clause), scenedetect.com.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mediafm.config import Count, DetectorChoice, Section
from mediafm.shots.detector import DetectorSpec, ShotDetector, SmallFrame
from mediafm.shots.settings import read_settings

STEP_VERSION = 1
FRAME_WIDTH_PX = 256
"""What `SceneManager` shrinks frames to by default."""
_NOMINAL_RATE_HZ = 25.0
"""FrameTimecode wants a rate; with frame numbers it never enters a decision."""

Frames = Annotated[int, Field(ge=0)]


class AdaptiveSettings(Section):
    """`AdaptiveDetector`: a frame's change against the mean change around it."""

    adaptive_threshold: Annotated[float, Field(gt=0)] = 3.0
    min_scene_len: Frames = 15
    window_width: Annotated[int, Field(ge=1, le=64)] = 2
    min_content_val: Annotated[float, Field(ge=0)] = 15.0
    luma_only: bool = False

    def delay_frames(self) -> int:
        return self.window_width


class ContentSettings(Section):
    """`ContentDetector`: change of hue, saturation and brightness above a fixed threshold."""

    threshold: Annotated[float, Field(ge=0)] = 27.0
    min_scene_len: Frames = 15
    luma_only: bool = False
    filter_mode: Literal["merge", "suppress"] = "merge"

    def delay_frames(self) -> int:
        return self.min_scene_len if self.filter_mode == "merge" else 0


class HistogramSettings(Section):
    """`HistogramDetector`: correlation of neighbouring luma histograms."""

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.20
    bins: Annotated[int, Field(ge=2, le=256)] = 128
    min_scene_len: Frames = 15

    def delay_frames(self) -> int:
        return 0


class HashSettings(Section):
    """`HashDetector`: distance of neighbouring perceptual hashes."""

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.35
    size: Annotated[int, Field(ge=2, le=64)] = 8
    lowpass: Annotated[int, Field(ge=1, le=16)] = 2
    min_scene_len: Frames = 15

    def delay_frames(self) -> int:
        return 0


class ThresholdSettings(Section):
    """`ThresholdDetector`: fades below (floor) or above (ceiling) a brightness; nothing else.

    A cut lies inside the fade by `fade_bias` (-1 its begin, 0 its middle, 1 its end), but never more than
    `max_delay_frames` before the fade's end: after a longer black it moves to there.
    """

    threshold: Annotated[int, Field(ge=0, le=255)] = 12
    min_scene_len: Frames = 15
    fade_bias: Annotated[float, Field(ge=-1, le=1)] = 0.0
    method: Literal["floor", "ceiling"] = "floor"
    min_out_length: Frames = 0
    max_delay_frames: Count = 48

    def delay_frames(self) -> int:
        return self.max_delay_frames


PySceneDetectSettings = AdaptiveSettings | ContentSettings | HistogramSettings | HashSettings | ThresholdSettings

_SETTINGS: dict[str, type[PySceneDetectSettings]] = {
    "adaptive": AdaptiveSettings,
    "content": ContentSettings,
    "histogram": HistogramSettings,
    "hash": HashSettings,
    "threshold": ThresholdSettings,
}


class PySceneDetectDetector(ShotDetector):
    """One of PySceneDetect's detectors. Cuts are increasing and never older than `spec.delay_frames`."""

    def __init__(self, name: str, settings: PySceneDetectSettings) -> None:
        self.spec = DetectorSpec(
            name=name,
            step_version=STEP_VERSION,
            frame_width_px=FRAME_WIDTH_PX,
            frame_height_px=0,
            pixel_format="bgr24",
            delay_frames=settings.delay_frames(),
            settings={**settings.model_dump(mode="json"), "scenedetect": _library_version()},
        )
        self._detector = _construct(settings)
        self._last_index = -1

    def push(self, frame: SmallFrame) -> list[int]:
        self._last_index = frame.index
        found = self._detector.process_frame(_timecode(frame.index), frame.pixels)
        return self._bounded(found)

    def flush(self) -> list[int]:
        if self._last_index < 0:
            return []
        return self._bounded(self._detector.post_process(_timecode(self._last_index)))

    def _bounded(self, found: list[Any]) -> list[int]:
        oldest = max(1, self._last_index - self.spec.delay_frames)
        return [max(cut.frame_num, oldest) for cut in found]


def build(choice: DetectorChoice) -> PySceneDetectDetector:
    """The detector of `choice`.

    Raises:
        ConfigError: a setting is unknown or out of its bounds.
    """
    return PySceneDetectDetector(choice.name, read_settings(_SETTINGS[choice.name], choice))


def _timecode(index: int) -> Any:
    from scenedetect.common import FrameTimecode

    return FrameTimecode(index, _NOMINAL_RATE_HZ)


def _library_version() -> str:
    """Major and minor: where PySceneDetect may move its cuts."""
    import scenedetect

    return ".".join(str(scenedetect.__version__).split(".")[:2])


def _construct(settings: PySceneDetectSettings) -> Any:
    import scenedetect.detectors as theirs
    from scenedetect.detector import FlashFilter

    values = settings.model_dump()
    match settings:
        case AdaptiveSettings():
            return theirs.AdaptiveDetector(**values)
        case ContentSettings():
            return theirs.ContentDetector(**{**values, "filter_mode": FlashFilter.Mode[settings.filter_mode.upper()]})
        case HistogramSettings():
            return theirs.HistogramDetector(**values)
        case HashSettings():
            return theirs.HashDetector(**values)
        case ThresholdSettings():
            del values["max_delay_frames"]
            return theirs.ThresholdDetector(
                **{**values, "method": theirs.ThresholdDetector.Method[settings.method.upper()]}
            )

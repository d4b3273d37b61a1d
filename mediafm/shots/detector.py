"""The detector interface: small frames in, cut positions out, with a bounded delay.

A detector sees every frame of a title once, in order, already shrunk by the decoder's own scaler, and answers
with the indexes of frames that begin a new shot. It may hold an answer back (to look ahead), never longer than
`spec.delay_frames`, so that the pass that feeds it can choose frames in bounded memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mediafm.errors import MediaFMError
from mediafm.types import Json


@dataclass(frozen=True, slots=True)
class SmallFrame:
    """One decoded frame, shrunk for a detector.

    index: counts decoded frames of the title from 0.
    time_seconds: the frame's own timestamp.
    pixels: uint8 [height, width, 3] in the `pixel_format` that the detector's spec asks for.
    """

    index: int
    time_seconds: float
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class DetectorSpec:
    """All that a detector's cuts depend on; it is what gets fingerprinted.

    name: its name in the registry.
    step_version: raised by hand whenever the same frames give other cuts.
    frame_width_px, frame_height_px: the size it wants; height 0 means "keep the aspect ratio".
    pixel_format: "bgr24", "rgb24" or "gray" (then pixels is [height, width]).
    delay_frames: the longest that a cut is held back: a cut at frame c is told by the push of frame c + delay.
    settings: every threshold.
    """

    name: str
    step_version: int
    frame_width_px: int
    frame_height_px: int
    pixel_format: str
    delay_frames: int
    settings: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pixel_format not in {"bgr24", "rgb24", "gray"}:
            raise MediaFMError(
                f"pixel format {self.pixel_format!r}",
                rule="a detector reads bgr24, rgb24 or gray",
                where=f"detector {self.name}",
            )
        if self.frame_width_px < 8 or self.frame_height_px < 0 or self.delay_frames < 0:
            raise MediaFMError(
                f"frames of {self.frame_width_px}x{self.frame_height_px} px, delay {self.delay_frames}",
                rule="the width is at least 8 px, height and delay at least 0",
                where=f"detector {self.name}",
            )

    def as_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "step_version": self.step_version,
            "frame_width_px": self.frame_width_px,
            "frame_height_px": self.frame_height_px,
            "pixel_format": self.pixel_format,
            "settings": dict(self.settings),
        }


class ShotDetector(ABC):
    """One title's detector: made fresh for each title, fed frame by frame, flushed once."""

    spec: DetectorSpec

    @abstractmethod
    def push(self, frame: SmallFrame) -> list[int]:
        """Feeds the next frame; returns the cuts that became final: increasing indexes of shots' first frames."""

    def flush(self) -> list[int]:
        """Ends the title; returns the cuts still held back."""
        return []

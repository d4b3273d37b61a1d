"""What one pass over a title gives: shots with the frames they keep, and what is to be said of the pass itself."""

from __future__ import annotations

from dataclasses import dataclass

from mediafm.errors import MediaError
from mediafm.types import Shot


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFrame:
    """A frame that a shot keeps.

    frame_index: counts decoded frames of the title from 0.
    time_seconds: the frame's own timestamp.
    jpeg: the picture as shown (turned, square pixels), `width_px` by `height_px`.
    """

    frame_index: int
    time_seconds: float
    width_px: int
    height_px: int
    jpeg: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CutShot:
    """A shot and its frames, in order of time; at least one."""

    shot: Shot
    frames: tuple[StoredFrame, ...]

    def __post_init__(self) -> None:
        inside = range(self.shot.start_frame, self.shot.end_frame)
        if not self.frames or any(frame.frame_index not in inside for frame in self.frames):
            raise MediaError(
                f"shot {self.shot.index} of frames {inside.start} to {inside.stop} keeps "
                f"{[frame.frame_index for frame in self.frames]}",
                rule="a shot keeps at least one frame, and only its own",
            )

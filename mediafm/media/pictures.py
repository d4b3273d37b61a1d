"""From the decoder's frame to what is looked at: the detector's small frame, and the JPEG that a shot keeps.

Both come straight from the decoder's own format by libswscale (no full-size RGB in between), in display shape: square
pixels, turned as a player would turn them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from mediafm.errors import InterruptedMediaError
from mediafm.media.info import VideoStream

MIN_SIDE_PX = 8
MAX_ASPECT = 16.0
"""No picture is drawn longer than this many times its other side, whatever its sample aspect ratio says."""


@dataclass(frozen=True, slots=True)
class DisplayShape:
    """How a picture is shown: size in square pixels after turning, and the quarter turns (counter-clockwise)."""

    width_px: int
    height_px: int
    quarter_turns: int

    @staticmethod
    def of(video: VideoStream) -> DisplayShape:
        """Square pixels keep the coded height; quarter turns then swap the sides."""
        aspect = video.width_px * video.sample_aspect_ratio / video.height_px
        aspect = min(max(aspect, 1 / MAX_ASPECT), MAX_ASPECT)
        width_px, height_px = max(1, round(video.height_px * aspect)), video.height_px
        quarter_turns = video.rotation_degrees // 90
        if quarter_turns % 2:
            width_px, height_px = height_px, width_px
        return DisplayShape(width_px, height_px, quarter_turns)

    def with_short_side(self, short_side_px: int) -> tuple[int, int]:
        """Width and height with this short side; never enlarged."""
        scale = min(1.0, short_side_px / min(self.width_px, self.height_px))
        return max(1, round(self.width_px * scale)), max(1, round(self.height_px * scale))

    def with_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """This size; a height of 0 keeps the display aspect."""
        if height_px == 0:
            height_px = max(MIN_SIDE_PX, round(width_px * self.height_px / self.width_px))
        return width_px, height_px


class Scaler:
    """Makes pictures of one size and format from frames. One per thread."""

    def __init__(
        self, size_px: tuple[int, int], pixel_format: str, quarter_turns: int, interpolation: Interpolation
    ) -> None:
        self._width_px, self._height_px = size_px[::-1] if quarter_turns % 2 else size_px
        self._pixel_format = pixel_format
        self._quarter_turns = quarter_turns
        self._interpolation = interpolation
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """uint8 [height, width, 3], or [height, width] for gray; turned as shown."""
        small = self._reformatter.reformat(
            frame,
            self._width_px,
            self._height_px,
            self._pixel_format,
            interpolation=self._interpolation,
            threads=1,
        )
        pixels = np.asarray(small.to_ndarray(), np.uint8)
        if self._quarter_turns:
            pixels = np.ascontiguousarray(np.rot90(pixels, self._quarter_turns))
        return pixels


def small_frame_scaler(shape: DisplayShape, width_px: int, height_px: int, pixel_format: str) -> Scaler:
    """For the detector: every frame passes here, so speed before beauty."""
    return Scaler(shape.with_size(width_px, height_px), pixel_format, shape.quarter_turns, Interpolation.FAST_BILINEAR)


def stored_frame_scaler(shape: DisplayShape, short_side_px: int) -> Scaler:
    """For the frames that shots keep: BGR, `short_side_px` on the short side, never enlarged."""
    return Scaler(shape.with_short_side(short_side_px), "bgr24", shape.quarter_turns, Interpolation.AREA)


def encode_jpeg(pixels_bgr: NDArray[np.uint8], quality: int) -> bytes:
    """A JPEG of uint8 [height, width, 3] in BGR.

    Raises:
        InterruptedMediaError: the encoder refused it (out of memory).
    """
    import cv2

    is_encoded, data = cv2.imencode(".jpg", pixels_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not is_encoded:
        raise InterruptedMediaError("a frame could not be written as JPEG", rule="every kept frame is stored")
    encoded: bytes = data.tobytes()
    return encoded

"""From the decoder's frame to what is looked at: the detector's small frame, and the JPEG that a shot keeps.

Both come straight from the decoder's own format (no full-size RGB in between), in display shape: square pixels, turned
as a player would turn them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
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


class PlaneScaler:
    """The same for the commonest formats (8-bit planar YUV) in half the time: each plane is scaled by itself, and only
    the result is turned into BGR.

    Args:
        is_fine: halve by averaging until the bilinear step at the end shrinks less than twofold; else that step alone,
            between four neighbours, as PySceneDetect shrinks its frames.
    """

    FORMATS = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"})

    def __init__(self, size_px: tuple[int, int], pixel_format: str, quarter_turns: int, is_fine: bool) -> None:
        self._size_px = size_px[::-1] if quarter_turns % 2 else size_px
        self._pixel_format = pixel_format
        self._quarter_turns = quarter_turns
        self._is_fine = is_fine

    @staticmethod
    def takes(frame: VideoFrame) -> bool:
        """True for frames that this class can read; others are the scaler's."""
        return frame.format.name in PlaneScaler.FORMATS and all(
            plane.line_size >= plane.width for plane in frame.planes
        )

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """As `Scaler` gives it, but for rounding and the choice of neighbours."""
        import cv2

        planes = frame.planes[:1] if self._pixel_format == "gray" else frame.planes
        scaled = [self._scaled(_plane_pixels(plane)) for plane in planes]
        matrix = _colour_matrix(frame, self._pixel_format)
        pixels: NDArray[np.uint8] = cv2.transform(cv2.merge(scaled) if len(scaled) > 1 else scaled[0], matrix)
        if self._quarter_turns:
            pixels = np.ascontiguousarray(np.rot90(pixels, self._quarter_turns))
        return pixels

    def _scaled(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        import cv2

        width_px, height_px = self._size_px
        while self._is_fine and plane.shape[1] >= 2 * width_px and plane.shape[0] >= 2 * height_px:
            half = plane.shape[1] // 2, plane.shape[0] // 2
            # An even crop, because only exact halving is fast.
            plane = cv2.resize(plane[: 2 * half[1], : 2 * half[0]], half, interpolation=cv2.INTER_AREA)
        scaled: NDArray[np.uint8] = cv2.resize(plane, self._size_px, interpolation=cv2.INTER_LINEAR)
        return scaled


def _plane_pixels(plane: VideoPlane) -> NDArray[np.uint8]:
    data = cast(bytes, plane)  # a plane is a buffer, which PyAV's types do not say
    return np.frombuffer(data, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _colour_matrix(frame: VideoFrame, pixel_format: str) -> NDArray[np.float32]:
    """From YUV bytes to `pixel_format`, float32 [3, 4] ([1, 2] for gray), by the frame's own matrix and range."""
    is_full_range = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return _cached_matrix(int(frame.colorspace), is_full_range, pixel_format)


@cache
def _cached_matrix(colorspace: int, is_full_range: bool, pixel_format: str) -> NDArray[np.float32]:
    """ITU-R BT.601, BT.709 and BT.2020: luma weights of red and blue; without a word, 601, as swscale takes it."""
    red, blue = {Colorspace.ITU709: (0.2126, 0.0722), Colorspace.BT2020: (0.2627, 0.0593)}.get(
        Colorspace(colorspace) if colorspace in list(Colorspace) else Colorspace.ITU601, (0.299, 0.114)
    )
    green = 1.0 - red - blue
    luma, chroma, black = (1.0, 1.0, 0.0) if is_full_range else (255 / 219, 255 / 224, 16.0)
    if pixel_format == "gray":
        return np.array([[luma, -luma * black]], np.float32)
    to_red, to_blue = 2 * (1 - red) * chroma, 2 * (1 - blue) * chroma
    to_green_u, to_green_v = -to_blue * blue / green, -to_red * red / green
    rows = {"b": (to_blue, 0.0), "g": (to_green_u, to_green_v), "r": (0.0, to_red)}
    return np.array(
        [[luma, u, v, -luma * black - 128 * (u + v)] for u, v in (rows[letter] for letter in pixel_format[:3])],
        np.float32,
    )


class Pictures:
    """Pictures of one size and format from frames of any format. One per thread."""

    def __init__(self, shape: DisplayShape, size_px: tuple[int, int], pixel_format: str, is_fine: bool) -> None:
        self._from_planes = PlaneScaler(size_px, pixel_format, shape.quarter_turns, is_fine)
        interpolation = Interpolation.AREA if is_fine else Interpolation.FAST_BILINEAR
        self._from_any = Scaler(size_px, pixel_format, shape.quarter_turns, interpolation)

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """uint8 [height, width, 3], or [height, width] for gray; turned as shown."""
        return self._from_planes(frame) if PlaneScaler.takes(frame) else self._from_any(frame)


def small_pictures(shape: DisplayShape, width_px: int, height_px: int, pixel_format: str) -> Pictures:
    """For the detector: every frame of a title passes here, so speed comes before beauty."""
    return Pictures(shape, shape.with_size(width_px, height_px), pixel_format, is_fine=False)


def stored_pictures(shape: DisplayShape, short_side_px: int) -> Pictures:
    """For the frames that shots keep: BGR, `short_side_px` on the short side, never enlarged."""
    return Pictures(shape, shape.with_short_side(short_side_px), "bgr24", is_fine=True)


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

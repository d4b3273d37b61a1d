from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace, Interpolation

from mediafm.config import MediaLimits
from mediafm.media.decode import FrameSource
from mediafm.media.info import VideoStream
from mediafm.media.pictures import DisplayShape, PlaneScaler, Scaler, encode_jpeg, small_pictures, stored_pictures
from mediafm.media.probe import probe


def stream(width_px: int, height_px: int, rotation_degrees: int = 0, sample_aspect_ratio: float = 1.0) -> VideoStream:
    return VideoStream(
        index=0,
        codec="h264",
        width_px=width_px,
        height_px=height_px,
        pixel_format="yuv420p",
        frame_rate=25.0,
        is_variable_frame_rate=False,
        rotation_degrees=rotation_degrees,
        sample_aspect_ratio=sample_aspect_ratio,
        start_seconds=0.0,
        end_seconds=1.0,
        num_frames=25,
        language=None,
    )


def smooth_frame(pixel_format: str, width_px: int = 320, height_px: int = 240) -> av.VideoFrame:
    across, down = np.meshgrid(np.linspace(0, 255, width_px), np.linspace(0, 255, height_px))
    pixels = np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pixel_format)


@pytest.mark.parametrize(
    ("video", "short_side_px", "size_px"),
    [
        (stream(1280, 720), 384, (683, 384)),
        (stream(640, 360), 384, (640, 360)),
        (stream(1280, 720, rotation_degrees=90), 384, (384, 683)),
        (stream(720, 576, sample_aspect_ratio=64 / 45), 384, (683, 384)),
        (stream(321, 241), 200, (266, 200)),
        (stream(1, 1), 384, (1, 1)),
    ],
)
def test_stored_size_is_as_shown_and_never_enlarged(
    video: VideoStream, short_side_px: int, size_px: tuple[int, int]
) -> None:
    assert DisplayShape.of(video).with_short_side(short_side_px) == size_px


def test_height_zero_keeps_the_aspect_as_shown() -> None:
    assert DisplayShape.of(stream(1280, 720)).with_size(128, 0) == (128, 72)
    assert DisplayShape.of(stream(1280, 720, rotation_degrees=270)).with_size(72, 0) == (72, 128)
    assert DisplayShape.of(stream(1280, 720)).with_size(48, 27) == (48, 27)


@pytest.mark.parametrize("pixel_format", ["bgr24", "rgb24", "gray"])
@pytest.mark.parametrize("source_format", ["yuv420p", "yuvj420p", "yuv444p"])
@pytest.mark.parametrize("is_fine", [True, False])
def test_the_fast_way_agrees_with_the_scaler(source_format: str, pixel_format: str, is_fine: bool) -> None:
    frame = smooth_frame(source_format)
    fast = PlaneScaler((64, 48), pixel_format, 0, is_fine)(frame)
    slow = Scaler((64, 48), pixel_format, 0, Interpolation.AREA)(frame)
    assert fast.shape == slow.shape
    assert fast.dtype == np.uint8
    # Neighbours and rounding differ by some levels; a wrong matrix or range would differ by tens.
    assert np.abs(fast.astype(int) - slow).mean() < 3.0


@pytest.mark.parametrize("source_format", ["yuv420p10le", "rgb24", "nv12", "yuv410p", "rgba", "gray"])
def test_every_other_format_goes_through_the_scaler(source_format: str) -> None:
    small = small_pictures(DisplayShape.of(stream(320, 240)), 64, 0, "bgr24")(smooth_frame(source_format))
    assert small.shape == (48, 64, 3)


@pytest.mark.parametrize("source_format", ["yuv420p", "yuv420p10le"])
def test_small_frames_are_turned_as_shown(source_format: str) -> None:
    frame = smooth_frame(source_format)
    upright = small_pictures(DisplayShape.of(stream(320, 240)), 64, 0, "gray")(frame)
    turned = small_pictures(DisplayShape.of(stream(320, 240, rotation_degrees=90)), 48, 0, "gray")(frame)
    assert turned.flags.c_contiguous
    assert np.abs(turned.astype(int) - np.rot90(upright)).mean() < 1.0


def test_a_stored_frame_is_the_picture_as_shown() -> None:
    scaler = stored_pictures(DisplayShape.of(stream(320, 240)), 120)
    data = encode_jpeg(scaler(smooth_frame("yuv420p")), 90)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (120, 160, 3)
    assert pixels[60, 155, 2] > 200 > 100 > pixels[60, 5, 2]
    assert pixels[5, 80, 1] < 60 < 200 < pixels[115, 80, 1]


def test_a_real_rotated_file_stands_upright(shared_media: Path) -> None:
    file = str(shared_media / "odd" / "rotated_270.mp4")
    info = probe(file, MediaLimits())
    assert info.video.rotation_degrees in {90, 270}
    with FrameSource(file, info.video, MediaLimits()) as source:
        frame = next(iter(source)).picture
    small = small_pictures(DisplayShape.of(info.video), 72, 0, "bgr24")(frame)
    assert small.shape == (128, 72, 3)


@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("source_format", ["yuv444p", "yuvj444p"])
def test_colours_come_back_by_the_files_own_matrix(source_format: str, matrix: Colorspace) -> None:
    across, down = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 48))
    colours = np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(colours, format="rgb24").reformat(format=source_format, dst_colorspace=matrix)
    back = PlaneScaler((64, 48), "rgb24", 0, is_fine=True)(frame)
    assert np.abs(back.astype(int) - colours).mean() < 2.0

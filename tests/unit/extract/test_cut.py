from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediafm.config import FrameSettings, MediaLimits
from mediafm.errors import MediaError, UnusableMediaError
from mediafm.extract.carriers import CutShot, StoredFrame
from mediafm.extract.cut import CutPass, PassBounds
from mediafm.media.probe import probe
from mediafm.shots.detector import DetectorSpec, ShotDetector, SmallFrame
from mediafm.types import Shot, Span

LIMITS = MediaLimits()


class ToldDetector(ShotDetector):
    """Knows its cuts beforehand and tells each `delay` frames late."""

    def __init__(self, cuts: Sequence[int], delay: int = 0, is_late: int = 0) -> None:
        self.spec = DetectorSpec(
            name="told",
            step_version=1,
            frame_width_px=16,
            frame_height_px=0,
            pixel_format="gray",
            delay_frames=delay,
        )
        self._cuts = list(cuts)
        self._wait = delay + is_late
        self.seen: list[SmallFrame] = []

    def push(self, frame: SmallFrame) -> list[int]:
        self.seen.append(frame)
        told = [cut for cut in self._cuts if cut + self._wait <= frame.index]
        self._cuts = [cut for cut in self._cuts if cut not in told]
        return told

    def flush(self) -> list[int]:
        return self._cuts


def cut(file: Path, detector: ShotDetector, bounds: PassBounds | None = None, **frames: int) -> list[CutShot]:
    done = CutPass(str(file), probe(str(file), LIMITS), detector, FrameSettings(**frames), LIMITS, bounds)
    shots = list(done)
    assert done.summary is not None
    assert done.summary.num_decoded == shots[-1].shot.end_frame
    return shots


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 frames of 25 a second, starting at 2 s, written once."""
    import av

    path = tmp_path_factory.mktemp("film") / "film.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for index in range(120):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 120 + index % 100, np.uint8), format="rgb24")
            frame.pts = index + 50
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


@given(
    cuts=st.lists(st.integers(1, 119), unique=True, max_size=12).map(sorted),
    delay=st.integers(0, 150),
    num_kept=st.integers(1, 9),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_spans_cover_the_title_whatever_the_delay(film: Path, cuts: list[int], delay: int, num_kept: int) -> None:
    shots = cut(film, ToldDetector(cuts, delay), frames_per_shot=num_kept)
    assert [shot.shot.start_frame for shot in shots] == [0, *cuts]
    assert [shot.shot.end_frame for shot in shots] == [*cuts, 120]
    assert [shot.shot.index for shot in shots] == list(range(len(shots)))
    edges = [2.0 + frame / 25 for frame in [0, *cuts, 120]]
    assert [shot.shot.span.start_seconds for shot in shots] == pytest.approx(edges[:-1], abs=0.001)
    assert [shot.shot.span.end_seconds for shot in shots] == pytest.approx(edges[1:], abs=0.002)
    for shot in shots:
        num_frames = shot.shot.end_frame - shot.shot.start_frame
        assert len(shot.frames) == min(num_kept, num_frames)
        times = [frame.time_seconds for frame in shot.frames]
        assert times == sorted(times)


def test_the_detector_sees_every_frame_once_and_small(film: Path) -> None:
    detector = ToldDetector([])
    cut(film, detector)
    assert [frame.index for frame in detector.seen] == list(range(120))
    assert {frame.pixels.shape for frame in detector.seen} == {(12, 16)}
    assert detector.seen[50].time_seconds == pytest.approx(4.0, abs=0.001)


def test_stored_frames_show_what_was_on_screen(film: Path) -> None:
    import cv2

    for shot in cut(film, ToldDetector([30, 70], delay=10)):
        for frame in shot.frames:
            pixels = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert pixels.shape == (frame.height_px, frame.width_px, 3) == (48, 64, 3)
            assert abs(int(pixels[40, 32, 1]) - (120 + frame.frame_index % 100)) < 12


def test_scaling_early_gives_the_same_frames_as_holding_them(film: Path) -> None:
    held = cut(film, ToldDetector([40], delay=5), short_side_px=24)
    scaled = cut(film, ToldDetector([40], delay=5), PassBounds(max_held_bytes=0), short_side_px=24)
    assert held == scaled


def test_equal_work_gives_equal_bytes(film: Path) -> None:
    assert cut(film, ToldDetector([40], delay=5)) == cut(film, ToldDetector([40], delay=5))


def test_a_detector_that_tells_too_late_is_refused(film: Path) -> None:
    with pytest.raises(MediaError, match="detector told: a cut at frame 40 told after 44 frames"):
        cut(film, ToldDetector([40], delay=0, is_late=3))


def test_too_many_shots(film: Path) -> None:
    done = CutPass(
        str(film), probe(str(film), LIMITS), ToldDetector([10, 20]), FrameSettings(), MediaLimits(max_shots=2)
    )
    with pytest.raises(UnusableMediaError, match="more than 2 shots"):
        list(done)


def test_a_shot_keeps_its_own_frames_only() -> None:
    shot = Shot(index=0, span=Span(0.0, 1.0), start_frame=0, end_frame=25)
    stray = StoredFrame(frame_index=25, time_seconds=1.0, width_px=1, height_px=1, jpeg=io.BytesIO().getvalue())
    with pytest.raises(MediaError, match="only its own"):
        CutShot(shot=shot, frames=(stray,))
    with pytest.raises(MediaError, match="at least one frame"):
        CutShot(shot=shot, frames=())

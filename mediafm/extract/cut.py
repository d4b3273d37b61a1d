"""The one pass over a title's picture: decode, shrink, detect, choose frames, store them as JPEG.

Memory is bounded whatever the title's length: frames wait only as long as the detector may still cut before them, a
shot's candidates live in a reservoir, and a shot leaves as soon as it is final.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from mediafm.config import FrameSettings, MediaLimits
from mediafm.errors import MediaError, UnusableMediaError
from mediafm.extract.carriers import CutShot, StoredFrame
from mediafm.media.decode import DecodedFrame, DecodeReport, FrameSource
from mediafm.media.frame_choice import CANDIDATES_PER_FRAME, Candidate, FrameReservoir
from mediafm.media.info import MediaInfo, PassSummary
from mediafm.media.pictures import DisplayShape, encode_jpeg, small_pictures, stored_pictures
from mediafm.media.remote import MediaSource
from mediafm.shots.detector import ShotDetector, SmallFrame
from mediafm.types import Shot, Span

Picture = VideoFrame | NDArray[np.uint8]
"""A candidate's picture: the decoder's own frame, or already scaled where many of those would fill the memory."""


@dataclass(frozen=True, kw_only=True)
class PassBounds:
    """Bounds of memory of one pass.

    max_held_bytes: full-size frames are held only while all that may be held at once stay below this.
    max_waiting_shots: finished shots whose JPEGs may still be in the making.
    """

    max_held_bytes: int = 256 * 1024**2
    max_waiting_shots: int = 4


@dataclass(slots=True)
class _OpenShot:
    """The shot that is being filled."""

    start_frame: int
    start_seconds: float
    candidates: FrameReservoir[Picture]


@dataclass(frozen=True, slots=True)
class _WaitingFrame:
    """A frame before which the detector may still cut."""

    index: int
    time_seconds: float
    picture: Picture


class CutPass:
    """One pass over one title. Iterate over it once; `summary` holds when the iteration has ended.

    Raises (while iterating):
        UnusableMediaError: no frame can be decoded, or there are more shots than the limits allow.
        MediaError: the detector broke its contract (a cut told too late, or out of order).
    """

    def __init__(
        self,
        path: MediaSource,
        info: MediaInfo,
        detector: ShotDetector,
        frames: FrameSettings,
        limits: MediaLimits,
        bounds: PassBounds | None = None,
    ) -> None:
        self._path, self._info, self._detector = path, info, detector
        self._frames, self._limits, self._bounds = frames, limits, bounds or PassBounds()
        shape, spec = DisplayShape.of(info.video), detector.spec
        self._shrink = small_pictures(shape, spec.frame_width_px, spec.frame_height_px, spec.pixel_format)
        self._scale_early = stored_pictures(shape, frames.short_side_px)
        self._scale_late = stored_pictures(shape, frames.short_side_px)
        self._waiting: deque[_WaitingFrame] = deque()
        self._cuts: deque[int] = deque()
        self._last_told = 0
        self._num_shots = 0
        self._open: _OpenShot | None = None
        self._writing: deque[Future[CutShot]] = deque()
        self.summary: PassSummary | None = None

    def __iter__(self) -> Iterator[CutShot]:
        with FrameSource(self._path, self._info.video, self._limits) as source, ThreadPoolExecutor(1) as writer:
            end_seconds = 0.0
            for frame in source:
                end_seconds = frame.time_seconds + self._shown_seconds(frame)
                self._detect(frame)
                self._settle(frame.index - self._detector.spec.delay_frames, writer)
                yield from self._written(self._bounds.max_waiting_shots)
            self._told(self._detector.flush(), source.report.num_frames)
            self._settle(source.report.num_frames, writer)
            self._close(source.report.num_frames, end_seconds, writer)
            yield from self._written(0)
            self.summary = _summary(source.report, self._info.video.num_frames)

    def _shown_seconds(self, frame: DecodedFrame) -> float:
        """How long a frame lasts if it is the last one."""
        rate = self._info.video.frame_rate
        return frame.duration_seconds or (1.0 / rate if rate else self._info.duration_seconds) or 1.0

    def _detect(self, frame: DecodedFrame) -> None:
        pixels = self._shrink(frame.picture)
        self._told(self._detector.push(SmallFrame(frame.index, frame.time_seconds, pixels)), frame.index + 1)
        self._waiting.append(_WaitingFrame(frame.index, frame.time_seconds, self._hold(frame.picture)))

    def _hold(self, picture: VideoFrame) -> Picture:
        """The decoder's own frame, which costs nothing; scaled at once where holding those would cost too much."""
        num_held = self._detector.spec.delay_frames + self._frames.frames_per_shot * (
            CANDIDATES_PER_FRAME + self._bounds.max_waiting_shots
        )
        num_bytes = sum(plane.buffer_size for plane in picture.planes)
        return picture if num_held * num_bytes <= self._bounds.max_held_bytes else self._scale_early(picture)

    def _told(self, cuts: list[int], num_seen: int) -> None:
        """Takes cuts in; each must lie after the last one, among frames seen but not yet settled."""
        first_open = self._waiting[0].index if self._waiting else num_seen - 1
        for cut in cuts:
            if cut <= self._last_told or not first_open <= cut < num_seen:
                raise MediaError(
                    f"a cut at frame {cut} told after {num_seen} frames, the one before it at {self._last_told}",
                    rule=f"cuts come in order, at most {self._detector.spec.delay_frames} frames late",
                    where=f"detector {self._detector.spec.name}",
                )
            self._cuts.append(cut)
            self._last_told = cut

    def _settle(self, last_index: int, writer: ThreadPoolExecutor) -> None:
        """Gives every frame up to `last_index` to its shot: no cut can come before it any more."""
        while self._waiting and self._waiting[0].index <= last_index:
            frame = self._waiting.popleft()
            if self._cuts and self._cuts[0] == frame.index:
                self._cuts.popleft()
                self._close(frame.index, frame.time_seconds, writer)
            if self._open is None:
                reservoir: FrameReservoir[Picture] = FrameReservoir(self._frames.frames_per_shot)
                self._open = _OpenShot(frame.index, frame.time_seconds, reservoir)
            self._open.candidates.offer(frame.index, frame.time_seconds, frame.picture)

    def _close(self, end_frame: int, end_seconds: float, writer: ThreadPoolExecutor) -> None:
        """Ends the open shot and lets its frames be written on the other thread."""
        if self._open is None:
            return
        if self._num_shots >= self._limits.max_shots:
            raise UnusableMediaError(
                f"more than {self._limits.max_shots} shots",
                rule=f"at most {self._limits.max_shots} are kept",
                remedy="Raise limits.max_shots, or the detector's threshold.",
            )
        shot = Shot(
            index=self._num_shots,
            span=Span(self._open.start_seconds, end_seconds),
            start_frame=self._open.start_frame,
            end_frame=end_frame,
        )
        self._writing.append(writer.submit(self._write, shot, self._open.candidates.choose(end_seconds)))
        self._num_shots += 1
        self._open = None

    def _written(self, max_waiting: int) -> Iterator[CutShot]:
        """Shots whose frames are stored; waits until at most `max_waiting` are still in the making."""
        while self._writing and (len(self._writing) > max_waiting or self._writing[0].done()):
            yield self._writing.popleft().result()

    def _write(self, shot: Shot, chosen: tuple[Candidate[Picture], ...]) -> CutShot:
        return CutShot(shot=shot, frames=tuple(self._store(candidate) for candidate in chosen))

    def _store(self, candidate: Candidate[Picture]) -> StoredFrame:
        picture = candidate.item
        pixels = self._scale_late(picture) if isinstance(picture, VideoFrame) else picture
        return StoredFrame(
            frame_index=candidate.frame_index,
            time_seconds=candidate.time_seconds,
            width_px=pixels.shape[1],
            height_px=pixels.shape[0],
            jpeg=encode_jpeg(pixels, self._frames.jpeg_quality),
        )


def _summary(report: DecodeReport, num_promised: int) -> PassSummary:
    notes = []
    if report.stopped_early:
        notes.append(f"decoding stopped after {report.num_frames} frames: {report.stopped_early}")
    if report.num_errors:
        notes.append(f"{report.num_errors} packets of the picture could not be decoded ({report.first_error})")
    if report.num_damaged_frames:
        notes.append(f"{report.num_damaged_frames} of {report.num_frames} frames are damaged")
    if report.num_frames < num_promised:
        notes.append(f"{num_promised} frames stand in the file, {report.num_frames} could be decoded")
    return PassSummary(num_decoded=report.num_frames, num_errors=report.num_errors, notes=tuple(notes))

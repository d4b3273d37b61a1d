"""Decoded frames of a title, in order, with their own times; damage is counted, never fatal.

FFmpeg decodes on its own threads and one of ours keeps it fed, so that whoever reads the frames may scale and judge
them meanwhile. Nothing is converted here: frames stay in the decoder's own format.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Self

import av
import av.error
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream

from mediafm.config import MediaLimits
from mediafm.errors import InterruptedMediaError, UnusableMediaError
from mediafm.media.container import open_container, packets
from mediafm.media.info import VideoStream
from mediafm.media.remote import MediaSource

FRAMES_PER_BATCH = 8
BATCHES_AHEAD = 3
"""How far decoding may run ahead of whoever reads the frames."""
_MIN_STEP_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One frame of the picture.

    index: counts decoded frames from 0.
    time_seconds: its own timestamp; strictly later than the frame before it.
    duration_seconds: how long it says it is shown; 0.0 if it does not say.
    picture: as the decoder gave it, before rotation.
    """

    index: int
    time_seconds: float
    duration_seconds: float
    picture: VideoFrame


@dataclass(slots=True)
class DecodeReport:
    """What went wrong on the way; filled in while frames are read, complete once they are all read."""

    num_frames: int = 0
    num_damaged_frames: int = 0
    num_errors: int = 0
    first_error: str = ""
    stopped_early: str = ""

    def count(self, error: av.error.FFmpegError) -> None:
        self.num_errors += 1
        self.first_error = self.first_error or str(error.strerror or error)


class FrameSource:
    """Decodes one video stream on a thread of its own. A context manager; iterate over it once.

    Raises (while iterating):
        UnusableMediaError: not one frame could be decoded, or the timestamps go beyond the limits.
        InterruptedMediaError: decoding ran out of memory.
    """

    def __init__(self, path: MediaSource, video: VideoStream, limits: MediaLimits) -> None:
        self.report = DecodeReport()
        self._path = path
        self._video = video
        self._limits = limits
        self._batches: queue.Queue[list[VideoFrame] | BaseException | None] = queue.Queue(BATCHES_AHEAD)
        self._time_base = Fraction(1, 1_000_000)
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_stopped.set()
        while self._thread.is_alive():
            try:
                self._batches.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def __iter__(self) -> Iterator[DecodedFrame]:
        clock: _Clock | None = None
        while (batch := self._batches.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            clock = clock or _Clock(self._video, self._time_base)
            for picture in batch:
                frame = clock.stamp(self.report.num_frames, picture)
                self.report.num_frames += 1
                self.report.num_damaged_frames += picture.is_corrupt
                self._check(clock)
                yield frame
        if not self.report.num_frames:
            said = f" ({self.report.first_error})" if self.report.first_error else ""
            raise UnusableMediaError(
                f"not one frame of the picture can be decoded{said}", rule="a title has at least one frame"
            )

    def _check(self, clock: _Clock) -> None:
        if clock.extent_seconds > self._limits.max_duration_seconds:
            raise UnusableMediaError(
                f"the picture's timestamps cover {clock.extent_seconds:.0f} s",
                rule=f"at most {self._limits.max_duration_seconds:.0f} s are read",
                remedy="Raise limits.max_duration_seconds if this is right.",
            )

    def _run(self) -> None:
        try:
            with open_container(self._path, self._limits) as container:
                stream = container.streams[self._video.index]
                assert isinstance(stream, AvVideoStream)
                stream.thread_type = "AUTO"
                self._time_base = stream.time_base or self._time_base
                self._decoder = stream.codec_context
                self._decode(container, stream)
            self._put(None)
        except MemoryError:
            self._put(InterruptedMediaError("decoding ran out of memory", rule="a title is decoded within bounds"))
        except BaseException as error:  # noqa: BLE001 - handed over whole to the thread that reads the frames
            self._put(error)

    def _decode(self, container: av.container.InputContainer, stream: AvVideoStream) -> None:
        batch: list[VideoFrame] = []
        for packet in self._packets(container, stream):
            batch += self._frames(packet)
            if len(batch) >= FRAMES_PER_BATCH:
                if self._is_stopped.is_set():
                    return
                self._put(batch)
                batch = []
        if batch:
            self._put(batch)

    def _packets(
        self, container: av.container.InputContainer, stream: AvVideoStream
    ) -> Iterator[av.Packet[AvVideoStream] | None]:
        """The stream's packets, then None. A last packet that is cut off is left out: PyAV stops at its error and
        would lose the good frames that the decoder's threads still hold."""
        held: av.Packet[AvVideoStream] | None = None
        try:
            for packet in packets(container, stream):
                if not packet.size:
                    continue
                if held is not None:
                    yield held
                held = packet
        except MemoryError:
            raise
        except av.error.FFmpegError as error:
            self.report.stopped_early = str(error.strerror or error)
        if held is not None and held.is_corrupt:
            self.report.num_errors += 1
            self.report.first_error = self.report.first_error or "the last packet is cut off"
        elif held is not None:
            yield held
        yield None

    def _frames(self, packet: av.Packet[AvVideoStream] | None) -> list[VideoFrame]:
        try:
            return self._decoder.decode(packet)
        except MemoryError:
            raise
        except av.error.EOFError:
            return []
        except av.error.FFmpegError as error:
            self.report.count(error)
            return []

    def _put(self, item: list[VideoFrame] | BaseException | None) -> None:
        while not self._is_stopped.is_set():
            try:
                self._batches.put(item, timeout=0.2)
                return
            except queue.Full:
                continue


class _Clock:
    """Frames' times: their own timestamps; where one is missing or goes back, a step after the frame before it.

    The stream's time base counts: frames that a decoder gives at the end, without a packet, carry none.
    """

    def __init__(self, video: VideoStream, time_base: Fraction) -> None:
        self._numerator, self._denominator = time_base.numerator, time_base.denominator
        self._step_seconds = max(1.0 / video.frame_rate if video.frame_rate else 0.0, _MIN_STEP_SECONDS)
        self._first_seconds: float | None = None
        self._last_seconds = 0.0

    @property
    def extent_seconds(self) -> float:
        return self._last_seconds - (self._first_seconds or 0.0)

    def stamp(self, index: int, picture: VideoFrame) -> DecodedFrame:
        ticks = picture.pts if picture.pts is not None else picture.dts
        seconds = self._seconds(ticks) if ticks is not None else None
        if self._first_seconds is None:
            self._first_seconds = seconds = seconds if seconds is not None else 0.0
        elif seconds is None or seconds <= self._last_seconds:
            seconds = self._last_seconds + self._step_seconds
        self._last_seconds = seconds
        return DecodedFrame(index, seconds, self._seconds(picture.duration), picture)

    def _seconds(self, ticks: int) -> float:
        return ticks * self._numerator / self._denominator

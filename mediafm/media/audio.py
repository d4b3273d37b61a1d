"""A title's sound by span: mono float32 at the encoders' rate, sample-accurate, in one pass and bounded memory.

The clock is the sound stream's own timestamps, on the same axis as the picture's spans. Gaps are silence. Sound is cut
into spans after one continuous resampling, so a span's first samples carry the filter's memory of some milliseconds
before it; nothing else crosses a cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import av
import av.container
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream as AvAudioStream
from numpy.typing import NDArray

from mediafm.config import AudioSettings, MediaLimits
from mediafm.errors import InterruptedMediaError, MediaError
from mediafm.media.container import open_container, packets
from mediafm.media.info import PassSummary
from mediafm.media.remote import MediaSource
from mediafm.types import Span

MAX_DRIFT_SECONDS = 0.02
"""Where a frame's timestamp leaves the count of samples by more than this, the timestamp is believed (our choice:
above the rounding of millisecond containers and one frame's jitter, below what lip-sync tolerates)."""
BATCH_SECONDS = 1.0
"""How much sound is resampled at once: a resampler call costs more than the samples of one packet."""


@dataclass(frozen=True, slots=True)
class ShotSamples:
    """The sound of one span.

    index: the span's index in what was asked for.
    samples: float32 mono; empty if no sound was decoded anywhere inside the span; zeros where there is a gap.
    """

    index: int
    samples: NDArray[np.float32]


@dataclass(slots=True)
class AudioReport:
    """What was met on the way; complete once all spans are read."""

    num_samples: int = 0
    num_errors: int = 0
    num_gaps: int = 0
    first_error: str = ""
    stopped_early: str = ""

    def count(self, error: av.error.FFmpegError) -> None:
        self.num_errors += 1
        self.first_error = self.first_error or str(error.strerror or error)

    def summary(self) -> PassSummary:
        notes = []
        if self.stopped_early:
            notes.append(f"sound stopped early: {self.stopped_early}")
        if self.num_errors:
            notes.append(f"{self.num_errors} packets of sound could not be decoded ({self.first_error})")
        if self.num_gaps:
            notes.append(f"the sound's timestamps jump {self.num_gaps} times")
        return PassSummary(num_decoded=self.num_samples, num_errors=self.num_errors, notes=tuple(notes))


def level_dbfs(samples: NDArray[np.float32]) -> float:
    """RMS level of float samples in dB of full scale; minus infinity for silence and for no samples."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
    return 10.0 * math.log10(power) if power > 0 else -math.inf


def is_silent(samples: NDArray[np.float32], settings: AudioSettings) -> bool:
    """True for a shot that has no sound: nothing decoded, or below `silence_dbfs`."""
    return level_dbfs(samples) < settings.silence_dbfs


def heard_span(span: Span, settings: AudioSettings) -> Span:
    """The part of a span whose samples are read: its middle `max_shot_seconds`, all of it if it is shorter."""
    excess_seconds = span.duration_seconds - settings.max_shot_seconds
    if excess_seconds <= 0:
        return span
    return Span(span.start_seconds + excess_seconds / 2, span.end_seconds - excess_seconds / 2)


def iter_shot_audio(
    path: MediaSource,
    stream_index: int,
    spans: Sequence[Span],
    settings: AudioSettings,
    limits: MediaLimits,
    report: AudioReport | None = None,
) -> Iterator[ShotSamples]:
    """One `ShotSamples` for every span, in order.

    Args:
        path: the media file.
        stream_index: the sound track, as probed.
        spans: ordered and disjoint, in seconds of the streams' own timestamps.
        settings: rate and the longest part of a span that is read.
        limits: bounds of the container.
        report: is filled in on the way.

    Raises:
        MediaError: the spans overlap or go back, or the stream is not sound.
        UnusableMediaError: the file cannot be opened any more.
        InterruptedMediaError: decoding ran out of memory.
    """
    report = report if report is not None else AudioReport()
    heard = [heard_span(span, settings) for span in spans]
    if any(later.start_seconds < earlier.end_seconds for earlier, later in pairwise(heard)):
        raise MediaError("spans that overlap or go back", rule="spans are ordered and disjoint")
    with open_container(path, limits) as container:
        stream = container.streams[stream_index]
        if not isinstance(stream, AvAudioStream):
            raise MediaError(f"stream {stream_index} is {stream.type}", rule="sound is read from an audio stream")
        pieces = _Timeline(settings.sample_rate_hz, report).pieces(_frames(container, stream, report))
        try:
            yield from _by_span(pieces, heard, settings.sample_rate_hz)
        except MemoryError as error:
            raise InterruptedMediaError("decoding sound ran out of memory", rule="sound is read in bounds") from error


@dataclass(frozen=True, slots=True)
class _Piece:
    """Samples without a gap; `start` counts samples from time zero and may be negative."""

    start: int
    samples: NDArray[np.float32]


def _frames(container: av.container.InputContainer, stream: AvAudioStream, report: AudioReport) -> Iterator[AudioFrame]:
    try:
        for packet in packets(container, stream):
            try:
                frames = packet.decode()
            except (MemoryError, av.error.EOFError):
                raise
            except av.error.FFmpegError as error:
                report.count(error)
                continue
            yield from frames
    except MemoryError:
        raise
    except av.error.EOFError:
        return
    except av.error.FFmpegError as error:
        report.stopped_early = str(error.strerror or error)


class _Timeline:
    """Joins frames that follow each other, resamples them a second at a time, and says where each piece belongs."""

    def __init__(self, rate_hz: int, report: AudioReport) -> None:
        self._rate_hz = rate_hz
        self._report = report
        self._batch: list[AudioFrame] = []
        self._batch_samples = 0
        self._kind: tuple[str, str, int] | None = None
        self._resampler: av.AudioResampler | None = None
        self._next_seconds = 0.0
        self._position = 0

    def pieces(self, frames: Iterator[AudioFrame]) -> Iterator[_Piece]:
        for frame in frames:
            if not frame.samples or not frame.sample_rate:
                continue
            kind = frame.format.name, frame.layout.name, frame.sample_rate
            if kind != self._kind:
                yield from self._finish()
                self._kind = kind
            seconds: float | None = frame.time
            is_first = self._resampler is None and not self._batch
            if seconds is not None and (is_first or self._has_jumped(seconds)):
                yield from self._finish()
                self._next_seconds = seconds
                self._position = round(seconds * self._rate_hz)
            self._batch.append(frame)
            self._batch_samples += frame.samples
            self._next_seconds += frame.samples / frame.sample_rate
            if self._batch_samples >= BATCH_SECONDS * frame.sample_rate:
                yield from self._resample(self._joined())
        yield from self._finish()

    def _has_jumped(self, seconds: float) -> bool:
        has_jumped = abs(seconds - self._next_seconds) > MAX_DRIFT_SECONDS
        self._report.num_gaps += has_jumped
        return has_jumped

    def _finish(self) -> Iterator[_Piece]:
        """Ends a run of frames: what the resampler still holds comes out."""
        if self._batch:
            yield from self._resample(self._joined())
        if self._resampler is not None:
            yield from self._resample(None)
            self._resampler = None

    def _joined(self) -> AudioFrame:
        """The batch as one frame."""
        first = self._batch[0]
        joined = AudioFrame.from_ndarray(
            np.concatenate([frame.to_ndarray() for frame in self._batch], axis=1),
            format=first.format.name,
            layout=first.layout.name,
        )
        joined.sample_rate = first.sample_rate
        self._batch, self._batch_samples = [], 0
        return joined

    def _resample(self, frame: AudioFrame | None) -> Iterator[_Piece]:
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=self._rate_hz)
        for resampled in self._resampler.resample(frame):
            samples = resampled.to_ndarray().reshape(-1).astype(np.float32, copy=False)
            self._report.num_samples += samples.size
            yield _Piece(self._position, samples)
            self._position += samples.size


def _by_span(pieces: Iterator[_Piece], spans: Sequence[Span], rate_hz: int) -> Iterator[ShotSamples]:
    """Copies pieces into the spans that they touch; a span leaves as soon as a piece reaches past it."""
    piece = next(pieces, None)
    for index, span in enumerate(spans):
        start, end = round(span.start_seconds * rate_hz), round(span.end_seconds * rate_hz)
        samples: NDArray[np.float32] | None = None
        while piece is not None and piece.start < end:
            samples = _copied(piece, start, end, samples)
            if piece.start + piece.samples.size >= end:
                break
            piece = next(pieces, None)
        yield ShotSamples(index, samples if samples is not None else np.zeros(0, np.float32))


def _copied(piece: _Piece, start: int, end: int, into: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """`into` (made if need be) with the part of `piece` inside `[start, end)`."""
    first, last = max(piece.start, start), min(piece.start + piece.samples.size, end)
    if first >= last:
        return into
    into = np.zeros(end - start, np.float32) if into is None else into
    into[first - start : last - start] = piece.samples[first - piece.start : last - piece.start]
    return into

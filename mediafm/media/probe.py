"""One full read of a media file: its checksum, its streams, the hash of each, and its real duration.

Nothing is taken from the header that the packets can tell: a header may claim ten hours. The picture's first frame is
decoded, so that what cannot be decoded at all is known at once.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import av
import av.container
import av.error
from av.audio.stream import AudioStream as AvAudioStream
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream as AvSubtitleStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream

from mediafm.config import MediaLimits
from mediafm.errors import InterruptedMediaError, UnusableMediaError
from mediafm.media.container import check_file, open_container
from mediafm.media.info import AudioStream, MediaInfo, SubtitleStream, VideoStream
from mediafm.media.packets import AnyPacket, PacketTally

_BLOCK_BYTES = 4 * 1024**2
_MICROSECONDS = 1_000_000
_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_SECONDARY = Disposition.comment | Disposition.visual_impaired | Disposition.descriptions
_MAX_TAGS = 100
_MAX_TAG_CHARACTERS = 4000
_BITMAP_SUBTITLES = frozenset(
    {"pgssub", "hdmv_pgs_subtitle", "dvdsub", "dvd_subtitle", "dvbsub", "dvb_subtitle", "xsub"}
)
OVERCLAIM_SECONDS = 1.0
OVERCLAIM_SHARE = 0.05
"""A header may claim this much more than the packets hold (the larger of both) before a note says so; our choice."""
MISSING_FRAMES = 2
MISSING_SHARE = 0.01
"""An index may count this many frames more than there are packets (AVI counts dropped ones)."""


def probe(path: str, limits: MediaLimits) -> MediaInfo:
    """Reads the whole file once and says what it is. `path` is a local file.

    Raises:
        UnusableMediaError: no picture that can be decoded, or beyond the limits; the sentence says which.
        NotFoundError: there is no such file.
        TransientError: it cannot be read now.
    """
    size_bytes = check_file(path, limits)
    checksum = _BackgroundChecksum(path)
    try:
        with open_container(path, limits) as container:
            reading = _read_packets(container, limits)
            return _describe(container, reading, checksum, size_bytes)
    finally:
        checksum.join()


class _BackgroundChecksum(threading.Thread):
    """Hashes the file while another thread demuxes it: the second of the two reads comes from memory."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._hash = hashlib.sha256()
        self._error: OSError | None = None
        self.start()

    def run(self) -> None:
        try:
            with open(self._path, "rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    self._hash.update(block)
        except OSError as error:
            self._error = error

    def hexdigest(self) -> str:
        self.join()
        if self._error is not None:
            raise InterruptedMediaError(
                f"the file could not be read to its end ({self._error})", rule="a title is read whole"
            ) from self._error
        return self._hash.hexdigest()


@dataclass
class _Reading:
    """What the one pass over the packets found, by stream index."""

    tallies: dict[int, PacketTally]
    first_frames: dict[int, VideoFrame] = field(default_factory=dict)
    decode_errors: dict[int, str] = field(default_factory=dict)
    demux_error: str = ""


def _read_packets(container: av.container.InputContainer, limits: MediaLimits) -> _Reading:
    streams = [stream for stream in container.streams if stream.type in {"video", "audio", "subtitle"}]
    _refuse_without_picture(streams)
    for stream in container.streams.video:
        _refuse_large(*_size_px(stream), limits)
    reading = _Reading({stream.index: PacketTally(stream) for stream in streams})
    pictures = {stream.index for stream in streams if _is_picture(stream) and _codec_name(stream)}
    try:
        for packet in container.demux(streams):
            tally = reading.tallies.get(packet.stream_index)
            if tally is None:
                continue
            tally.add(packet)
            if packet.stream_index in pictures and packet.stream_index not in reading.first_frames:
                _try_first_frame(packet, reading)
            if packet.stream_index in pictures and tally.latest_seconds() > limits.max_duration_seconds:
                raise _too_long(tally.latest_seconds(), limits)
    except MemoryError as error:
        raise InterruptedMediaError("reading it ran out of memory", rule="a title is read within bounds") from error
    except av.error.FFmpegError as error:
        reading.demux_error = str(error.strerror or error)
    return reading


def _refuse_without_picture(streams: list[Stream]) -> None:
    if any(_is_picture(stream) for stream in streams):
        return
    kinds = ", ".join(sorted({stream.type for stream in streams}))
    seen = f"the file has no picture ({kinds} only)" if kinds else "the file names no stream at all"
    if any(stream.type == "video" for stream in streams):
        seen = "the file's only picture is a cover or a thumbnail"
    raise UnusableMediaError(seen, rule="a title needs one video stream")


def _is_picture(stream: Stream) -> bool:
    return stream.type == "video" and not stream.disposition & _STILLS


def _refuse_large(width_px: int, height_px: int, limits: MediaLimits) -> None:
    if width_px > limits.max_width_px or height_px > limits.max_height_px:
        raise UnusableMediaError(
            f"the picture is {width_px}x{height_px} px",
            rule=f"at most {limits.max_width_px}x{limits.max_height_px} px are decoded",
            remedy="Raise limits.max_width_px and limits.max_height_px if this is right.",
        )


def _try_first_frame(packet: AnyPacket, reading: _Reading) -> None:
    try:
        frames = cast("list[VideoFrame]", packet.decode())
    except MemoryError:
        raise
    except av.error.FFmpegError as error:
        reading.decode_errors[packet.stream_index] = str(error.strerror or error)
        return
    if frames:
        reading.first_frames[packet.stream_index] = frames[0]


def _too_long(seconds: float, limits: MediaLimits) -> UnusableMediaError:
    return UnusableMediaError(
        f"the picture's timestamps cover at least {seconds:.0f} s",
        rule=f"at most {limits.max_duration_seconds:.0f} s are read",
        remedy="Raise limits.max_duration_seconds if this is right.",
    )


def _describe(
    container: av.container.InputContainer, reading: _Reading, checksum: _BackgroundChecksum, size_bytes: int
) -> MediaInfo:
    picture = _choose_picture(container, reading)
    video = _video(picture, reading)
    audio = _audio(container, reading)
    chosen = next((stream.index for stream in audio if stream.is_chosen), None)
    subtitles = [stream for stream in container.streams.subtitles if reading.tallies[stream.index].num_packets]
    header_seconds = container.duration / _MICROSECONDS if container.duration and container.duration > 0 else None
    notes = tuple(_notes(container, reading, video, header_seconds))
    return MediaInfo(
        media_sha256=checksum.hexdigest(),
        size_bytes=size_bytes,
        container=container.format.name,
        start_seconds=(container.start_time or 0) / _MICROSECONDS,
        duration_seconds=video.end_seconds - video.start_seconds,
        header_duration_seconds=header_seconds,
        video=video,
        audio=audio,
        subtitles=tuple(_subtitle(stream, reading.tallies[stream.index]) for stream in subtitles),
        tags=_tags(container.metadata),
        video_sha256=reading.tallies[video.index].sha256,
        audio_sha256=reading.tallies[chosen].sha256 if chosen is not None else "",
        subtitles_sha256=_joint_sha256([reading.tallies[stream.index].sha256 for stream in subtitles]),
        is_complete=not notes,
        notes=notes,
    )


def _choose_picture(container: av.container.InputContainer, reading: _Reading) -> AvVideoStream:
    """The default track before others, then the largest, then the first; only one that can be decoded."""
    pictures = [stream for stream in container.streams.video if _is_picture(stream)]
    full = [stream for stream in pictures if reading.tallies[stream.index].num_shown]
    if not full:
        raise UnusableMediaError(
            "the picture's track is empty" + (f" ({reading.demux_error})" if reading.demux_error else ""),
            rule="a title needs one video stream with packets",
            remedy="Copy the file again from its source.",
        )
    if any(reading.tallies[stream.index].is_encrypted for stream in full):
        raise UnusableMediaError("the picture is encrypted", rule="a title can be decoded without a key")
    _flush_for_first_frames(full, reading)
    decodable = [stream for stream in full if stream.index in reading.first_frames]
    if not decodable:
        raise _undecodable(full[0], reading)
    return max(
        decodable,
        key=lambda stream: (
            bool(stream.disposition & Disposition.default),
            math.prod(_size_px(stream)),
            -stream.index,
        ),
    )


def _flush_for_first_frames(pictures: list[AvVideoStream], reading: _Reading) -> None:
    """A decoder may hold a lone frame back until it is told that no more come."""
    for stream in pictures:
        if stream.index in reading.first_frames or not _codec_name(stream):
            continue
        try:
            frames = stream.codec_context.decode(None)
        except av.error.FFmpegError:
            continue
        if frames:
            reading.first_frames[stream.index] = frames[0]


def _undecodable(stream: AvVideoStream, reading: _Reading) -> UnusableMediaError:
    num_packets = reading.tallies[stream.index].num_packets
    codec = _codec_name(stream)
    said = reading.decode_errors.get(stream.index)
    seen = f"not one of the picture's {num_packets} packets ({codec or 'a codec unknown to FFmpeg'}) can be decoded"
    seen += f" ({said})" if said else ""
    return UnusableMediaError(seen, rule="a title needs a picture that FFmpeg can decode")


def _video(stream: AvVideoStream, reading: _Reading) -> VideoStream:
    tally, frame = reading.tallies[stream.index], reading.first_frames[stream.index]
    frame_rate, is_variable = tally.rate()
    aspect = stream.sample_aspect_ratio
    sample_aspect_ratio = float(aspect) if aspect and aspect > 0 else 1.0
    rotation_degrees = round(frame.rotation / 90) * 90 % 360
    tally.add_facts(f"|turned {rotation_degrees} shaped {sample_aspect_ratio}")
    return VideoStream(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        width_px=frame.width,
        height_px=frame.height,
        pixel_format=frame.format.name,
        frame_rate=frame_rate,
        is_variable_frame_rate=is_variable,
        rotation_degrees=rotation_degrees,
        sample_aspect_ratio=sample_aspect_ratio,
        start_seconds=tally.start_seconds,
        end_seconds=tally.end_seconds,
        num_frames=tally.num_shown,
        language=_language(stream),
    )


def _audio(container: av.container.InputContainer, reading: _Reading) -> tuple[AudioStream, ...]:
    streams = [
        stream for stream in container.streams.audio if reading.tallies[stream.index].num_shown and _codec_name(stream)
    ]
    chosen = max(streams, key=_audio_preference, default=None)
    return tuple(
        AudioStream(
            index=stream.index,
            codec=stream.codec_context.codec.canonical_name,
            sample_rate_hz=stream.sample_rate or 0,
            num_channels=stream.channels or 0,
            layout=stream.layout.name if stream.channels else "",
            start_seconds=reading.tallies[stream.index].start_seconds,
            end_seconds=reading.tallies[stream.index].end_seconds,
            num_packets=reading.tallies[stream.index].num_packets,
            language=_language(stream),
            is_default=bool(stream.disposition & Disposition.default),
            is_chosen=stream is chosen,
        )
        for stream in streams
    )


def _audio_preference(stream: AvAudioStream) -> tuple[bool, bool, int, int, int]:
    """No commentary if there is another; then the default, the most channels, the finest, the first."""
    return (
        not stream.disposition & _SECONDARY,
        bool(stream.disposition & Disposition.default),
        stream.channels or 0,
        stream.sample_rate or 0,
        -stream.index,
    )


def _subtitle(stream: AvSubtitleStream, tally: PacketTally) -> SubtitleStream:
    codec = _codec_name(stream) or "unknown"
    return SubtitleStream(
        index=stream.index,
        codec=codec,
        language=_language(stream),
        title=stream.metadata.get("title"),
        num_packets=tally.num_packets,
        is_bitmap=codec in _BITMAP_SUBTITLES,
        is_default=bool(stream.disposition & Disposition.default),
        is_forced=bool(stream.disposition & Disposition.forced),
        is_hearing_impaired=bool(stream.disposition & Disposition.hearing_impaired),
    )


def _notes(
    container: av.container.InputContainer, reading: _Reading, video: VideoStream, header_seconds: float | None
) -> list[str]:
    """Everything that makes the file less than it says it is."""
    notes = []
    tally = reading.tallies[video.index]
    if reading.demux_error:
        notes.append(f"reading stopped early: {reading.demux_error}")
    if tally.num_damaged:
        notes.append(f"{tally.num_damaged} of the picture's {tally.num_packets} packets are damaged or cut off")
    promised = container.streams[video.index].frames
    if promised - tally.num_packets > max(MISSING_FRAMES, MISSING_SHARE * promised):
        notes.append(f"the index promises {promised} frames, the file holds {tally.num_packets}")
    held_seconds = max(each.end_seconds for each in reading.tallies.values())
    if header_seconds is not None:
        excess_seconds = header_seconds + min(0.0, video.start_seconds) - held_seconds
        if excess_seconds > max(OVERCLAIM_SECONDS, OVERCLAIM_SHARE * held_seconds):
            notes.append(f"the header claims {header_seconds:.1f} s, the packets end at {held_seconds:.1f} s")
    return notes


def _joint_sha256(parts: list[str]) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest() if parts else ""


def _size_px(stream: AvVideoStream) -> tuple[int, int]:
    """What the header claims; 0 where FFmpeg has no decoder for the stream."""
    return getattr(stream, "width", 0) or 0, getattr(stream, "height", 0) or 0


def _codec_name(stream: Stream) -> str | None:
    """The decoder's name; None where FFmpeg has no decoder (then PyAV gives no context, whatever its types say)."""
    context: object = stream.codec_context
    return getattr(context, "name", None)


def _language(stream: Stream) -> str | None:
    language = (stream.metadata.get("language") or "").strip().lower()
    return language if language and language != "und" else None


def _tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The container's tags, bounded, without control characters."""
    return {
        _clean(key): _clean(value)[:_MAX_TAG_CHARACTERS] for key, value in sorted(metadata.items())[:_MAX_TAGS] if value
    }


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()

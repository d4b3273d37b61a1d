"""One full read of a media file: its checksum, its streams, the hash of each, and its real duration.

Nothing is taken from the header that the packets can tell: a header may claim ten hours. The picture's first frame is
decoded, so that what cannot be decoded at all is known at once.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import av
import av.container
import av.error
from av.stream import Stream
from av.video.frame import VideoFrame

from mediafm.config import MediaLimits
from mediafm.errors import InterruptedMediaError, UnusableMediaError
from mediafm.media.container import check_file, open_container, packets
from mediafm.media.info import AudioStream, MediaInfo, VideoStream
from mediafm.media.packets import AnyPacket, PacketReading, PacketTally
from mediafm.media.remote import MediaSource, RemoteFile
from mediafm.media.streams import (
    choose_picture,
    codec_name,
    describe_audio,
    describe_subtitle,
    describe_video,
    is_picture,
    size_px,
    why_unheard,
)

_BLOCK_BYTES = 4 * 1024**2
_MICROSECONDS = 1_000_000
_MAX_TAGS = 100
_MAX_TAG_CHARACTERS = 4000
OVERCLAIM_SECONDS = 1.0
OVERCLAIM_SHARE = 0.05
"""A header may claim this much more than the packets hold (the larger of both) before a note says so; our choice."""
MISSING_HALF = 0.5
"""And never more than this share of its claim: of a clip of a second, a second is all of it. Nor may picture or sound
cover less than this share of the other."""
UNREAD_SHARE = 0.5
UNREAD_BYTES = 64 * 1024
"""More of a file than both in no packet of its tracks is worth a note (our choice): one wrong bit can end an Ogg's
reading at its third frame, and what is left looks like a short file."""
FARTHEST_SECONDS = 2**32
"""Beyond it float64 cannot tell two frames a microsecond apart (the spacing at 2**32 is 2**-20); clocks of the day and
of the epoch lie far below."""
MISSING_FRAMES = 2
MISSING_SHARE = 0.01
"""An index may count this many frames more than there are packets (AVI counts dropped ones)."""


def look(path: MediaSource, limits: MediaLimits) -> None:
    """Reads no more than the head and the index. Returns if `probe` has reason to read the rest.

    Raises:
        As `probe`, with the same words: what it would find out only after a download.
    """
    check_file(path, limits)
    with open_container(path, limits) as container:
        _refuse_by_head(container, limits)


def probe(path: MediaSource, limits: MediaLimits) -> MediaInfo:
    """Reads the whole file once and says what it is.

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
            return _describe(container, reading, checksum, size_bytes, limits)
    finally:
        checksum.join()


class _BackgroundChecksum(threading.Thread):
    """Hashes the file while another thread demuxes it: the second of the two reads comes from memory."""

    def __init__(self, path: MediaSource) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._hash = hashlib.sha256()
        self._error: OSError | None = None
        self.start()

    def run(self) -> None:
        try:
            path = self._path
            with path.again() if isinstance(path, RemoteFile) else open(path, "rb") as file:
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


def _read_packets(container: av.container.InputContainer, limits: MediaLimits) -> PacketReading:
    streams = _refuse_by_head(container, limits)
    reading = PacketReading({stream.index: PacketTally(stream) for stream in streams})
    pictures = {stream.index for stream in streams if is_picture(stream) and codec_name(stream)}
    try:
        for packet in packets(container, streams):
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


def _refuse_by_head(container: av.container.InputContainer, limits: MediaLimits) -> list[Stream]:
    """The streams that are read, once it is known that there is a picture and that it is not too large."""
    streams = [stream for stream in container.streams if stream.type in {"video", "audio", "subtitle"}]
    _refuse_without_picture(streams)
    for stream in container.streams.video:
        _refuse_large(*size_px(stream), limits)
    return streams


def _refuse_without_picture(streams: list[Stream]) -> None:
    if any(is_picture(stream) for stream in streams):
        return
    kinds = ", ".join(sorted({stream.type for stream in streams}))
    seen = f"the file has no picture ({kinds} only)" if kinds else "the file names no stream at all"
    if any(stream.type == "video" for stream in streams):
        seen = "the file's only picture is a cover or a thumbnail"
    raise UnusableMediaError(seen, rule="a title needs one video stream")


def _refuse_large(width_px: int, height_px: int, limits: MediaLimits) -> None:
    if width_px > limits.max_width_px or height_px > limits.max_height_px:
        raise UnusableMediaError(
            f"the picture is {width_px}x{height_px} px",
            rule=f"at most {limits.max_width_px}x{limits.max_height_px} px are decoded",
            remedy="Raise limits.max_width_px and limits.max_height_px if this is right.",
        )


def _try_first_frame(packet: AnyPacket, reading: PacketReading) -> None:
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


def _refuse_far_times(video: VideoStream) -> None:
    if max(abs(video.start_seconds), abs(video.end_seconds)) > FARTHEST_SECONDS:
        raise UnusableMediaError(
            f"the picture's timestamps begin at {video.start_seconds:.0f} s",
            rule=f"times lie within {FARTHEST_SECONDS} s of 0, where microseconds can be told apart",
            remedy="Write its timestamps anew (ffmpeg -i IN -c copy OUT), or copy it again from its source.",
        )


def _describe(
    container: av.container.InputContainer,
    reading: PacketReading,
    checksum: _BackgroundChecksum,
    size_bytes: int,
    limits: MediaLimits,
) -> MediaInfo:
    picture = choose_picture(container, reading)
    video = describe_video(picture, reading)
    _refuse_far_times(video)
    audio = describe_audio(container, reading, video, limits.max_duration_seconds)
    chosen = next((stream.index for stream in audio if stream.is_chosen), None)
    subtitles = [stream for stream in container.streams.subtitles if reading.tallies[stream.index].num_packets]
    header_seconds = container.duration / _MICROSECONDS if container.duration and container.duration > 0 else None
    lacks = tuple(_notes(container, reading, video, header_seconds, limits))
    return MediaInfo(
        media_sha256=checksum.hexdigest(),
        size_bytes=size_bytes,
        container=container.format.name,
        start_seconds=(container.start_time or 0) / _MICROSECONDS,
        duration_seconds=video.end_seconds - video.start_seconds,
        header_duration_seconds=header_seconds,
        video=video,
        audio=audio,
        subtitles=tuple(describe_subtitle(stream, reading.tallies[stream.index]) for stream in subtitles),
        tags=_tags(container.metadata),
        video_sha256=reading.tallies[video.index].sha256,
        audio_sha256=reading.tallies[chosen].sha256 if chosen is not None else "",
        subtitles_sha256=_joint_sha256([reading.tallies[stream.index].sha256 for stream in subtitles]),
        is_complete=not lacks,
        notes=(*lacks, *_one_sided(video, audio), *_unread(reading, size_bytes)),
    )


def _notes(
    container: av.container.InputContainer,
    reading: PacketReading,
    video: VideoStream,
    header_seconds: float | None,
    limits: MediaLimits,
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
        allowed_seconds = max(OVERCLAIM_SECONDS, OVERCLAIM_SHARE * held_seconds)
        if excess_seconds > min(allowed_seconds, MISSING_HALF * header_seconds):
            notes.append(f"the header claims {header_seconds:.1f} s, the packets end at {held_seconds:.1f} s")
    for stream in container.streams.audio:
        if why := why_unheard(stream, reading, video, limits.max_duration_seconds):
            codec = f" ({codec_name(stream)})" if codec_name(stream) else ""
            notes.append(f"the sound of track {stream.index}{codec} {why}")
    return notes


def _unread(reading: PacketReading, size_bytes: int) -> Iterator[str]:
    """Bytes that no track holds."""
    held_bytes = sum(tally.num_bytes for tally in reading.tallies.values())
    if size_bytes - held_bytes > max(UNREAD_BYTES, UNREAD_SHARE * size_bytes):
        held, whole = held_bytes / 1024**2, size_bytes / 1024**2
        yield f"its tracks hold {held:.2f} of {whole:.2f} MiB: the rest could not be read, or is none of theirs"


def _one_sided(video: VideoStream, audio: Sequence[AudioStream]) -> Iterator[str]:
    """A picture that ends long before the sound, or the reverse: made so, or one of them is lost. Nobody can tell."""
    for sound in audio:
        seen_seconds, heard_seconds = (track.end_seconds - track.start_seconds for track in (video, sound))
        longer_seconds = max(seen_seconds, heard_seconds)
        is_uneven = min(seen_seconds, heard_seconds) < MISSING_HALF * longer_seconds
        if sound.is_chosen and is_uneven and longer_seconds > OVERCLAIM_SECONDS:
            yield f"the picture covers {seen_seconds:.1f} s, the sound {heard_seconds:.1f} s"


def _joint_sha256(parts: list[str]) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest() if parts else ""


def _tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The container's tags, bounded, without control characters."""
    return {
        _clean(key): _clean(value)[:_MAX_TAG_CHARACTERS] for key, value in sorted(metadata.items())[:_MAX_TAGS] if value
    }


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()

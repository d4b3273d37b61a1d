"""Which of a file's streams are its picture and its sound, and what each stream is.

A header's word is taken for nothing that packets or a decoded frame can tell.
"""

from __future__ import annotations

import math

import av.container
import av.error
from av.audio.stream import AudioStream as AvAudioStream
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream as AvSubtitleStream
from av.video.stream import VideoStream as AvVideoStream

from mediafm.errors import UnusableMediaError
from mediafm.media.info import AudioStream, SubtitleStream, VideoStream
from mediafm.media.packets import PacketReading, PacketTally

_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_SECONDARY = Disposition.comment | Disposition.visual_impaired | Disposition.descriptions
_BITMAP_SUBTITLES = frozenset(
    {"pgssub", "hdmv_pgs_subtitle", "dvdsub", "dvd_subtitle", "dvbsub", "dvb_subtitle", "xsub"}
)


def is_picture(stream: Stream) -> bool:
    """True for a video stream that is no cover, thumbnail or still."""
    return stream.type == "video" and not stream.disposition & _STILLS


def choose_picture(container: av.container.InputContainer, reading: PacketReading) -> AvVideoStream:
    """The default track before others, then the largest, then the first; only one that can be decoded.

    Raises:
        UnusableMediaError: every picture is empty, encrypted or undecodable.
    """
    pictures = [stream for stream in container.streams.video if is_picture(stream)]
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
            math.prod(size_px(stream)),
            -stream.index,
        ),
    )


def _flush_for_first_frames(pictures: list[AvVideoStream], reading: PacketReading) -> None:
    """A decoder may hold a lone frame back until it is told that no more come."""
    for stream in pictures:
        if stream.index in reading.first_frames or not codec_name(stream):
            continue
        try:
            frames = stream.codec_context.decode(None)
        except av.error.FFmpegError:
            continue  # A picture that gives no frame is not chosen; its packets are counted all the same.
        if frames:
            reading.first_frames[stream.index] = frames[0]


def _undecodable(stream: AvVideoStream, reading: PacketReading) -> UnusableMediaError:
    num_packets = reading.tallies[stream.index].num_packets
    codec = codec_name(stream)
    said = reading.decode_errors.get(stream.index)
    seen = f"not one of the picture's {num_packets} packets ({codec or 'a codec unknown to FFmpeg'}) can be decoded"
    seen += f" ({said})" if said else ""
    return UnusableMediaError(seen, rule="a title needs a picture that FFmpeg can decode")


def describe_video(stream: AvVideoStream, reading: PacketReading) -> VideoStream:
    """The chosen picture; its rotation and shape enter its hash."""
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


def describe_audio(
    container: av.container.InputContainer, reading: PacketReading, video: VideoStream, max_seconds: float
) -> tuple[AudioStream, ...]:
    """Every sound track that holds packets, has a decoder and lies by the picture; one of them is chosen."""
    streams = [stream for stream in container.streams.audio if not why_unheard(stream, reading, video, max_seconds)]
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


def why_unheard(stream: AvAudioStream, reading: PacketReading, video: VideoStream, max_seconds: float) -> str:
    """Why a sound track of the file counts for nothing, as a clause; "" for one that can be heard.

    Args:
        max_seconds: that track and picture may cover together: a broken time stamp puts them years apart.
    """
    tally = reading.tallies[stream.index]
    if not codec_name(stream):
        return "is of a codec unknown to FFmpeg"
    if not tally.num_shown:
        return "holds no packet"
    seconds = max(tally.end_seconds, video.end_seconds) - min(tally.start_seconds, video.start_seconds)
    if seconds > max_seconds:
        return f"and the picture cover {seconds:.0f} s, where at most {max_seconds:.0f} s are read"
    return ""


def _audio_preference(stream: AvAudioStream) -> tuple[bool, bool, int, int, int]:
    """No commentary if there is another; then the default, the most channels, the finest, the first."""
    return (
        not stream.disposition & _SECONDARY,
        bool(stream.disposition & Disposition.default),
        stream.channels or 0,
        stream.sample_rate or 0,
        -stream.index,
    )


def describe_subtitle(stream: AvSubtitleStream, tally: PacketTally) -> SubtitleStream:
    """One embedded subtitle track."""
    codec = codec_name(stream) or "unknown"
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


def size_px(stream: AvVideoStream) -> tuple[int, int]:
    """What the header claims; 0 where FFmpeg has no decoder for the stream."""
    return getattr(stream, "width", 0) or 0, getattr(stream, "height", 0) or 0


def codec_name(stream: Stream) -> str | None:
    """The decoder's name; None where FFmpeg has no decoder (then PyAV gives no context, whatever its types say)."""
    context: object = stream.codec_context
    return getattr(context, "name", None)


def _language(stream: Stream) -> str | None:
    language = (stream.metadata.get("language") or "").strip().lower()
    return language if language and language != "und" else None

"""Subtitle tracks inside a media file, by PyAV. FFmpeg gives every text codec as ASS events; pictures hold no text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mediafm.config import MediaLimits
from mediafm.errors import CatalogError, InterruptedMediaError, NotFoundError
from mediafm.languages import normalize_language
from mediafm.media.container import open_container, packets
from mediafm.media.remote import MediaSource
from mediafm.media.timed_text_cue import CueCollector, ParsedText
from mediafm.media.timed_text_encoding import decode_text
from mediafm.media.timed_text_markup import ass_white_space, strip_overrides, strip_tags
from mediafm.media.timed_text_ttml import parse_ttml

if TYPE_CHECKING:
    import av
    from av.packet import Packet
    from av.subtitles.stream import SubtitleStream

PICTURE_CODECS = frozenset({"pgssub", "hdmv_pgs_subtitle", "dvdsub", "dvd_subtitle", "dvbsub", "dvb_subtitle", "xsub"})
_ASS_CODECS = frozenset({"ass", "ssa"})
PICTURE_PROBLEM = "picture subtitles hold no text"
_EVENT_FIELDS_BEFORE_TEXT = 8
"""ReadOrder, Layer, Style, Name, MarginL, MarginR, MarginV, Effect: FFmpeg's ASS event."""


def read_embedded(path: MediaSource, stream_index: int, limits: MediaLimits) -> ParsedText:
    """The cues of one subtitle track, in the file's own times.

    A track of pictures, or one that no decoder reads, gives no cue and a problem that says so.

    Args:
        path: the media file.
        stream_index: the track's index among all streams of the file.
        limits: `max_cues` is enforced.

    Raises:
        UnusableMediaError: the file cannot be opened.
        InterruptedMediaError: reading it ran out of memory.
        NotFoundError: there is no subtitle track at that index.
        CatalogError: more cues than the limits allow.
    """
    with open_container(path, limits) as container:
        stream = _subtitle_stream(container, stream_index)
        language = normalize_language(stream.metadata.get("language"))
        collector = CueCollector(limits, "embedded", language, f"subtitle stream {stream_index}")
        codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
        if codec in PICTURE_CODECS:
            return ParsedText((), (PICTURE_PROBLEM,))
        for packet in _packets(container, stream, collector):
            _add_packet(packet, codec, collector)
    return collector.finish(join_repeats=codec in _ASS_CODECS)


def _subtitle_stream(container: av.container.InputContainer, stream_index: int) -> SubtitleStream:
    for stream in container.streams.subtitles:
        if stream.index == stream_index:
            return stream
    raise NotFoundError(
        f"stream {stream_index}",
        rule="the stream is one of the file's subtitle tracks",
        remedy="Probe the file again.",
    )


def _packets(
    container: av.container.InputContainer, stream: SubtitleStream, collector: CueCollector
) -> Iterator[Packet[SubtitleStream]]:
    import av
    from av.stream import Discard

    for other in container.streams:
        other.discard = Discard.default if other.index == stream.index else Discard.all
    try:
        for packet in packets(container, stream):
            if packet.size:
                yield packet
    except av.error.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise InterruptedMediaError(
                "reading it ran out of memory", rule="a title is read within a bound"
            ) from error
        collector.problem("break in the file: later cues are not read", str(error))


def _add_packet(packet: Packet[SubtitleStream], codec: str, collector: CueCollector) -> None:
    if packet.pts is None or packet.time_base is None:
        collector.problem("cue dropped: no time", f"packet of {packet.size} bytes")
        return
    start = float(packet.pts * packet.time_base)
    end = float((packet.pts + packet.duration) * packet.time_base) if packet.duration else None
    place = f"at {start:.3f} s"
    if codec in ("ttml", "unknown"):
        _add_document(bytes(packet), place, collector)
    else:
        collector.add(start, end, _decoded_text(packet, codec, place, collector), place)


def _decoded_text(packet: Packet[SubtitleStream], codec: str, place: str, collector: CueCollector) -> str:
    import av

    try:
        events = packet.decode()
    except (av.error.FFmpegError, NotImplementedError) as error:
        collector.problem("cue that cannot be decoded", f"{place}: {error}")
        return ""
    written = (bytes(getattr(event, "ass", b"")).decode("utf-8", errors="replace") for event in events)
    texts = (event.split(",", _EVENT_FIELDS_BEFORE_TEXT) for event in written)
    text = "\n".join(parts[_EVENT_FIELDS_BEFORE_TEXT] for parts in texts if len(parts) > _EVENT_FIELDS_BEFORE_TEXT)
    # Only in ASS itself is every {...} a command; elsewhere "{laughs}" is text, and FFmpeg leaves it as it is.
    return strip_overrides(text) if codec in _ASS_CODECS else strip_tags(ass_white_space(text))


def _add_document(data: bytes, place: str, collector: CueCollector) -> None:
    """A sample of an stpp track is a whole TTML document whose times are the track's own."""
    text = decode_text(data)[0]
    if "<tt" not in text and ":tt" not in text:
        collector.problem("cue that no decoder reads", place)
        return
    try:
        parse_ttml(text, collector)
    except CatalogError as error:
        collector.problem("cue that cannot be decoded", f"{place}: {error.seen}")

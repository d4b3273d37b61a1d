"""What the fuzz run damages: short clips of real files, one of each make, and timed text in every format.

A make is container, codecs, pixel format and kinds of streams: fifty files of one make try nothing that one does not.
Clips are cut by copying packets, so each stays what its maker's encoder wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from mediafm.catalog.folder import MEDIA_SUFFIXES
from mediafm.config import MediaLimits
from mediafm.errors import MediaFMError
from mediafm.media.container import open_container
from mediafm.media.timed_text import TIMED_TEXT_SUFFIXES

CLIP_SECONDS = 3.0
MAX_WHOLE_BYTES = 800_000
"""A file that cannot be cut is taken whole up to this size."""
REMUXED_SUFFIXES = (".ts", ".flv", ".mkv", ".frag.mp4", ".nut")
"""Containers that the first H.264 clip is put into besides its own."""
_COPIED = ("video", "audio", "subtitle")
_LINES = ("Good evening.", "<i>Où est-il ?</i>", "[door slams]", "七人の侍", "- Who? - You & me", "Ça va, mon cœur")
_CUE_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Original:
    """A sound file.

    name: what a case is called by; unique.
    is_text: a sidecar, to be put beside a sound clip.
    """

    name: str
    path: Path
    is_text: bool = False

    @property
    def suffix(self) -> str:
        return self.path.suffix


def make_originals(media: Path, folder: Path) -> list[Original]:
    """Clips of the media under `media`, one of each make, and timed text, written to `folder`. Sorted by name.

    Raises:
        MediaFMError: nothing under `media` can be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = [*_clips(media, folder), *_remuxed(folder), *_texts(media, folder)]
    if not any(not original.is_text for original in found):
        raise MediaFMError("no file of media", rule="damage is done to files that were sound", where=str(media))
    return sorted(found, key=lambda original: original.name)


def _clips(media: Path, folder: Path) -> Iterator[Original]:
    makes: set[object] = set()
    files = (file for file in media.rglob("*") if file.suffix.lower() in MEDIA_SUFFIXES and file.is_file())
    for file in sorted(files, key=lambda file: (file.stat().st_size, file.name)):
        try:
            with open_container(str(file), MediaLimits()) as container:
                make = _make(container)
        except MediaFMError:
            continue  # It is damaged as it is: what it gives is known to the tests of odd media.
        path = folder / file.name
        if make not in makes and (_copied(file, path) or _whole(file, path)):
            makes.add(make)
            yield Original(name=file.name, path=path)


def _make(container: InputContainer) -> tuple[object, ...]:
    streams = (stream for stream in container.streams if stream.type in _COPIED)
    formats = (getattr(stream.codec_context, "format", None) for stream in container.streams.video)
    return (
        container.format.name,
        tuple(sorted((stream.type, getattr(stream.codec_context, "name", "")) for stream in streams)),
        tuple(sorted(each.name for each in formats if each is not None)),
    )


def _whole(file: Path, path: Path) -> bool:
    if file.stat().st_size > MAX_WHOLE_BYTES:
        return False
    path.write_bytes(file.read_bytes())
    return True


def _copied(source: Path, path: Path, options: dict[str, str] | None = None) -> bool:
    """Whether the first seconds of `source` could be copied to `path`."""
    try:
        with (
            av.open(str(source)) as container,
            av.open(str(path), "w", container_options={"fflags": "+bitexact", **(options or {})}) as clip,
        ):
            streams = [stream for stream in container.streams if stream.type in _COPIED and _has_codec(stream)]
            _copy_packets(container, clip, streams)
        with open_container(str(path), MediaLimits()) as cut:
            return len(cut.streams) == len(streams)
    except (av.error.FFmpegError, MediaFMError, ValueError, NotImplementedError):
        path.unlink(missing_ok=True)
        return False


def _has_codec(stream: Stream) -> bool:
    context: object = stream.codec_context  # None where FFmpeg has no decoder, whatever PyAV's types say
    return context is not None


def _copy_packets(container: InputContainer, clip: OutputContainer, streams: Sequence[Stream]) -> None:
    copies = {stream.index: clip.add_stream_from_template(stream, opaque=True) for stream in streams}
    for packet in container.demux(list(streams)):
        if packet.pts is None or packet.time_base is None or not packet.size:
            continue
        if float(packet.pts * packet.time_base) < CLIP_SECONDS:
            packet.stream = copies[packet.stream_index]
            clip.mux(packet)


def _remuxed(folder: Path) -> Iterator[Original]:
    """The first clip of H.264 and AAC in other containers."""
    for file in sorted(folder.glob("*.mp4")):
        with open_container(str(file), MediaLimits()) as container:
            names = [getattr(stream.codec_context, "name", "") for stream in container.streams]
        if sorted(names) == ["aac", "h264"]:
            break
    else:
        return
    for suffix in REMUXED_SUFFIXES:
        path = folder / f"remuxed{suffix}"
        options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if ".frag" in suffix else None
        if _copied(file, path, options):
            yield Original(name=path.name, path=path)


def _texts(media: Path, folder: Path) -> Iterator[Original]:
    """The sidecars under `media`, and one of ours in each format."""
    for file in sorted(media.rglob("*")):
        if file.suffix.lower() in TIMED_TEXT_SUFFIXES and file.parent.name != "odd":
            path = folder / file.name
            path.write_bytes(file.read_bytes())
            yield Original(name=path.name, path=path, is_text=True)
    for suffix, text in _written().items():
        path = folder / f"lines{suffix}"
        path.write_text(text, "utf-8")
        yield Original(name=path.name, path=path, is_text=True)


def _written() -> dict[str, str]:
    """The same lines in every format, all within a clip's time."""
    times = [(number * _CUE_SECONDS, (number + 1) * _CUE_SECONDS, line) for number, line in enumerate(_LINES)]
    srt = "".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{line}\n\n"
        for number, (start, end, line) in enumerate(times, 1)
    )
    vtt = "".join(
        f"{_clock(start, '.')} --> {_clock(end, '.')} align:start\n<v A>{line}\n\n" for start, end, line in times
    )
    events = "".join(
        f"Dialogue: 0,{_clock(start, '.')[1:]},{_clock(end, '.')[1:]},Default,,0,0,0,,{{\\an8}}{line}\n"
        for start, end, line in times
    )
    paragraphs = "".join(
        f'<p begin="{start:.2f}s" end="{end:.2f}s"><span>{_plain(line)}</span><br/>x</p>\n'
        for start, end, line in times
    )
    fields = "Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text"
    return {
        ".srt": srt,
        ".vtt": f"WEBVTT\n\nNOTE ours\n\n{vtt}",
        ".ass": f"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: {fields}\n{events}",
        ".ttml": '<?xml version="1.0" encoding="UTF-8"?>\n<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="en">\n'
        f"<body><div>\n{paragraphs}</div></body></tt>\n",
    }


def _plain(line: str) -> str:
    return line.replace("&", "&amp;").replace("<i>", "").replace("</i>", "")


def _clock(seconds: float, point: str) -> str:
    return f"00:00:{int(seconds):02d}{point}{round(seconds % 1 * 1000):03d}"

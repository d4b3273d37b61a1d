"""The one door to a media file: only real containers, only within the limits, and only a file of this machine or bytes
that the parent process fetches.

Without a `format_whitelist` FFmpeg opens an `ffconcat` or `.m3u8` text named `x.mp4` and reads whatever it names.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import TypeVar, cast

import av
import av.container
import av.error
from av.stream import Stream

from mediafm.config import MediaLimits
from mediafm.errors import InterruptedMediaError, MediaError, NotFoundError, TransientError, UnusableMediaError
from mediafm.media.remote import MediaSource, RemoteFile

AnyStream = TypeVar("AnyStream", bound=Stream)
CONTAINERS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2"),
    *("matroska", "webm", "avi", "mpeg", "mpegts", "ogg", "flv", "asf", "mxf", "nut"),
    *("wav", "mp3", "flac", "aac"),
)
"""FFmpeg's names of the formats that hold media themselves and never name another file."""

_SHOWN_CONTAINERS = "MP4, MOV, Matroska, WebM, AVI, MPEG, Ogg, FLV, ASF, MXF"
_SNIFFED_BYTES = 4096
_PLAYLIST_STARTS = (b"ffconcat", b"#EXTM3U", b"[playlist]", b"<?xml", b"<MPD", b"<smil", b"<ASX")


def open_container(path: MediaSource, limits: MediaLimits) -> av.container.InputContainer:
    """Opens a media file for reading; the caller closes it.

    Raises:
        UnusableMediaError: it is not a media file, or beyond the limits.
        NotFoundError: there is no such file.
        TransientError: it cannot be read now.
    """
    check_file(path, limits)
    try:
        container = av.open(
            path.again() if isinstance(path, RemoteFile) else f"file:{os.path.abspath(path)}",
            mode="r",
            options={"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": _protocol(path)},
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, ValueError, UnicodeError) as error:
        raise unreadable(path, error) from error
    if len(container.streams) > limits.max_streams:
        num_streams = len(container.streams)
        container.close()
        raise UnusableMediaError(
            f"the file has {num_streams} streams",
            rule=f"at most {limits.max_streams} are read",
            remedy="Raise limits.max_streams if this is right.",
        )
    return container


def packets(
    container: av.container.InputContainer, streams: AnyStream | Sequence[AnyStream]
) -> Iterator[av.Packet[AnyStream]]:
    """The packets of some streams, in the file's order, and at the end an empty one for each.

    Streams that appear only in mid-file (a broadcast's, or a damaged MPEG-TS's) were not asked for. PyAV (up to 18)
    looks for them all the same when all is read, and fails with an IndexError after the last packet.

    Raises:
        av.error.FFmpegError: as PyAV does.
    """
    found = cast("Iterator[av.Packet[AnyStream]]", container.demux(streams))
    while True:
        try:
            packet = next(found)
        except (StopIteration, IndexError):
            return
        yield packet


def _protocol(path: MediaSource) -> str:
    """What FFmpeg may open by itself: local files; nothing at all beside bytes that we hand to it."""
    return "none" if isinstance(path, RemoteFile) else "file"


def check_file(path: MediaSource, limits: MediaLimits) -> int:
    """The size in bytes of a plain, non-empty file within the limits.

    Raises:
        UnusableMediaError: it is empty, too large or not a plain file.
        NotFoundError: there is no such file.
        TransientError: it cannot be read now.
    """
    if isinstance(path, RemoteFile):
        return check_size(path.size_bytes, limits)
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise NotFoundError("the file is not there", rule="a title is a file that can be opened") from error
    except (OSError, ValueError) as error:
        raise TransientError(f"the file cannot be read ({error})", rule="a title is a readable file") from error
    if not stat.S_ISREG(status.st_mode):
        raise UnusableMediaError("it is not a plain file", rule="a title is a plain file")
    return check_size(status.st_size, limits)


def check_size(size_bytes: int, limits: MediaLimits) -> int:
    """`size_bytes` itself. Raises `UnusableMediaError`: nothing, or more than the limits allow."""
    if size_bytes == 0:
        raise UnusableMediaError(
            "the file is empty (0 bytes)", rule="a title holds media", remedy="Copy the file again from its source."
        )
    if size_bytes > limits.max_file_bytes:
        raise UnusableMediaError(
            f"the file has {size_bytes} bytes",
            rule=f"at most {limits.max_file_bytes} are read",
            remedy="Raise limits.max_file_bytes if this is right.",
        )
    return size_bytes


def unreadable(path: MediaSource, error: Exception) -> MediaError:
    """What to tell a person about a file that FFmpeg would not open: by its first bytes, else by FFmpeg's words."""
    if isinstance(error, MemoryError):
        return InterruptedMediaError("reading it ran out of memory", rule="a title is read within a bound of memory")
    try:
        with path.again() if isinstance(path, RemoteFile) else open(path, "rb") as file:
            head = file.read(_SNIFFED_BYTES)
    except OSError as problem:
        head = b""
        error = problem
    rule = f"a title is a media file ({_SHOWN_CONTAINERS})"
    if head.lstrip().startswith(_PLAYLIST_STARTS):
        return UnusableMediaError(
            "the file is a playlist or a manifest that names other files",
            rule=rule,
            remedy="Catalogue the media files that it names instead.",
        )
    if _is_text(head):
        return UnusableMediaError("the file holds plain text, not media", rule=rule)
    if head[4:8] == b"ftyp":
        return UnusableMediaError(
            "the file is an MP4 whose index (moov) is missing or broken, as after an interrupted copy or recording",
            rule="an MP4 is read by its index",
            remedy="Copy it again from its source, or repair it.",
        )
    return UnusableMediaError(f"no media container is recognised ({_words(error)})", rule=rule)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < _SNIFFED_BYTES else "ignore")
    except UnicodeDecodeError:
        return False
    return bool(text) and all(letter.isprintable() or letter in "\r\n\t\f\ufeff" for letter in text)


def _words(error: Exception) -> str:
    """FFmpeg's own words, without the path and the number."""
    return str(getattr(error, "strerror", None) or error) or type(error).__name__

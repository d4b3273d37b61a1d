"""Where the reader gets the media of a bucket from: a copy on this machine, or ranges where a copy would not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mediafm.config import MediaLimits
from mediafm.errors import ConfigError, UnusableMediaError
from mediafm.media.container import check_file, check_size
from mediafm.media.sandbox import Serve
from mediafm.s3.buckets import Buckets
from mediafm.s3.place import Place, is_s3
from mediafm.types import Json

if TYPE_CHECKING:
    from mediafm.s3.filesystem import S3File

MAX_READINGS = 4
"""How many times over a file may be read by ranges in one pass: FFmpeg goes back, but not for ever (our choice)."""
SMALL_FILM_BYTES = 8 * 1024**2
"""Smaller ones are downloaded at once: a look would cost about as much (our choice)."""
_SLACK_BYTES = 64 * 1024**2


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A title's files as a child can read them.

    path: what the request says of the media: a path, or name and size of what is served.
    places: where copies of sidecars lie, by their own names.
    serve: gives the bytes of media that is not on this machine.
    """

    path: Json = None
    places: dict[str, Json] = field(default_factory=dict)
    serve: Serve | None = None


class MediaPlaces:
    """Args: limits: bounds on files. buckets: None where only this machine's files are read."""

    def __init__(self, limits: MediaLimits, buckets: Buckets | None) -> None:
        self._limits, self._buckets = limits, buckets

    def size_bytes(self, path: str) -> int:
        """Raises as `mediafm.media.container.check_file`, and of a bucket as `Buckets.look`."""
        if not is_s3(path):
            return check_file(path, self._limits)
        return check_size(self._reached(path).look(path).size_bytes, self._limits)

    @contextmanager
    def placed(self, path: str | None, sidecars: Sequence[str] = (), is_look: bool = False) -> Iterator[Placed]:
        """The files, until the context ends. A film that takes more than half of the cache is served by ranges.

        Args:
            is_look: only the head is wanted: nothing is downloaded.
        """
        with ExitStack() as stack:
            remote = [sidecar for sidecar in sidecars if is_s3(sidecar)]
            places: dict[str, Json] = {
                sidecar: str(stack.enter_context(self._reached(sidecar).held(sidecar))) for sidecar in remote
            }
            if path is None or not is_s3(path):
                yield Placed(path=path, places=places)
                return
            buckets = self._reached(path)
            info = buckets.look(path)
            is_left = is_look and info.size_bytes > SMALL_FILM_BYTES and buckets.copy(path, info) is None
            if buckets.fits(info) and not is_left:
                yield Placed(path=str(stack.enter_context(buckets.held(path, info))), places=places)
                return
            file = stack.enter_context(buckets.ranges(path, info, is_look))
            served: Json = {"name": Place.parse(path).name, "size_bytes": info.size_bytes}
            yield Placed(path=served, places=places, serve=_Serving(file, info.size_bytes))

    def _reached(self, path: str) -> Buckets:
        if self._buckets is None:
            raise ConfigError(f"{path!r}", rule="a bucket is read where it can be reached", where="media")
        return self._buckets


class _Serving:
    """Gives ranges, but not without end: a file made to be read for ever is found out here."""

    def __init__(self, file: S3File, size_bytes: int) -> None:
        self._file, self._size_bytes = file, size_bytes
        self._left_bytes = MAX_READINGS * size_bytes + _SLACK_BYTES

    def __call__(self, start: int, length: int) -> bytes:
        end = min(start + length, self._size_bytes)
        self._left_bytes -= max(0, end - start)
        if self._left_bytes < 0:
            raise UnusableMediaError(
                f"more than {MAX_READINGS} times its own bytes were asked for", rule="a file is read in bounds"
            )
        if not 0 <= start < end:
            return b""
        self._file.seek(start)
        data: bytes = self._file.read(end - start)
        return data

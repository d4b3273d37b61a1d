"""What catalogues and readers of media ask of buckets: lists, beginnings of files, copies on this machine, ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediafm.s3.cache import DownloadCache
from mediafm.s3.place import Place, is_s3
from mediafm.s3.reading import ObjectInfo, list_objects, look, read_range
from mediafm.s3.settings import S3Settings

if TYPE_CHECKING:
    from mediafm.s3.filesystem import S3File

SMALL_BYTES = 1024**2
"""Files beside titles up to this size are kept whole: the next scan reads them from here (our choice)."""
BLOCKS_KEPT = 16
"""Of a film that is read by ranges: FFmpeg goes back and forth between the tracks."""
LOOK_BYTES = 128 * 1024
"""What a look at a film's head fetches at once (our choice)."""


class Buckets:
    """Args: settings: how buckets are reached. folder: for copies; made when needed."""

    def __init__(self, settings: S3Settings, folder: Path) -> None:
        self._settings = settings
        self._copies = DownloadCache(folder, settings)

    def look(self, uri: str) -> ObjectInfo:
        """What stands there. Raises as `mediafm.s3.reading.look`."""
        return look(self._settings, Place.parse(uri))

    def looks(self, uris: Iterable[str]) -> Iterator[ObjectInfo | Exception]:
        """As `look` of each, many at a time, in order; an error stands in the place of what it spoilt."""
        with ThreadPoolExecutor(4 * self._settings.connections, thread_name_prefix="mediafm-s3") as pool:
            yield from pool.map(self._look_or_error, uris)

    def list(self, folder: str) -> Iterator[tuple[str, ObjectInfo]]:
        """Everything below a folder: (name relative to it, what it is). Raises as `mediafm.s3.reading.list_objects`."""
        above = Place.parse(folder.rstrip("/"))
        skipped = len(above.key) + 1 if above.key else 0
        for key, info in list_objects(self._settings, above):
            yield key[skipped:], info

    def read_start(self, uri: str, max_bytes: int, info: ObjectInfo | None = None) -> bytes:
        """The first `max_bytes`, or all there is. Raises as `mediafm.s3.reading.stream`.

        Args:
            info: what a list said of it, which spares a request.
        """
        place = Place.parse(uri)
        info = info or look(self._settings, place)
        if info.size_bytes <= SMALL_BYTES:
            return self._copies.path(place, info).read_bytes()[:max_bytes]
        return read_range(self._settings, place, 0, min(max_bytes, info.size_bytes), info.etag)

    def fits(self, info: ObjectInfo) -> bool:
        """Whether it is downloaded at all; else it is read by ranges."""
        return self._copies.fits(info.size_bytes)

    def copy(self, uri: str, info: ObjectInfo) -> Path | None:
        """The copy that is on this machine, if one is."""
        return self._copies.find(Place.parse(uri), info)

    @contextmanager
    def held(self, path: str, info: ObjectInfo | None = None) -> Iterator[Path]:
        """A file of this machine with the bytes of `path`, which stays until the context ends; a local one is itself.

        Raises:
            NotFoundError, IntegrityError, StoreError, TransientError: as `mediafm.s3.cache.DownloadCache.path`.
        """
        if not is_s3(path):
            yield Path(path)
            return
        with self._copies.held(Place.parse(path), info or self.look(path)) as copy:
            yield copy

    @contextmanager
    def ranges(self, uri: str, info: ObjectInfo, is_look: bool = False) -> Iterator[S3File]:
        """The object as a file that fetches what is read: a little for a look, else by large blocks, ahead."""
        from mediafm.s3.filesystem import S3File, S3FileSystem

        caching: dict[str, Any] = {"block_size": LOOK_BYTES, "cache_type": "readahead"}
        if not is_look:
            caching = {
                "block_size": self._settings.block_bytes,
                "cache_type": "background",
                "cache_options": {"maxblocks": BLOCKS_KEPT},
            }
        file = S3File(S3FileSystem(self._settings), Place.parse(uri), info, **caching)
        try:
            yield file
        finally:
            file.close()

    def _look_or_error(self, uri: str) -> ObjectInfo | Exception:
        try:
            return self.look(uri)
        except Exception as error:  # noqa: BLE001 - handed to the caller, who decides
            return error

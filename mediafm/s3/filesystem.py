"""One filesystem over the one client: what DuckDB, pyarrow and the readers of media open. It only reads.

It is fsspec's interface, so that each of them takes it as it is; its files fetch ranges as they are asked for.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from mediafm.errors import NotFoundError
from mediafm.s3.place import SCHEME, Place, is_s3
from mediafm.s3.reading import ObjectInfo, list_objects, look, read_range
from mediafm.s3.settings import S3Settings

TABLE_BLOCK_BYTES = 256 * 1024
"""Of Parquet: footers and columns are small and far apart (our choice)."""

Find = Callable[[Place], tuple[ObjectInfo, Path | None]]
"""What an object is, and its copy on this machine if that is what should be read."""


class S3File(AbstractBufferedFile):  # type: ignore[misc]
    """An object read by ranges; always the one that was opened, or an error."""

    def __init__(self, fs: S3FileSystem, place: Place, info: ObjectInfo, **caching: Any) -> None:
        self.place, self.found = place, info
        super().__init__(fs, str(place), "rb", size=info.size_bytes, **caching)

    def _fetch_range(self, start: int, end: int) -> bytes:
        return read_range(self.fs.settings, self.place, start, min(end, self.found.size_bytes), self.found.etag)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class SharedFile(io.RawIOBase):
    """A file that several threads may seek and read at once: each has a place of its own in it.

    DuckDB reads one Python file from all its threads, each time by a `seek` and a `read`, between which another thread
    may come. It never closes one either: the last reference does, without a warning.

    Args:
        size_bytes: of the whole file.
        read_at: (start, end) -> these bytes; safe for threads.
        let_go: called once, at the end.
    """

    def __init__(self, size_bytes: int, read_at: Callable[[int, int], bytes], let_go: Callable[[], None]) -> None:
        super().__init__()
        self._size_bytes, self._read_at, self._let_go = size_bytes, read_at, let_go
        self._mine = threading.local()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size_bytes}[whence]
        self._mine.position = max(0, base + offset)
        return self.tell()

    def tell(self) -> int:
        position: int = getattr(self._mine, "position", 0)
        return position

    def read(self, size: int = -1) -> bytes:
        start = self.tell()
        end = self._size_bytes if size < 0 else min(start + size, self._size_bytes)
        data = self._read_at(start, end) if start < end else b""
        self._mine.position = start + len(data)
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._let_go()
        super().close()


def shared_copy(copy: Path, size_bytes: int) -> SharedFile:
    """A copy on this machine."""
    descriptor = os.open(copy, os.O_RDONLY)

    def read_at(start: int, end: int) -> bytes:
        pieces, position = [], start
        while position < end and (piece := os.pread(descriptor, end - position, position)):
            pieces.append(piece)
            position += len(piece)
        return b"".join(pieces)

    return SharedFile(size_bytes, read_at, lambda: os.close(descriptor))


def shared_ranges(file: S3File) -> SharedFile:
    """An object that is read by ranges; one at a time, because what it read ahead is shared."""
    guard = threading.Lock()

    def read_at(start: int, end: int) -> bytes:
        with guard:
            data: bytes = file.cache._fetch(start, end)
            return data

    return SharedFile(file.size, read_at, file.close)


class S3FileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Args: settings: how buckets are reached. find: what an object is and where to read it; else it is asked."""

    protocol = "s3"
    cachable = False

    def __init__(self, settings: S3Settings, find: Find | None = None) -> None:
        super().__init__()
        self.settings = settings
        self._find = find or (lambda place: (look(settings, place), None))

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        """Places keep their scheme: a path without one is not ours."""
        return path if is_s3(path) else f"{SCHEME}{path}"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        place = Place.parse(path)
        return _described(place, self._found(place)[0])

    def exists(self, path: str, **_: Any) -> bool:
        try:
            self._found(Place.parse(path))
        except FileNotFoundError:
            return False
        return True

    def modified(self, path: str) -> datetime:
        found: datetime = self.info(path)["mtime"]
        return found

    def glob(self, path: str, **_: Any) -> list[str]:
        """The path itself: there are no patterns here, and whoever opens what is not there is told."""
        return [path]

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        folder = Place.parse(path.rstrip("/"))
        found = (_described(Place(folder.bucket, key), info) for key, info in list_objects(self.settings, folder))
        return list(found) if detail else [each["name"] for each in found]

    def open_ranges(self, place: Place, info: ObjectInfo) -> SharedFile:
        """The object as a file that reads ahead by blocks."""
        return shared_ranges(S3File(self, place, info, block_size=TABLE_BLOCK_BYTES, cache_type="readahead"))

    def _open(self, path: str, mode: str = "rb", **_: Any) -> SharedFile:
        if mode != "rb":
            raise PermissionError(f"{path}: this filesystem only reads")
        place = Place.parse(path)
        info, copy = self._found(place)
        return shared_copy(copy, info.size_bytes) if copy is not None else self.open_ranges(place, info)

    def _found(self, place: Place) -> tuple[ObjectInfo, Path | None]:
        try:
            return self._find(place)
        except NotFoundError as error:
            raise FileNotFoundError(f"No such file or directory: {place}") from error


def _described(place: Place, info: ObjectInfo) -> dict[str, Any]:
    modified = datetime.fromtimestamp(info.modified_ns / 1e9, UTC)
    return {"name": str(place), "size": info.size_bytes, "type": "file", "mtime": modified, "etag": info.etag}

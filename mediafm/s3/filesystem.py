"""One filesystem over the one client: what DuckDB, pyarrow and the readers of media open. It only reads.

It is fsspec's interface, so that each of them takes it as it is; its files fetch ranges as they are asked for.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

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


class _CopyFile(io.BufferedReader):
    """A copy of an object. Closed with its last reference, without a warning: DuckDB never closes what it opens."""

    def __del__(self) -> None:
        self.close()


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

    def open_ranges(self, place: Place, info: ObjectInfo, block_bytes: int = TABLE_BLOCK_BYTES) -> S3File:
        """The object as a file that reads ahead by blocks."""
        return S3File(self, place, info, block_size=block_bytes, cache_type="readahead")

    def _open(self, path: str, mode: str = "rb", **_: Any) -> BinaryIO | S3File:
        if mode != "rb":
            raise PermissionError(f"{path}: this filesystem only reads")
        place = Place.parse(path)
        info, copy = self._found(place)
        return _CopyFile(io.FileIO(copy)) if copy is not None else self.open_ranges(place, info)

    def _found(self, place: Place) -> tuple[ObjectInfo, Path | None]:
        try:
            return self._find(place)
        except NotFoundError as error:
            raise FileNotFoundError(f"No such file or directory: {place}") from error


def _described(place: Place, info: ObjectInfo) -> dict[str, Any]:
    modified = datetime.fromtimestamp(info.modified_ns / 1e9, UTC)
    return {"name": str(place), "size": info.size_bytes, "type": "file", "mtime": modified, "etag": info.etag}

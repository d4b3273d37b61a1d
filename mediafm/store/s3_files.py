"""Where bytes rest: a prefix of a bucket. The same promises as those of a local folder.

What stands under a key is whole and never changes, so a copy on this machine is as good as the object as long as the
bucket names the same ETag. What was written here is kept here: reading it back costs no download.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any

from mediafm.errors import NotFoundError, StoreError, TransientError
from mediafm.s3.cache import DownloadCache
from mediafm.s3.place import Place
from mediafm.s3.reading import ObjectInfo, list_objects, look, read_range
from mediafm.s3.settings import S3Settings
from mediafm.s3.writing import abort_stale_uploads, delete, put_if_absent
from mediafm.store.files import LocalFiles, check_key
from mediafm.store.ledger_files import LEDGER_FOLDER

WHOLE_BYTES = 8 * 1024**2
"""Smaller objects are downloaded whole when they are opened, larger ones read by ranges (our choice). Of the ledger,
which every query reads, all are."""
MAX_KNOWN = 100_000
"""Of how many objects size and ETag are remembered."""
FRESH_SECONDS = 10.0
"""For so long what was seen or put is taken to stand there still: objects are hardly ever removed, and a ranged read
names the ETag that it means (our choice). Whether something exists is always asked."""


class S3Files:
    """Args: place: the root. cache: a folder of this machine for copies and unfinished files."""

    def __init__(self, place: Place, settings: S3Settings, cache: Path) -> None:
        from mediafm.s3.filesystem import S3FileSystem

        self.place = place
        self._settings = settings
        self._copies = DownloadCache(cache / "store", settings)
        self._scratch = LocalFiles(cache / "unsent")
        self._filesystem = S3FileSystem(settings, self._found)
        self._ledger = f"{place.below(LEDGER_FOLDER).key}/"
        self._known: dict[str, tuple[ObjectInfo, float]] = {}
        self._guard = threading.Lock()

    def scratch(self, key: str) -> AbstractContextManager[Path]:
        return self._scratch.scratch(key)

    def put_exclusive(self, key: str, source: Path | bytes) -> bool:
        """As of `Files`. Nothing of an upload that breaks off is ever visible, and it is ended."""
        place = self._place(key)
        size_bytes = len(source) if isinstance(source, bytes) else source.stat().st_size
        with _as_store():
            etag = put_if_absent(self._settings, place, source)
        if etag is None:
            self._forget(key)
            return False
        info = ObjectInfo(size_bytes=size_bytes, etag=etag, modified_ns=time.time_ns())
        if isinstance(source, Path):
            self._copies.adopt(place, info, source)
        self._remember(key, info)
        return True

    def read_bytes(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        place = self._place(key)
        with _as_store():
            info = self._fresh(key)
            end = info.size_bytes if length is None else min(start + length, info.size_bytes)
            return read_range(self._settings, place, start, end, info.etag)

    def local_path(self, key: str) -> Path:
        """A copy on this machine of what stands there now; it stays for some minutes."""
        with _as_store():
            return self._copies.path(self._place(key), self._fresh(key))

    def open(self, key: str) -> Path | RawIOBase:
        with _as_store():
            place, info = self._place(key), self._fresh(key)
            copy = self._copy(place, info)
            return copy if copy is not None else self._filesystem.open_ranges(place, info)

    def exists(self, key: str) -> bool:
        try:
            with _as_store():
                self._look(key)
        except NotFoundError:
            return False
        return True

    def size_bytes(self, key: str) -> int:
        with _as_store():
            return self._fresh(key).size_bytes

    def list_keys(self, folder: str) -> list[str]:
        above = f"{self.place.key}/" if self.place.key else ""
        found = []
        with _as_store():
            for full_key, info in list_objects(self._settings, self._place(folder)):
                key = full_key.removeprefix(above)
                if not any(part.startswith(".") for part in key.split("/")):
                    found.append(key)
                    self._remember(key, info)
        return sorted(found)

    def delete(self, key: str) -> None:
        with _as_store():
            delete(self._settings, self._place(key))
        self._forget(key)

    def sweep(self) -> int:
        with _as_store():
            return abort_stale_uploads(self._settings, self.place) + self._scratch.sweep()

    def filesystem(self) -> Any:
        """What DuckDB reads through: objects of this root by their `s3://` names."""
        return self._filesystem

    def is_empty(self) -> bool:
        """Whether nothing at all stands below the root."""
        with _as_store():
            return next(list_objects(self._settings, self.place, max_objects=1), None) is None

    def _place(self, key: str) -> Place:
        return self.place.below(check_key(key))

    def _look(self, key: str) -> ObjectInfo:
        """What stands there now; the bucket is asked."""
        try:
            info = look(self._settings, self._place(key))
        except NotFoundError:
            self._forget(key)
            raise
        self._remember(key, info)
        return info

    def _fresh(self, key: str) -> ObjectInfo:
        """As `_look`, but what was seen or put a moment ago is not asked for again."""
        with self._guard:
            info, seen_at = self._known.get(key, (None, 0.0))
        if info is not None and time.monotonic() - seen_at < FRESH_SECONDS:
            return info
        return self._look(key)

    def _found(self, place: Place) -> tuple[ObjectInfo, Path | None]:
        """For the filesystem: objects never change, so what is known of one need not be asked again."""
        key = place.key.removeprefix(f"{self.place.key}/") if self.place.key else place.key
        if place.bucket != self.place.bucket or self._place(key) != place:
            raise StoreError(f"{place}", rule=f"what is read lies below {self.place}")
        with _as_store():
            info = known[0] if (known := self._known.get(key)) else self._look(key)
            return info, self._copy(place, info)

    def _copy(self, place: Place, info: ObjectInfo) -> Path | None:
        if info.size_bytes <= WHOLE_BYTES or place.key.startswith(self._ledger):
            return self._copies.path(place, info)
        return self._copies.find(place, info)

    def _remember(self, key: str, info: ObjectInfo) -> None:
        with self._guard:
            while len(self._known) >= MAX_KNOWN:
                self._known.pop(next(iter(self._known)))
            self._known[key] = (info, time.monotonic())

    def _forget(self, key: str) -> None:
        with self._guard:
            self._known.pop(key, None)


@contextmanager
def _as_store() -> Iterator[None]:
    """A bucket that does not answer is a store that cannot be read or written: the step ends, as with a full disk."""
    try:
        yield
    except TransientError as error:
        raise StoreError(error.seen, rule=error.rule, where=error.where, remedy=error.remedy) from error

"""Where bytes rest: the one narrow place that knows a file system. The local one; buckets: `mediafm.store.s3_files`.

A key is a relative path with `/` between plain names. What stands under a key is whole, flushed to disk and never
changes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any, Protocol

from mediafm.errors import NotFoundError, StoreError

SCRATCH_FOLDER = ".scratch"
"""Holds unfinished files, one folder in each area (`store`, `ledger`, `pointers`); no key can name it."""

SCRATCH_GRACE_SECONDS = 60.0
"""A younger unfinished file is left alone: its writer may not have locked it yet."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=-]*")
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where there is no room."""


class Files(Protocol):
    """What the store asks of a place for bytes. Every method may raise `StoreError`."""

    def scratch(self, key: str) -> AbstractContextManager[Path]:
        """A local path to write what will stand under `key`; gone when the context ends."""

    def put_exclusive(self, key: str, source: Path | bytes) -> bool:
        """Put `source` (bytes, or a path that `scratch(key)` gave) under `key`, whole and flushed.

        True if it stands there now because of this call; False if something stood there already, which stays.
        """

    def read_bytes(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes from `start`; to the end if `length` is None. Raises `NotFoundError`."""

    def local_path(self, key: str) -> Path:
        """A path on this machine that holds the bytes. Raises `NotFoundError`."""

    def open(self, key: str) -> Path | RawIOBase:
        """What a reader of a part opens: a local path, or a file that fetches what is read. Raises `NotFoundError`."""

    def exists(self, key: str) -> bool: ...

    def size_bytes(self, key: str) -> int:
        """Raises `NotFoundError`."""

    def list_keys(self, folder: str) -> list[str]:
        """All keys below `folder`, sorted; none if there is no such folder."""

    def delete(self, key: str) -> None:
        """Remove what stands under `key`, if anything does."""

    def sweep(self) -> int:
        """Remove what killed writers left unfinished; how many files that were."""

    def filesystem(self) -> Any:
        """The fsspec filesystem by which DuckDB reads the root's files; None where they are local."""

    def is_empty(self) -> bool:
        """Whether nothing was ever written there."""


class LocalFiles:
    """A folder of this machine: written beside, flushed, then linked into place exclusively."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @contextmanager
    def scratch(self, key: str) -> Iterator[Path]:
        folder = self._path(key.split("/", 1)[0]) / SCRATCH_FOLDER
        path = folder / f"{os.getpid()}-{uuid.uuid4().hex}"
        with _stating("write", key):
            _make_folder(folder)
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        try:
            with _stating("lock", key):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield path
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def put_exclusive(self, key: str, source: Path | bytes) -> bool:
        if isinstance(source, bytes):
            with self.scratch(key) as path:
                with _stating("write", key):
                    path.write_bytes(source)
                return self.put_exclusive(key, path)
        target = self._path(key)
        with _stating("write", key):
            _flush(source)
            _make_folder(target.parent)
            try:
                os.link(source, target)
            except FileExistsError:
                return False
            _flush(target.parent)
        return True

    def read_bytes(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        path = self.local_path(key)
        with _stating("read", key), path.open("rb") as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def local_path(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise NotFoundError(
                "there is no such file", rule="what is read must have been written", where=f"{key} in {self.root}"
            )
        return path

    def open(self, key: str) -> Path:
        return self.local_path(key)

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def size_bytes(self, key: str) -> int:
        return self.local_path(key).stat().st_size

    def list_keys(self, folder: str) -> list[str]:
        top = self._path(folder)
        found: list[str] = []
        for parent, folders, names in os.walk(top):
            folders[:] = [name for name in folders if not name.startswith(".")]
            base = Path(parent).relative_to(self.root).as_posix()
            found.extend(f"{base}/{name}" for name in names if not name.startswith("."))
        return sorted(found)

    def delete(self, key: str) -> None:
        with _stating("delete", key):
            self._path(key).unlink(missing_ok=True)

    def sweep(self, grace_seconds: float = SCRATCH_GRACE_SECONDS) -> int:
        """Remove unfinished files older than `grace_seconds` whose writer holds no lock on them any more."""
        leftovers = [path for path in self.root.glob(f"*/{SCRATCH_FOLDER}/*") if _age_seconds(path) >= grace_seconds]
        return sum(_remove_if_abandoned(path) for path in leftovers)

    def filesystem(self) -> None:
        return None

    def is_empty(self) -> bool:
        return not self.root.is_dir()

    def _path(self, key: str) -> Path:
        return self.root.joinpath(*check_key(key).split("/"))


def check_key(key: str) -> str:
    """`key` itself. Raises `StoreError` unless it is plain names joined by `/`."""
    if not all(_NAME.fullmatch(part) for part in key.split("/")):
        raise StoreError(
            f"the key {key!r}", rule="a key is plain names (letters, digits, '.', '_', '=', '-') joined by '/'"
        )
    return key


@contextmanager
def _stating(action: str, key: str) -> Iterator[None]:
    """The one conversion of the operating system's complaints into ours."""
    try:
        yield
    except OSError as error:
        raise storage_error(action, key, error) from error


def storage_error(action: str, key: str, error: OSError) -> StoreError:
    """A `StoreError` that says what the operating system said and what to do about it."""
    if error.errno in FULL_DISK:
        remedy = "Free some space or raise the limit, then run again: what was finished stays."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "Make the root writable, and on a file system that has hard links."
    else:
        remedy = "Look after the disk, then run again: what was finished stays."
    reason = error.strerror or str(error)
    return StoreError(
        f"cannot {action} ({reason})", rule="the root must be a readable, writable folder", where=key, remedy=remedy
    )


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Make `folder` and its parents, each entry flushed, so that a power loss cannot lose the way to a file."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush(folder.parent)


def _age_seconds(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return -1.0


def _remove_if_abandoned(path: Path) -> bool:
    """A lock that can be taken belongs to nobody: the writer died. False if the file is in use or already gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True

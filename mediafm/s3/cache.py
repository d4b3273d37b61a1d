"""Downloads on this machine's disk, within a bound, shared by all processes. May be deleted at any time.

    <folder>/<2 digits>/<hash of place and ETag>/<name>     a whole object, under its own file name
    <folder>/<2 digits>/<hash>.lock                         held shared by readers, alone by who makes or removes it
    <folder>/<2 digits>/<hash>.part                         a download under way, written under the lock

Bytes are known by place and ETag: another object under the same key is another entry. Above the bound the least
recently used go first; what somebody holds, or used within the last minutes, stays.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mediafm.errors import StoreError, TransientError
from mediafm.s3.place import Place
from mediafm.s3.reading import ObjectInfo, stream
from mediafm.s3.settings import S3Settings

IN_USE_SECONDS = 300.0
"""What was used within this time is not removed: its path may have been given to somebody (our choice)."""
_SCAN_SHARE = 64
"""The folder is looked through whenever this share of the bound was added since the last time."""
_MAX_NAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class _Entry:
    file: Path
    size_bytes: int
    used_at: float


class DownloadCache:
    """Args: folder: made when needed. settings: how to download, and the bound."""

    def __init__(self, folder: Path, settings: S3Settings, in_use_seconds: float = IN_USE_SECONDS) -> None:
        self._folder = folder
        self._settings = settings
        self._in_use_seconds = in_use_seconds
        self._guard = threading.Lock()
        self._unseen_bytes: int | None = None

    def fits(self, size_bytes: int) -> bool:
        """Whether an object of this size is downloaded at all: at most half of the bound (our choice)."""
        return size_bytes <= self._settings.cache_bytes // 2

    def find(self, place: Place, info: ObjectInfo) -> Path | None:
        """The downloaded copy, marked as used now; None if there is none."""
        file = self._file(place, info)
        try:
            if file.stat().st_size != info.size_bytes:
                return None
            os.utime(file)
        except FileNotFoundError:
            return None
        return file

    def path(self, place: Place, info: ObjectInfo) -> Path:
        """A copy on this machine, downloaded unless it is there. It stays for some minutes after each call.

        Raises:
            NotFoundError, IntegrityError: the object is gone, or is another one now.
            StoreError, TransientError: it cannot be read, or not be written here.
        """
        if (found := self.find(place, info)) is not None:
            return found
        with self._alone(place, info) as file:
            if self.find(place, info) is None:
                self._make_room(info.size_bytes)
                self._download(place, info, file)
        return file

    @contextmanager
    def held(self, place: Place, info: ObjectInfo) -> Iterator[Path]:
        """As `path`, and nobody removes it before the context ends."""
        while True:
            file = self.path(place, info)
            with _locked(self._lock(file), fcntl.LOCK_SH):
                if self.find(place, info) is not None:
                    yield file
                    return

    def adopt(self, place: Place, info: ObjectInfo, source: Path) -> None:
        """Keeps a file of this disk that holds the object's bytes, by a second name: what was just sent."""
        if not self.fits(info.size_bytes) or self.find(place, info) is not None:
            return
        with self._alone(place, info) as file, _written(file):
            if not file.exists():
                self._make_room(info.size_bytes)
                file.parent.mkdir(parents=True, exist_ok=True)
                os.link(source, file)
                os.utime(file)

    def _download(self, place: Place, info: ObjectInfo, file: Path) -> None:
        part = self._lock(file).with_suffix(".part")
        try:
            with _written(file), part.open("wb") as target:
                for chunk in stream(self._settings, place, 0, info.size_bytes, info.etag):
                    target.write(chunk)
            if (found := part.stat().st_size) != info.size_bytes:
                raise TransientError(
                    f"{found} bytes arrived", rule=f"the object has {info.size_bytes}", where=str(place)
                )
            with _written(file):
                file.parent.mkdir(parents=True, exist_ok=True)
                part.replace(file)
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, num_bytes: int) -> None:
        """Removes the least recently used until `num_bytes` more fit into the bound, or nothing more may go."""
        bound = self._settings.cache_bytes
        with self._guard:
            slack = bound // _SCAN_SHARE
            if self._unseen_bytes is not None and self._unseen_bytes + num_bytes <= slack:
                self._unseen_bytes += num_bytes
                return
            entries = sorted(self._entries(), key=lambda entry: entry.used_at)
            excess = sum(entry.size_bytes for entry in entries) + num_bytes + slack - bound
            for entry in entries:
                if excess <= 0 or entry.used_at > time.time() - self._in_use_seconds:
                    break
                if self._removed(entry.file):
                    excess -= entry.size_bytes
            self._unseen_bytes = num_bytes if excess <= 0 else None

    def _entries(self) -> Iterator[_Entry]:
        for shelf in _folders(self._folder):
            for folder in _folders(shelf):
                with os.scandir(folder) as files:
                    for file in files:
                        try:
                            status = file.stat()
                        except FileNotFoundError:
                            continue
                        yield _Entry(Path(file.path), status.st_size, status.st_mtime)

    def _removed(self, file: Path) -> bool:
        lock = self._lock(file)
        try:
            with _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(file.parent, ignore_errors=True)
                lock.unlink(missing_ok=True)
        except BlockingIOError:
            return False
        return True

    @contextmanager
    def _alone(self, place: Place, info: ObjectInfo) -> Iterator[Path]:
        file = self._file(place, info)
        with _written(file):
            file.parent.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self._lock(file), fcntl.LOCK_EX):
            yield file

    def _file(self, place: Place, info: ObjectInfo) -> Path:
        identity = "\n".join((self._settings.endpoint_url or "", str(place), info.etag))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:40]
        name = place.name
        if len(os.fsencode(name)) > _MAX_NAME_BYTES:
            name = f"{digest}{os.path.splitext(name)[1][:16]}"
        return self._folder / digest[:2] / digest / name

    @staticmethod
    def _lock(file: Path) -> Path:
        return file.parent.with_name(f"{file.parent.name}.lock")


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    """Holds the lock file at `path`. Who waited while it was removed takes the one that stands there now."""
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(descriptor, kind)
            if _is_same(path, descriptor):
                yield
                return
        finally:
            os.close(descriptor)


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.stat(path).st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


@contextmanager
def _written(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"a download cannot be kept ({error.strerror or error})",
            rule="the cache is a writable folder with room for what is read",
            where=str(file.parent.parent),
            remedy="Free some space, or lower `s3.cache_bytes`, then run again: what was finished stays.",
        ) from error


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []

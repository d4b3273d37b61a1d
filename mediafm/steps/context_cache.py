"""Contextual vectors that no store holds, kept for the next clip of their title.

In this process the titles used last, by bytes; and a file for each in `cache/contextual/` of the root, which may be
deleted at any time. The key covers all that the vectors depend on (checkpoint, fused vectors, metadata or none), so
nothing in it can be out of date. A file is the sha256 of the rest, then one `.npy`; one that is damaged is made again.

Legend: n shots that have a vector, D width.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = "contextual"
SUFFIX = ".vectors"
_DIGEST_BYTES = 32

Halves = NDArray[np.float16]


@dataclass(frozen=True, kw_only=True)
class CacheBounds:
    """How much is kept (our choice): a title of 1,000 shots by a model 512 wide is 1 MB."""

    memory_bytes: int = 256 * 1024**2
    disk_bytes: int = 1024**3


@dataclass
class ContextCache:
    """The vectors of titles, float16 [n, D] as the store would hold them. Safe for threads."""

    bounds: CacheBounds = field(default_factory=CacheBounds)
    _kept: OrderedDict[tuple[Path, str], Halves] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, cache: Path, key: str, make: Callable[[], Halves]) -> Halves:
        """The vectors under `key`: from memory, else from the root's cache, else from `make`, and kept then.

        Returns:
            float16 [n, D], not to be written to.
        """
        kept = self._recall(cache, key)
        if kept is not None:
            return kept
        file = cache / FOLDER / f"{key}{SUFFIX}"
        found = _read(file)
        if found is None:
            found = make()
            self._write(file, found)
        return self._remember(cache, key, found)

    def _recall(self, cache: Path, key: str) -> Halves | None:
        """What this process holds under `key`."""
        with self._lock:
            found = self._kept.get((cache, key))
            if found is not None:
                self._kept.move_to_end((cache, key))
            return found

    def _remember(self, cache: Path, key: str, vectors: Halves) -> Halves:
        """Keeps vectors in this process only; those used longest ago make room."""
        vectors.flags.writeable = False
        with self._lock:
            self._kept[(cache, key)] = vectors
            while sum(one.nbytes for one in self._kept.values()) > self.bounds.memory_bytes:
                self._kept.popitem(last=False)
        return vectors

    def forget(self) -> None:
        """Empties what this process holds."""
        with self._lock:
            self._kept.clear()

    def _write(self, file: Path, vectors: Halves) -> None:
        """Keeps a title on disk; where that cannot be, a warning says so and the next process makes it again."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            _put(file, vectors)
            _sweep(file.parent, self.bounds.disk_bytes)
        except OSError as error:
            warnings.warn(f"contextual vectors are not kept in {file.parent}: {error}", RuntimeWarning, stacklevel=2)


def _read(file: Path) -> Halves | None:
    """What stands there, whole; None where nothing does, or where it is damaged."""
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        warnings.warn(f"{file} is not read: {error}", RuntimeWarning, stacklevel=2)
        return None
    digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() != digest:
        return None
    # In a root that cannot be written its age stays, and that decides nothing but what is swept first.
    with contextlib.suppress(OSError):
        os.utime(file)
    found: Halves = np.load(io.BytesIO(payload), allow_pickle=False)
    return found


def _put(file: Path, vectors: Halves) -> None:
    """Written beside and renamed, so that a reader sees a whole file or none."""
    payload = io.BytesIO()
    np.save(payload, vectors, allow_pickle=False)
    descriptor, beside = tempfile.mkstemp(dir=file.parent, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(hashlib.sha256(payload.getvalue()).digest() + payload.getvalue())
        Path(beside).replace(file)
    finally:
        Path(beside).unlink(missing_ok=True)


def _sweep(folder: Path, max_bytes: int) -> None:
    """Removes the files used longest ago until the rest fits. Another process may remove them at the same time."""
    found = []
    for file in folder.glob(f"*{SUFFIX}"):
        try:
            about = file.stat()
        except FileNotFoundError:
            continue
        found.append((about.st_mtime_ns, about.st_size, file))
    total = sum(size for _, size, _ in found)
    for _, size, file in sorted(found)[:-1]:
        if total <= max_bytes:
            return
        file.unlink(missing_ok=True)
        total -= size

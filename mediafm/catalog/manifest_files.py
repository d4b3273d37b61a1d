"""The files that a manifest names: where they are, whether they may be read, and how a change of one is seen."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from mediafm.catalog.metadata import shown
from mediafm.errors import ConfigError, NotFoundError
from mediafm.s3.buckets import Buckets
from mediafm.s3.place import Place, is_s3
from mediafm.s3.reading import ObjectInfo

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a file is without being opened; as of `Sidecar`."""

    size_bytes: int
    modified_ns: int
    version: str = ""


class ManifestFiles:
    """Args: path: the manifest, of this machine or `s3://…`. buckets: None where `s3://` is out of reach."""

    def __init__(self, path: str, buckets: Buckets | None) -> None:
        self._path, self._buckets = path, buckets
        self._is_remote = is_s3(path)
        self._looked: dict[str, ObjectInfo | Exception] = {}
        self.file_name = os.path.basename(path)
        self._root = path.rpartition("/")[0] if self._is_remote else os.path.dirname(os.path.abspath(path))
        self._real_root = self._root if self._is_remote else os.path.realpath(self._root)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The manifest itself. Raises `OSError`, and of one in a bucket as `Buckets.held`."""
        if not self._is_remote:
            with open(self._path, "rb") as file:
                yield file
            return
        with self._reached().held(self._path) as copy, copy.open("rb") as file:
            yield file

    def resolve(self, uri: str) -> str:
        """The place that a row's URI names: a path in the manifest's folder, links included, or `s3://…`.

        Raises:
            ValueError: it is neither.
        """
        if is_s3(uri):
            return self._object(uri)
        if _SCHEME.match(uri):
            raise ValueError(f"{shown(uri)} is neither a path nor s3://")
        if self._is_remote:
            path = f"{self._root}/{posixpath.normpath(uri)}"
            if uri.startswith("/") or posixpath.normpath(uri).startswith(".."):
                raise ValueError(f"{shown(uri)} lies outside the manifest's folder")
            return self._object(path)
        path = os.path.normpath(os.path.join(self._root, uri))
        if not (_is_inside(path, self._root) and _is_inside(os.path.realpath(path), self._real_root)):
            raise ValueError(f"{shown(uri)} lies outside the manifest's folder")
        return path

    def name(self, path: str) -> str:
        """What a title's id is made of: relative to the manifest's folder; elsewhere bucket and key."""
        if not is_s3(path):
            return os.path.relpath(path, self._root).replace(os.sep, "/")
        if self._is_remote and path.startswith(f"{self._root}/"):
            return path.removeprefix(f"{self._root}/")
        return path.removeprefix("s3://")

    def seen(self, path: str) -> Seen:
        """What is there. Raises `ValueError`: nothing that can be read; of a bucket as `mediafm.s3.reading.look`."""
        if not is_s3(path):
            return _status(path)
        found = self._looked.get(path)
        try:
            if isinstance(found, Exception):
                raise found
            info = found or self._reached().look(path)
        except NotFoundError:
            raise ValueError(f"{shown(os.path.basename(path))} is not in its bucket") from None
        return Seen(info.size_bytes, info.modified_ns, info.etag)

    def look_ahead(self, uris: Iterable[str]) -> None:
        """Looks at many objects at once, so that `seen` need not wait for each; what is wrong is said there."""
        wanted = []
        for uri in uris:
            with contextlib.suppress(ValueError):
                wanted.append(self.resolve(uri))
        wanted = [path for path in dict.fromkeys(wanted) if is_s3(path)]
        self._looked = dict(zip(wanted, self._reached().looks(wanted), strict=True)) if wanted else {}

    def _object(self, uri: str) -> str:
        try:
            place = Place.parse(uri)
        except ConfigError as error:
            raise ValueError(f"{error.seen}: {error.rule}") from error
        if not place.name or self._buckets is None:
            raise ValueError(f"{shown(uri)} names no object that can be reached from here")
        return str(place)

    def _reached(self) -> Buckets:
        if self._buckets is None:
            raise ConfigError(f"{self._path!r}", rule="a bucket is read where it can be reached")
        return self._buckets


def _is_inside(path: str, root: str) -> bool:
    return os.path.commonpath([path, root]) == root


def _status(path: str) -> Seen:
    try:
        status = os.stat(path)
    except OSError as error:
        raise ValueError(f"{shown(os.path.basename(path))} cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{shown(os.path.basename(path))} is not a regular file")
    return Seen(status.st_size, status.st_mtime_ns)

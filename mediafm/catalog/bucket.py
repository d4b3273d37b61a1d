"""A prefix of a bucket as a catalogue: as a folder, by one list of names, sizes, times and ETags.

Only `.json` files and the beginnings of `.xml` ones are read, and kept here by ETag: the next scan asks for none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from mediafm.catalog.folder import INTERESTING, SKIPPED_FOLDERS, FoundFile, titles_of
from mediafm.catalog.title import CatalogTitle, Problem
from mediafm.config import MediaLimits
from mediafm.errors import CatalogError
from mediafm.s3.buckets import Buckets
from mediafm.s3.reading import ObjectInfo


def scan_bucket(location: str, limits: MediaLimits, buckets: Buckets) -> tuple[list[CatalogTitle], list[Problem]]:
    """The titles below `location` (`s3://bucket/prefix`), ordered by id, and what is wrong with names.

    Raises:
        CatalogError: nothing stands below it.
        StoreError, TransientError: the bucket cannot be listed or read: that says nothing about its titles.
    """
    problems: list[Problem] = []
    folders: dict[str, list[FoundFile]] = {}
    listed: dict[str, ObjectInfo] = {}
    num_objects = 0
    for name, info in buckets.list(location):
        num_objects += 1
        if not _is_wanted(name, problems):
            continue
        path = f"{location.rstrip('/')}/{name}"
        listed[path] = info
        file = FoundFile(name, path, info.size_bytes, info.modified_ns, info.etag)
        folders.setdefault(os.path.dirname(name), []).append(file)
    if not num_objects:
        raise CatalogError(
            f"there is nothing below {location!r}",
            rule="a catalogue in a bucket is a prefix with objects, or a manifest",
            remedy="Check the prefix.",
        )

    def read(path: str, max_bytes: int) -> bytes:
        return buckets.read_start(path, max_bytes, listed[path])

    return titles_of(_in_order(folders), limits, problems, read), problems


def _is_wanted(name: str, problems: list[Problem]) -> bool:
    parts = name.split("/")
    if any(part.startswith(".") or part in SKIPPED_FOLDERS for part in parts) or not parts[-1]:
        return False
    if os.path.splitext(name)[1].lower() not in INTERESTING:
        return False
    if "" in parts:
        problems.append(Problem(name, "a part of its name is empty; rename it"))
        return False
    return True


def _in_order(folders: dict[str, list[FoundFile]]) -> Iterator[list[FoundFile]]:
    for folder in sorted(folders):
        yield sorted(folders[folder], key=lambda file: file.name)

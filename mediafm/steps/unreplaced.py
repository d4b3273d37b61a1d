"""A title's files are read as they were taken in: what is made of other bytes would bear the old content's name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mediafm.errors import IntegrityError, NotFoundError
from mediafm.s3.buckets import Buckets
from mediafm.s3.place import is_s3
from mediafm.steps.present import PresentTitle


@contextmanager
def unreplaced(title: PresentTitle, buckets: Buckets) -> Iterator[None]:
    """Around whatever reads the title's media or sidecars.

    A change is seen by size and time, or ETag, as a scan sees it; whatever else went wrong meanwhile came of it.

    Raises:
        IntegrityError: a file was replaced since it was taken in, before the reading or during it.
    """
    files = (title.source, *title.source["sidecars"])
    _refuse(title.title_id, files, buckets, "taken in")
    with unchanged(title.title_id, files, buckets, "taken in"):
        yield


@contextmanager
def unchanged(
    title_id: str, files: Sequence[Mapping[str, Any]], buckets: Buckets, since: str = "listed"
) -> Iterator[None]:
    """Around whatever reads these files of a title; seen is what happened until the reading ended.

    Args:
        files: path, size and time (or version, of objects) of each as it was when it was `since`.

    Raises:
        IntegrityError: as `unreplaced`.
    """
    try:
        yield
    except Exception as error:
        _refuse(title_id, files, buckets, since, error)
        raise
    _refuse(title_id, files, buckets, since)


def _refuse(
    title_id: str, files: Sequence[Mapping[str, Any]], buckets: Buckets, since: str, cause: Exception | None = None
) -> None:
    if replaced := [str(file["path"]) for file in files if _is_replaced(file, buckets)]:
        raise IntegrityError(
            f"{', '.join(replaced)} changed after it was {since}",
            rule="a title's values are made of the bytes that its record names",
            where=title_id,
            remedy="Run again: it is taken in anew.",
        ) from cause


def _is_replaced(file: Mapping[str, Any], buckets: Buckets) -> bool:
    """A file that is gone is not replaced: its reader says so."""
    if is_s3(file["path"]):
        try:
            return buckets.look(file["path"]).etag != str(file["version"])
        except NotFoundError:
            return False
    try:
        found = os.stat(file["path"])
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) != (file["size_bytes"], file["modified_ns"])

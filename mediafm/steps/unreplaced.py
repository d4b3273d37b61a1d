"""A title's files are read as they were taken in: what is made of other bytes would bear the old content's name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
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
    _refuse(title, buckets)
    try:
        yield
    except Exception as error:
        _refuse(title, buckets, error)
        raise
    _refuse(title, buckets)


def _refuse(title: PresentTitle, buckets: Buckets, cause: Exception | None = None) -> None:
    files: list[Mapping[str, Any]] = [title.source, *title.source["sidecars"]]
    if replaced := [str(file["path"]) for file in files if _is_replaced(file, buckets)]:
        raise IntegrityError(
            f"{', '.join(replaced)} changed after it was taken in",
            rule="a title's values are made of the bytes that its record names",
            where=title.title_id,
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

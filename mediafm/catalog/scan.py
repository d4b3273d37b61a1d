"""The one door of the catalogue: a folder, a prefix of a bucket or a manifest becomes titles and problems."""

from __future__ import annotations

import os

from mediafm.catalog.bucket import scan_bucket
from mediafm.catalog.folder import scan_folder
from mediafm.catalog.manifest import MANIFEST_SUFFIXES, scan_manifest
from mediafm.catalog.title import Catalog
from mediafm.config import MediaLimits
from mediafm.errors import CatalogError
from mediafm.s3.buckets import Buckets
from mediafm.s3.place import is_s3


def scan_catalog(location: str, limits: MediaLimits, buckets: Buckets | None = None) -> Catalog:
    """What titles there are, by names, sizes and times; media is never opened.

    Args:
        location: a folder (each media file in it is a title) or a manifest (`.jsonl`, `.csv`, `.parquet`), of this
            machine or in a bucket (`s3://…`).
        limits: `max_sidecar_bytes` bounds each `.json` and each row of a manifest.
        buckets: how `s3://` is reached; nothing leaves this machine without it.

    Raises:
        CatalogError: there is no such folder or manifest, or the manifest as a whole cannot be read.
        StoreError, TransientError: a bucket cannot be reached: that says nothing about its titles.
    """
    if "://" in location:
        return _scan_remote(location, limits, buckets)
    path = os.path.abspath(os.path.expanduser(location))
    if os.path.isdir(path):
        titles, problems = scan_folder(path, limits)
    elif os.path.isfile(path):
        titles, problems = scan_manifest(path, limits, buckets)
    else:
        raise CatalogError(
            f"there is nothing at {path!r}",
            rule=f"a catalogue is a folder or a manifest ({', '.join(MANIFEST_SUFFIXES)})",
            remedy="Check the path.",
        )
    return Catalog(tuple(titles), tuple(problems))


def _scan_remote(location: str, limits: MediaLimits, buckets: Buckets | None) -> Catalog:
    if not is_s3(location) or buckets is None:
        raise CatalogError(
            f"the catalogue {location!r}",
            rule="a catalogue is a folder or a manifest, of this machine or of a bucket (s3://bucket/prefix)",
            remedy="Name one of these.",
        )
    scan = scan_manifest if location.lower().endswith(MANIFEST_SUFFIXES) else scan_bucket
    titles, problems = scan(location, limits, buckets)
    return Catalog(tuple(titles), tuple(problems))

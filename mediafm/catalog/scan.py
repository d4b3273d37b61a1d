"""The one door of the catalogue: a folder or a manifest becomes titles and problems."""

from __future__ import annotations

import os

from mediafm.catalog.folder import scan_folder
from mediafm.catalog.manifest import MANIFEST_SUFFIXES, scan_manifest
from mediafm.catalog.title import Catalog
from mediafm.config import MediaLimits
from mediafm.errors import CatalogError


def scan_catalog(location: str, limits: MediaLimits) -> Catalog:
    """What titles there are, by names, sizes and times; media is never opened, and nothing leaves this machine.

    Args:
        location: a folder (each media file in it is a title), or a manifest (`.jsonl`, `.csv`, `.parquet`).
        limits: `max_sidecar_bytes` bounds each `.json` and each row of a manifest.

    Raises:
        CatalogError: there is no such folder or manifest, or the manifest as a whole cannot be read.
    """
    if "://" in location:
        raise CatalogError(
            f"the catalogue {location!r}",
            rule="a catalogue is a local folder or manifest in this version; s3:// is not supported yet",
            remedy="Mount the bucket, or copy it here.",
        )
    path = os.path.abspath(os.path.expanduser(location))
    if os.path.isdir(path):
        titles, problems = scan_folder(path, limits)
    elif os.path.isfile(path):
        titles, problems = scan_manifest(path, limits)
    else:
        raise CatalogError(
            f"there is nothing at {path!r}",
            rule=f"a catalogue is a folder or a manifest ({', '.join(MANIFEST_SUFFIXES)})",
            remedy="Check the path.",
        )
    return Catalog(tuple(titles), tuple(problems))

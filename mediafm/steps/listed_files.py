"""A title's files as a catalogue listed them: what a record keeps of them, and by what a change is seen."""

from __future__ import annotations

from mediafm.catalog.title import CatalogTitle
from mediafm.types import Json


def file_as_listed(title: CatalogTitle) -> dict[str, Json]:
    """Path, size and time of the title's media; the ETag of what lies in a bucket, too."""
    return {
        "path": title.uri,
        "size_bytes": title.size_bytes,
        "modified_ns": title.modified_ns,
        **({"version": title.version} if title.version else {}),
    }


def files_as_listed(title: CatalogTitle) -> list[dict[str, Json]]:
    """The media and its sidecars."""
    return [file_as_listed(title), *(sidecar.as_json() for sidecar in title.sidecars)]

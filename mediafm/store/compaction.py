"""Merging the ledger's many small files into few, so that it stays quick to read.

The merged part is written first; then a manifest that names it, and the files that it replaces, is put exclusively:
readers see the old files or the new part, never both and never neither. Replaced files are deleted by the *next* merge,
so that a reader who listed the ledger before this one can finish.
"""

from __future__ import annotations

import uuid

from mediafm.errors import ConflictError
from mediafm.store.ledger import put_rows
from mediafm.store.ledger_files import (
    LEDGER_FOLDER,
    PARTS_FOLDER,
    LedgerManifest,
    appended_keys,
    manifest_key,
    read_manifest,
)
from mediafm.store.sql import open_duckdb, read_ledger
from mediafm.store.store import Store

MIN_FILES = 32
"""Fewer appended files are left as they are (our choice)."""
MAX_PARTS = 8
"""More parts than these are merged into one (our choice)."""


def compact(store: Store, min_files: int = MIN_FILES) -> LedgerManifest:
    """Merge the files appended since the last merge, if there are at least `min_files`.

    Returns:
        The manifest that holds now.

    Raises:
        ConflictError: another process merged at the same time; its merge stands.
        StoreError: the root cannot be written.
    """
    files = store.files
    before = read_manifest(files)
    appended = appended_keys(files, before)
    if len(appended) < max(min_files, 1):
        return before
    parts = before.parts if len(before.parts) < MAX_PARTS else ()
    merged = appended if parts else [*before.parts, *appended]
    part = f"{PARTS_FOLDER}/{before.generation + 1:08d}-{uuid.uuid4().hex}.parquet"
    with open_duckdb(store) as connection:
        put_rows(files, part, read_ledger(connection, store, merged, "ORDER BY title_id, table_name, generation"))
    after = LedgerManifest(
        generation=before.generation + 1,
        parts=(*parts, part),
        replaced=(*merged, *(key for key in before.replaced if files.exists(key))),
    )
    if not files.put_exclusive(manifest_key(after.generation), after.as_bytes()):
        files.delete(part)
        raise ConflictError(
            "another process merged the ledger",
            rule="one merge at a time",
            where=LEDGER_FOLDER,
            remedy="Nothing to do.",
        )
    for key in before.replaced:
        files.delete(key)
    return after

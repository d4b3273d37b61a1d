"""Merging the ledger's many small files into few, so that it stays quick to read.

The merged part is written first; then a manifest that names it, and the files that it replaces, is put exclusively:
readers see the old files or the new part, never both and never neither. Replaced files are deleted by the *next* merge,
so that a reader who listed the ledger before this one can finish.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress

import duckdb

from mediafm.errors import ConflictError, StoreError
from mediafm.lineage.records import LEDGER_SCHEMA
from mediafm.store.index import part_numbers, sweep
from mediafm.store.ledger_files import (
    LEDGER_FOLDER,
    PARTS_FOLDER,
    LedgerManifest,
    appended_keys,
    manifest_key,
    read_manifest,
)
from mediafm.store.sql import open_duckdb, paths, quoted
from mediafm.store.store import Store

MIN_FILES = 32
"""Fewer appended files are left as they are (our choice)."""
ROWS_PER_GROUP = 16_384
"""Of a merged part: what a question about one title reads at least (our choice)."""
MEMORY_LIMIT = "2GB"
"""What does not fit is sorted on disk, in the root's cache (our choice)."""
MIN_FILES_OF_STEPS = 64
"""After a step of a run more appended files are put up with than at the end of all work: merges lie further apart, and
readers have the longer for what they listed (our choice)."""
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
    _merge(store, merged, part)
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
    with open_duckdb(store) as connection:
        part_numbers(connection, store, part)
    sweep(store, [*after.parts, *before.parts])
    return after


def keep_few_files(store: Store) -> None:
    """After a step: merges what has gathered. Every query opens each file of the ledger, so that runs over thousands of
    titles would take longer and longer otherwise. Where another process merges at this moment, it has done it.

    Raises:
        StoreError: the root cannot be written.
    """
    with suppress(ConflictError):
        compact(store, MIN_FILES_OF_STEPS)


def _merge(store: Store, keys: Sequence[str], part: str) -> None:
    """Writes the rows of several files as one, sorted so that those of a title, or of none, lie together.

    Done by DuckDB, which sorts more than fits into memory.
    """
    columns = ", ".join(LEDGER_SCHEMA.names)
    with store.files.scratch(part) as path, open_duckdb(store) as connection:
        connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET VARIABLE merged = $found", {"found": paths(store, keys)})
        try:
            connection.execute(
                f"COPY (SELECT {columns} FROM read_parquet(getvariable('merged'), union_by_name = true) "
                f"ORDER BY title_id, table_name, generation, fingerprint) TO {quoted(str(path))} "
                f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROWS_PER_GROUP})"
            )
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise StoreError(
                f"cannot merge the ledger ({str(error).splitlines()[0]})",
                rule="the root must be a readable, writable folder with room for the ledger a second time",
                where=part,
                remedy="Free some space, then run again: the files that were to be merged are still there.",
            ) from error
        if not store.files.put_exclusive(part, path):
            raise StoreError("the file is there already", rule="every part of the ledger has its own name", where=part)

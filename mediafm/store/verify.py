"""Whether what rests is what the ledger says: bytes, sizes and headers of one title's current values."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from mediafm.errors import IntegrityError, MediaFMError
from mediafm.lineage.fingerprint import canonical_json
from mediafm.lineage.records import LedgerRecord
from mediafm.store.folders import CHECKPOINTS, folder_key
from mediafm.store.store import Store
from mediafm.store.views import connect, records

WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was read again and found as recorded."""

    num_files: int
    num_bytes: int


def verify_title(store: Store, title_id: str, connection: duckdb.DuckDBPyConnection | None = None) -> Verified:
    """Read all files behind the title's current values again, and its checkpoint's weights.

    Args:
        connection: one of `connect` to ask what is current; a fresh one unless given.

    Raises:
        IntegrityError: files, sizes, hashes or headers are not those of the ledger; all of them are named.
    """
    rows = _current_records(store, title_id, connection)
    complaints: list[str] = []
    for record in rows:
        complaints += complaints_about(store, record)
    for sha256 in sorted({record.checkpoint_sha256 for record in rows} - {""}):
        complaints += weights_complaints(store, sha256)
    if complaints:
        raise IntegrityError(
            f"{len(complaints)} mismatches: " + "; ".join(complaints),
            rule="what rests is what the ledger says",
            where=title_id,
            remedy="Discard the damaged files and run again.",
        )
    return Verified(num_files=len(rows), num_bytes=sum(record.size_bytes for record in rows))


def _current_records(store: Store, title_id: str, connection: duckdb.DuckDBPyConnection | None) -> list[LedgerRecord]:
    query = "SELECT table_name, fingerprint, sha256 FROM current WHERE title_id = $title"
    if connection is None:
        with connect(store, [title_id]) as fresh:
            current = fresh.execute(query, {"title": title_id}).fetchall()
    else:
        current = connection.execute(query, {"title": title_id}).fetchall()
    rows = {
        (row.table, row.fingerprint, row.sha256): row for row in records(store, [row[0] for row in current], [title_id])
    }
    return [rows[row] for row in current if rows[row].object_key]


def complaints_about(store: Store, record: LedgerRecord) -> list[str]:
    """How the file of a record differs from what the record says, a sentence each; [] where it does not."""
    try:
        store.verify_bytes(record.object_key, record.sha256, record.size_bytes)
        header = store.header(record.object_key)
    except MediaFMError as error:
        return [str(error)]
    expected = canonical_json({"table": record.table, "producer": record.producer, "inputs": record.inputs})
    stored = canonical_json(header)
    return [] if stored == expected else [f"{record.object_key}: the header {stored}, the ledger says {expected}"]


def weights_complaints(store: Store, sha256: str) -> list[str]:
    """Whether a checkpoint's weights are those that it is named after; [] if they are."""
    key = f"{folder_key(CHECKPOINTS, sha256)}/{WEIGHTS_FILE}"
    try:
        store.verify_bytes(key, sha256)
    except MediaFMError as error:
        return [str(error)]
    return []

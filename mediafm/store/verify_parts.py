"""Everything that the ledger says is there, read again: in parts, so that a night's worth of reading is enough.

A file falls into a part by the hash of its key: once and for ever, so that all parts together are the whole store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mediafm.errors import ConfigError, MediaFMError
from mediafm.lineage.records import LEDGER_SCHEMA, LedgerRecord
from mediafm.lineage.tables import REMOVED, TABLES
from mediafm.store.folders import folder_paths
from mediafm.store.ledger_files import ledger_keys
from mediafm.store.sql import open_duckdb, paths
from mediafm.store.store import Store
from mediafm.store.verify import complaints_about
from mediafm.types import Json

MAX_FINDINGS = 10
_ROWS_AT_ONCE = 500
_RECORDED = f"""
SELECT {", ".join(LEDGER_SCHEMA.names)} FROM read_parquet($paths, union_by_name = true) r
WHERE state = 'ok' AND object_key <> '' AND NOT EXISTS (
    SELECT 1 FROM read_parquet($paths, union_by_name = true) g
    WHERE g.table_name = '{REMOVED}' AND g.title_id = r.title_id AND g.fingerprint = r.fingerprint
        AND g.generation >= r.generation)
QUALIFY row_number() OVER (PARTITION BY object_key ORDER BY generation DESC, run_id DESC) = 1
ORDER BY object_key
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartVerified:
    """What was read again.

    num_files, num_bytes: that are as recorded; a folder of files counts once.
    num_found: that are not, or are not there. findings: the first of them, a sentence each.
    """

    part: int
    num_parts: int
    num_files: int
    num_bytes: int
    num_found: int
    findings: tuple[str, ...]

    def as_json(self) -> dict[str, Json]:
        return {
            "part": self.part,
            "num_parts": self.num_parts,
            "num_files": self.num_files,
            "num_bytes": self.num_bytes,
            "num_found": self.num_found,
            "findings": list(self.findings),
        }


def verify_part(
    store: Store, part: int = 0, num_parts: int = 1, on_file: Callable[[str], None] = lambda key: None
) -> PartVerified:
    """Reads every recorded file of one part again: bytes, size, header; nothing is changed.

    Args:
        part: from 0 on.
        on_file: called with each key after it was read.

    Raises:
        ConfigError: there is no such part.
        StoreError: the ledger cannot be read.
    """
    if not 0 <= part < num_parts:
        raise ConfigError(
            f"part {part} of {num_parts}", rule="parts count from 0 and there is at least one", where="verify"
        )
    num_files = num_bytes = num_found = 0
    findings: list[str] = []
    for record in _recorded(store):
        if part_of(record.object_key, num_parts) != part:
            continue
        wrong = complaints_about(store, record) if record.table in TABLES else _folder_complaints(store, record)
        num_found += bool(wrong)
        findings += wrong[: MAX_FINDINGS - len(findings)]
        if not wrong:
            num_files, num_bytes = num_files + 1, num_bytes + record.size_bytes
        on_file(record.object_key)
    return PartVerified(
        part=part,
        num_parts=num_parts,
        num_files=num_files,
        num_bytes=num_bytes,
        num_found=num_found,
        findings=tuple(findings),
    )


def part_of(key: str, num_parts: int) -> int:
    """Which part a key belongs to."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % num_parts


def _recorded(store: Store) -> Iterator[LedgerRecord]:
    """The newest record of each file, a few at a time."""
    keys = ledger_keys(store.files)
    if not keys:
        return
    with open_duckdb(store) as connection:
        found = connection.execute(_RECORDED, {"paths": paths(store, keys)})
        while rows := found.fetchmany(_ROWS_AT_ONCE):
            for row in rows:
                yield LedgerRecord.from_row(dict(zip(LEDGER_SCHEMA.names, row, strict=True)))


def _folder_complaints(store: Store, record: LedgerRecord) -> list[str]:
    try:
        folder_paths(store, record.object_key)
    except MediaFMError as error:
        return [str(error)]
    return []

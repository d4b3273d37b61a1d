"""The ledger again, from the files alone: the files are the truth, the ledger their index."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mediafm.errors import IntegrityError, NotFoundError
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import FIRST_GENERATION, REBUILT_GENERATION, LedgerRecord, RunInfo
from mediafm.lineage.tables import FACETS, TABLES
from mediafm.store.facts import LARGE_TABLES, facts_of
from mediafm.store.folders import CHECKPOINTS, folder_key
from mediafm.store.ledger import LedgerWriter
from mediafm.store.ledger_files import ledger_keys
from mediafm.store.rebuild_checkpoints import record_of_checkpoint, unnamed_checkpoints
from mediafm.store.sql import open_duckdb, paths
from mediafm.store.store import STORE_FOLDER, SUFFIX, Store
from mediafm.store.tombstones import deny_list, forgotten_record
from mediafm.store.views import records
from mediafm.types import Json, TitleState

FLUSH_EVERY_TITLES = 1000
_IMPORTED = '{"imported":'
"""How the canonical JSON of a title without media begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild did.

    num_rows: records added.
    damaged: keys of files that are no valid value, and of checkpoints' folders that are none; they have no record.
    ambiguous_titles: titles with several raw records of which no run says which is the newest: the next scan decides.
    """

    num_rows: int
    damaged: tuple[str, ...]
    ambiguous_titles: tuple[str, ...]


def rebuild_ledger(store: Store, run: RunInfo) -> Rebuilt:
    """Add a record for each value and checkpoint that no record names. Existing ones stay and go before the added.

    This is the one place that lists the whole store.

    Raises:
        StoreError: the root cannot be read or written.
    """
    known = _named_keys(store)
    damaged: list[str] = []
    raw_records: dict[str, int] = {}
    num_rows = 0
    with LedgerWriter(store, run, FLUSH_EVERY_TITLES) as ledger:
        for key in _value_keys(store):
            if key in known:
                continue
            try:
                record = record_of_file(store, key)
            except IntegrityError:
                damaged.append(key)
                continue
            ledger.add(record)
            num_rows += 1
            if record.table == "titles":
                raw_records[record.title_id] = raw_records.get(record.title_id, 0) + 1
        num_rows += _record_tombstones(store, ledger)
        ledger.flush()  # what a checkpoint read is looked up there
        for sha256 in unnamed_checkpoints(store):
            try:
                ledger.add(record_of_checkpoint(store, sha256))
            except (IntegrityError, NotFoundError):
                damaged.append(folder_key(CHECKPOINTS, sha256))
                continue
            num_rows += 1
    several = tuple(sorted(title_id for title_id, count in raw_records.items() if count > 1))
    return Rebuilt(num_rows=num_rows, damaged=tuple(damaged), ambiguous_titles=several)


def _record_tombstones(store: Store, ledger: LedgerWriter) -> int:
    """Adds a row for each forgotten title of which no row says so; how many."""
    known = {row.title_id for row in records(store, ["titles"]) if row.state is TitleState.FORGOTTEN}
    lost = [one for one in deny_list(store).tombstones if one.title_id not in known]
    for tombstone in lost:
        ledger.add(forgotten_record(tombstone, FIRST_GENERATION))
    return len(lost)


def record_of_file(store: Store, key: str) -> LedgerRecord:
    """What one file says of itself: its header, its place, its bytes.

    Raises:
        IntegrityError: the file is damaged, or stands where its header does not belong.
    """
    _, table, _, title_id, _ = key.split("/")
    identity = _identity(store, key, table, title_id)
    if store.key(identity) != key:
        raise IntegrityError(
            f"a header that belongs under {store.key(identity)}", rule="a value stands where its header says", where=key
        )
    stored = store.describe(key)
    rows = store.read(key, None if table not in LARGE_TABLES else ["shot_index"])
    row: dict[str, Any] = rows.to_pylist()[0] if table == "titles" else {}
    facts = {} if table in LARGE_TABLES else facts_of(table, rows)
    return LedgerRecord.of(
        identity,
        facets={name: row[f"facet_{name}"] or "" for name in FACETS} if row else {},
        object_key=key,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        num_rows=stored.num_rows,
        generation=REBUILT_GENERATION,
        step_version=_integer(identity.producer.get("step_version")),
        checkpoint_sha256=str(identity.producer.get("checkpoint", "")),
        details={**facts, **_source(row), "rebuilt": True},
    )


def _source(row: Mapping[str, Any]) -> dict[str, Json]:
    """Where an imported title came from, as far as its raw record says; of media the next scan tells."""
    if not row or not str(row["info_json"]).startswith(_IMPORTED):
        return {}
    name = json.loads(row["info_json"])["imported"]["name"]
    return {"source": {"kind": "imported", "name": name}, "group_id": row["group_id"]}


def _identity(store: Store, key: str, table: str, title_id: str) -> Identity:
    header = store.header(key)
    producer, inputs = header.get("producer"), header.get("inputs")
    if header.get("table") != table or not isinstance(producer, dict) or not isinstance(inputs, dict):
        raise IntegrityError("an odd header", rule="a header says table, producer and inputs", where=key)
    return Identity(
        table=table, title_id=title_id, producer=producer, inputs={name: str(item) for name, item in inputs.items()}
    )


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 1


def _value_keys(store: Store) -> Iterator[str]:
    for table in TABLES:
        for key in store.files.list_keys(f"{STORE_FOLDER}/{table}"):
            if key.endswith(SUFFIX) and key.count("/") == 4:
                yield key


def _named_keys(store: Store) -> set[str]:
    keys = ledger_keys(store.files)
    if not keys:
        return set()
    with open_duckdb(store) as connection:
        query = "SELECT DISTINCT object_key FROM read_parquet($paths, union_by_name = true) WHERE state = 'ok'"
        return {row[0] for row in connection.execute(query, {"paths": paths(store, keys)}).fetchall()}

"""The store as SQL: an in-memory DuckDB whose views read the Parquet files of the current values.

A connection is a snapshot: it sees the ledger and the pointers as they stood when it was opened. Nothing is copied but
the index; vectors and pictures are read from the files that a query touches, and a condition on `title_id` opens that
title's file only.

    ledger             every record that was ever written (column `table_name`: `table` is a word of SQL)
    current            exactly one row for each table and title that has a current value
    title_status       one row for each title: state, reason, step, shots, duration, coverage
    costs              one row for each value that was bought: title, asset, tokens, texts bought and cached, dollars
    titles shots frames words cues <modality>_embeddings fused_embeddings metadata_embeddings contextual_embeddings
    title_embeddings   the current values, each with its title_id; vectors as FLOAT[width]
    manifest_titles    which titles each training manifest covers
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import duckdb

from mediafm.lineage.records import LEDGER_SCHEMA, LedgerRecord
from mediafm.lineage.tables import ROOT_TABLES, TABLES
from mediafm.store.current import NEWEST_FIRST, Choice
from mediafm.store.ledger_files import LEDGER_FOLDER, ledger_keys, ledger_state
from mediafm.store.parquet import open_parquet
from mediafm.store.pointers import PRODUCERS, SERVING, Pointers
from mediafm.store.schemas import MANIFEST_TITLES, SCHEMAS
from mediafm.store.snapshot import Snapshot, Source, copied_source, make_snapshot, part_source
from mediafm.store.sql import files_told, is_among, make_view, new_duckdb, open_duckdb, paths, quoted, read_ledger
from mediafm.store.store import STORE_FOLDER, Store
from mediafm.store.tombstones import deny_list
from mediafm.store.vectors import LIST_SIZE_KEY
from mediafm.types import TitleState

COSTS_VIEW = """
SELECT
    title_id,
    asset,
    table_name,
    producer_id,
    fingerprint,
    run_id,
    recorded_at,
    CAST(details ->> 'num_tokens' AS BIGINT) AS num_tokens,
    CAST(details ->> 'num_bought' AS BIGINT) AS num_bought,
    CAST(details ->> 'num_cached' AS BIGINT) AS num_cached,
    cost_usd
FROM ledger
WHERE details ->> 'num_bought' IS NOT NULL
ORDER BY title_id, asset, recorded_at
"""
"""What endpoints were paid for, of whatever producer, current or not: money spent stays spent."""

VIEW_NAMES = {"spans": "shots"}
"""Views that are not called like their table."""


def pointed(store: Store, moment: datetime | None = None) -> Choice:
    """The producers that the pointers name now, or named at a moment."""
    pointers = Pointers(store)
    configured, serving = (
        pointers.read(name) if moment is None else pointers.at(name, moment) for name in (PRODUCERS, SERVING)
    )
    served = serving.value["producers"] if serving else None
    return Choice(
        configured={} if configured is None else {table: str(item) for table, item in configured.value.items()},
        serving={table: str(item) for table, item in served.items()} if isinstance(served, dict) else None,
    )


def connect(
    store: Store,
    title_ids: Sequence[str] | None = None,
    choice: Choice | None = None,
    *,
    tables: Collection[str] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open the views over the store as it stands now. The caller closes the connection.

    It loads no extension and reads no file but the store's tables and the ledger, whatever it is asked.

    Args:
        title_ids: the titles to look at; all unless given. The fewer, the quicker.
        choice: whose values are current; what the pointers say unless given.
        tables: the tables whose values may be read, `manifests` for the view of those; all unless given. Of a large
            catalogue the lists of files take longest.

    Raises:
        StoreError: the root cannot be read.
    """
    return open_snapshot(store, title_ids, choice, tables=tables)[0]


def open_snapshot(
    store: Store,
    title_ids: Sequence[str] | None = None,
    choice: Choice | None = None,
    *,
    tables: Collection[str] | None = None,
    until: datetime | None = None,
) -> tuple[duckdb.DuckDBPyConnection, Snapshot]:
    """As `connect`, with what the views are made of.

    Args:
        until: the ledger as it stood then (UTC): neither records nor tombstones that were written later count.
    """
    connection = new_duckdb(store)
    try:
        with files_told(store):
            sources = _make_ledger(connection, store, title_ids, until)
            until_us = None if until is None else int(until.timestamp() * 1_000_000)
            forgotten = [
                one.title_id
                for one in deny_list(store).tombstones
                if until is None or datetime.fromisoformat(one.forgotten_at) <= until
            ]
            snapshot = make_snapshot(connection, sources, choice or pointed(store), until_us, forgotten)
            connection.execute(f"CREATE TEMP VIEW costs AS {COSTS_VIEW}")
            for table in TABLES:
                if tables is None or table in tables:
                    _make_table_view(connection, store, table)
            if tables is None or "manifests" in tables:
                _make_manifest_view(connection, store)
            _lock(connection, store)
    except BaseException:
        connection.close()
        raise
    return connection, snapshot


def newest_rows(store: Store, table: str, title_ids: Sequence[str] | None = None) -> list[LedgerRecord]:
    """For each title its row of the highest generation in `table`, whatever its state; by title id.

    Of a title that was forgotten no row counts but those that say so.
    """
    forgotten = is_among("title_id", [one.title_id for one in deny_list(store).tombstones])
    clause = (
        f"WHERE table_name = {quoted(table)} AND {is_among('title_id', title_ids)} "
        f"AND (state = {quoted(TitleState.FORGOTTEN)} OR NOT ({forgotten})) "
        f"QUALIFY row_number() OVER (PARTITION BY title_id ORDER BY {NEWEST_FIRST}) = 1 ORDER BY title_id"
    )
    return _records(store, clause)


def records(store: Store, tables: Sequence[str], title_ids: Sequence[str] | None = None) -> list[LedgerRecord]:
    """All rows of these tables and titles, ordered by title, table, generation and fingerprint."""
    whose = "title_id = ''" if set(tables) <= set(ROOT_TABLES) else is_among("title_id", title_ids)
    clause = (
        f"WHERE {is_among('table_name', tables)} AND {whose} "
        "ORDER BY title_id, table_name, generation, fingerprint, recorded_at"
    )
    return _records(store, clause)


def bought(store: Store, run_ids: Sequence[str] | None = None) -> tuple[int, float]:
    """Tokens and dollars that the ledger says these runs spent; all runs unless given."""
    keys = ledger_keys(store.files)
    if not keys:
        return 0, 0.0
    with open_duckdb(store) as connection:
        query = (
            "SELECT coalesce(sum(CAST(details ->> 'num_tokens' AS BIGINT)), 0), coalesce(sum(cost_usd), 0) "
            f"FROM read_parquet($paths, union_by_name = true) WHERE {is_among('run_id', run_ids)}"
        )
        ((num_tokens, cost_usd),) = connection.execute(query, {"paths": paths(store, keys)}).fetchall()
    return int(num_tokens), float(cost_usd)


def distinct_producers(store: Store) -> set[tuple[str, str]]:
    """Table and producer_id of every record of a title."""
    keys = ledger_keys(store.files)
    if not keys:
        return set()
    with open_duckdb(store) as connection:
        query = "SELECT DISTINCT table_name, producer_id FROM read_parquet($paths, union_by_name = true) "
        rows = connection.execute(query + "WHERE title_id <> ''", {"paths": paths(store, keys)}).fetchall()
    return {(table, producer_id) for table, producer_id in rows if table in TABLES and producer_id}


def _records(store: Store, clause: str) -> list[LedgerRecord]:
    with open_duckdb(store) as connection:
        rows = read_ledger(connection, store, ledger_keys(store.files), clause)
    return [LedgerRecord.from_row(row) for row in rows.to_pylist()]


def _make_ledger(
    connection: duckdb.DuckDBPyConnection, store: Store, title_ids: Sequence[str] | None, until: datetime | None
) -> list[Source]:
    """The view `ledger`, and the relations whose rows decide on what is current: each row in one of them."""
    manifest, appended = ledger_state(store.files)
    found = paths(store, [*manifest.parts, *appended])
    clause = "" if until is None else f"WHERE recorded_at <= make_timestamp({int(until.timestamp() * 1_000_000)})"
    make_view(connection, "ledger", LEDGER_SCHEMA, found, "*", "union_by_name = true", clause, may_be_lost=False)
    if title_ids is not None:
        return [copied_source(connection, f"ledger WHERE title_id <> '' AND {is_among('title_id', title_ids)}")]
    sources = [part_source(connection, store, key) for key in manifest.parts]
    newer = paths(store, appended)
    make_view(connection, "_newer", LEDGER_SCHEMA, newer, "*", "union_by_name = true", clause, may_be_lost=False)
    sources.append(copied_source(connection, "_newer WHERE title_id <> ''"))
    connection.execute("DROP VIEW _newer")
    return sources


def _make_table_view(connection: duckdb.DuckDBPyConnection, store: Store, table: str) -> None:
    keys = [
        row[0]
        for row in connection.execute(
            "SELECT object_key FROM current WHERE table_name = ? AND object_key <> '' ORDER BY title_id", [table]
        ).fetchall()
    ]
    width = _vector_width(store, keys) if "vector" in SCHEMAS[table].names else 0
    hidden = "filename, title_id" if table == "titles" else "filename"
    columns = f"split_part(filename, '/', -2) AS title_id, * EXCLUDE ({hidden})"
    if width:
        columns += f" REPLACE (vector::FLOAT[{width}] AS vector)"
    make_view(connection, VIEW_NAMES.get(table, table), SCHEMAS[table], paths(store, keys), columns, "filename = true")


def _vector_width(store: Store, keys: Sequence[str]) -> int:
    """How wide the vectors of these files are, which one producer made; 0 if there is no first file."""
    if not keys or not store.files.exists(keys[0]):
        return 0
    field = open_parquet(store.files.open(keys[0]), keys[0]).schema_arrow.field("vector")
    return int(field.metadata[LIST_SIZE_KEY])


def _make_manifest_view(connection: duckdb.DuckDBPyConnection, store: Store) -> None:
    rows = connection.execute(
        "SELECT DISTINCT fingerprint FROM ledger WHERE title_id = '' AND table_name = 'manifests'"
    ).fetchall()
    keys = [f"{STORE_FOLDER}/manifests/{row[0]}/titles.parquet" for row in sorted(rows)]
    found = paths(store, (key for key in keys if store.files.exists(key)))
    columns = "split_part(filename, '/', -2) AS manifest_sha256, " + ", ".join(MANIFEST_TITLES.names[1:])
    make_view(connection, "manifest_titles", MANIFEST_TITLES, found, columns, "filename = true")


def _lock(connection: duckdb.DuckDBPyConnection, store: Store) -> None:
    """From here on nothing but the tables and the ledger can be read, and no setting can be changed."""
    keys = [f"{LEDGER_FOLDER}/", *(f"{STORE_FOLDER}/{table}/" for table in (*TABLES, "manifests"))]
    folders = sorted({*paths(store, keys), *(f"{store.root}/{key}" for key in keys)})
    connection.execute(f"SET allowed_directories = [{', '.join(map(quoted, folders))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")

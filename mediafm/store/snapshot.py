"""The relations that decide on what is current: the ledger's merged parts, read in place, and what was appended since.

Of a merged part nothing is copied: its index says which of its rows count, and a query reads the columns that it asks
for of those row groups that hold them. Rows that were appended since, and those of a few titles, are copied.

    _newest     each title's newest raw record
    current     exactly one row for each table and title that has a current value
    _setbacks   rows that say why a title has none
    title_status, see `mediafm.store.status`
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mediafm.lineage.records import LEDGER_SCHEMA
from mediafm.lineage.tables import TABLES
from mediafm.store.current import Choice, Present, present_rows
from mediafm.store.index import LedgerIndex, numbers_of, part_numbers
from mediafm.store.sql import paths, quoted
from mediafm.store.status import STATUS_VIEW
from mediafm.store.store import Store

INDEX_COLUMNS = ", ".join(name for name in LEDGER_SCHEMA.names if name != "producer")
MAX_COPIED_ROWS = 50_000
"""So many current rows are copied once, so that many small questions are quick; more are read in place (our choice)."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A relation with rows of the ledger, each under a number.

    relation: SQL after FROM. row: the column that numbers its rows. numbers: of `mediafm.store.index`, in that order.
    """

    relation: str
    row: str
    numbers: pa.Table


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a connection sees: the records in numbers, and which of them count."""

    index: LedgerIndex
    present: Present
    choice: Choice


def part_source(connection: duckdb.DuckDBPyConnection, store: Store, key: str) -> Source:
    """A merged part of the ledger, in place."""
    (path,) = paths(store, [key])
    return Source(
        relation=f"read_parquet({quoted(path)}, file_row_number = true)",
        row="file_row_number",
        numbers=part_numbers(connection, store, key),
    )


def copied_source(connection: duckdb.DuckDBPyConnection, relation: str) -> Source:
    """The rows of a relation, copied without the text of their producers."""
    connection.execute(f"CREATE TEMP TABLE _rows AS SELECT {INDEX_COLUMNS} FROM {relation}")
    return Source(relation="_rows", row="rowid", numbers=numbers_of(connection, "_rows"))


def make_snapshot(
    connection: duckdb.DuckDBPyConnection,
    sources: Sequence[Source],
    choice: Choice,
    until_us: int | None = None,
    forgotten: Collection[str] = (),
) -> Snapshot:
    """Works out what is current, and makes the relations that say so.

    Args:
        until_us: records written later (microseconds since 1970, UTC) do not count.
        forgotten: ids of titles that were forgotten.
    """
    index = LedgerIndex.of([(str(number), source.numbers) for number, source in enumerate(sources)])
    present = present_rows(index, choice, until_us, hashes_of(connection, forgotten))
    newest = present.newest_T[present.newest_T >= 0]
    for name, rows in (("current", present.current_rows()), ("_newest", newest), ("_setbacks", present.setback_rows())):
        _make_relation(connection, name, sources, index, rows)
    _make_status(connection, choice)
    return Snapshot(index=index, present=present, choice=choice)


def hashes_of(connection: duckdb.DuckDBPyConnection, texts: Collection[str]) -> list[int]:
    """Of each text the number that stands for it in an index."""
    if not texts:
        return []
    found = connection.execute("SELECT hash(unnest($texts::VARCHAR[]))", {"texts": list(texts)}).fetchall()
    return [int(row[0]) for row in found]


def _make_relation(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    sources: Sequence[Source],
    index: LedgerIndex,
    rows: NDArray[np.int64],
) -> None:
    """A relation with the rows of that number: copied if they are few, else read where they stand."""
    queries = [f"SELECT {INDEX_COLUMNS} FROM {sources[0].relation} WHERE false"] if sources else []
    for number, (_, own) in enumerate(index.by_source(rows)):
        if len(own):
            ids = f"_{name.strip('_')}_{number}"
            # From the buffer: `pa.array` of a NumPy array would import pandas.
            numbers = pa.Array.from_buffers(pa.int64(), len(own), [None, pa.py_buffer(np.ascontiguousarray(own))])
            connection.register("_numbered", pa.table({"number": numbers}))
            connection.execute(f"CREATE TEMP TABLE {ids} AS SELECT number FROM _numbered")
            connection.unregister("_numbered")
            queries.append(
                f"SELECT {INDEX_COLUMNS} FROM {sources[number].relation} "
                f"WHERE {sources[number].row} IN (SELECT number FROM {ids})"
            )
    kind = "TABLE" if len(rows) <= MAX_COPIED_ROWS else "VIEW"
    connection.execute(f"CREATE TEMP {kind} {name} AS {' UNION ALL '.join(queries)}")


def _make_status(connection: duckdb.DuckDBPyConnection, choice: Choice) -> None:
    connection.execute("CREATE TEMP TABLE _expected (position INTEGER, table_name VARCHAR, asset VARCHAR)")
    order = list(TABLES)
    connection.executemany(
        "INSERT INTO _expected VALUES (?, ?, ?)",
        [(order.index(table), table, TABLES[table].asset) for table in ("titles", *choice.expected())],
    )
    connection.execute(f"CREATE TEMP VIEW title_status AS {STATUS_VIEW}")

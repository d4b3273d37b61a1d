"""The ledger in numbers: what decides on what is current, a few columns of integers, one row for each of its rows.

A merged part of the ledger never changes, and so neither does its index: it lies in `<root>/cache/ledger/` as an Arrow
file that is mapped into memory, and is made again where it is gone. Rows that were appended since are few, and their
numbers are worked out when they are read.

Texts are compared by DuckDB's 64-bit hash, and only within one title and one table, so that two that differ are as good
as never taken for equal (our choice). Hashes may differ between versions of DuckDB: the version is part of a file's
name.

Legend: N rows, S slots of inputs, T titles.
"""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mediafm.lineage.fingerprint import fingerprint, short
from mediafm.lineage.tables import FACETS, REMOVED, TABLES
from mediafm.store.sql import paths, quoted
from mediafm.store.store import Store
from mediafm.types import TitleState

FOLDER = "ledger"
"""Under the root's cache."""
SLOTS: Mapping[str, tuple[str, ...]] = {
    name: FACETS if name == "titles" else (*spec.facets, *spec.possible_parents) for name, spec in TABLES.items()
}
"""Which input of a table stands in which slot; a raw record's slots are its facets."""
NUM_SLOTS = max(map(len, SLOTS.values()))
STATES = tuple(TitleState)
TABLE_NUMBERS = {name: number for number, name in enumerate(TABLES)}
REMOVED_NUMBER, OTHER_TABLE = len(TABLES), 255
"""Of rows that tell of a removal, and of rows that belong to no single title."""
_TEXTS = ("producer_id", "run_id", "checkpoint_sha256")
"""Columns of few different texts."""


def _slot(number: int) -> str:
    cases = " ".join(
        f"WHEN {quoted(table)} THEN {'facets' if table == 'titles' else 'inputs'}[{quoted(names[number])}]"
        for table, names in SLOTS.items()
        if number < len(names)
    )
    return f"CASE table_name {cases} END"


def _hashed(text: str) -> str:
    """0 for what is not there; a text whose hash is 0 is not to be feared."""
    return f"CASE WHEN {text} IS NULL THEN 0::UBIGINT ELSE hash({text}) END"


def _position(column: str, names: Sequence[str], otherwise: int) -> str:
    cases = " ".join(f"WHEN {quoted(name)} THEN {number}" for number, name in enumerate(names))
    return f"(CASE {column} {cases} ELSE {otherwise} END)::UTINYINT"


INDEX_SQL = f"""
SELECT
    hash(title_id) AS title,
    {_position("table_name", [*TABLES, REMOVED], OTHER_TABLE)} AS table_number,
    {_position("state", list(STATES), len(STATES))} AS state,
    generation,
    hash(fingerprint) AS fingerprint,
    coalesce(TRY_CAST('0x' || fingerprint[:16] AS UBIGINT), 0) AS beginning,
    hash(sha256 || run_id) AS tie,
    epoch_us(recorded_at) AS recorded_us,
    {", ".join(f"{_hashed(_slot(number))} AS slot_{number}" for number in range(NUM_SLOTS))},
    {", ".join(_TEXTS)}
FROM """
"""Numbers of the rows of a relation with the ledger's columns, in its order."""
VERSION = short(fingerprint({"sql": INDEX_SQL, "duckdb": duckdb.__version__}))


@dataclass(frozen=True, kw_only=True)
class LedgerIndex:
    """The rows of a ledger, or of some of its titles, source after source.

    sources: the relations that the rows stand in, with the number of rows of each; a row's number counts them all.
    title_N: hash of the title's id. table_N: place in `TABLES`, `REMOVED_NUMBER` or `OTHER_TABLE`. state_N: place in
        `STATES`.
    fingerprint_N, slots_SN: hashes; 0 for an input that a row does not name. beginning_N: a fingerprint's first 16
        digits, whose order is the fingerprints'. tie_N: of equal rows decides who goes first. recorded_N: microseconds
        since 1970, UTC.
    texts: of `producer_id`, `run_id` and `checkpoint_sha256`: the different ones, and each row's place among them.
    """

    sources: tuple[tuple[str, int], ...]
    title_N: NDArray[np.uint64]
    table_N: NDArray[np.uint8]
    state_N: NDArray[np.uint8]
    generation_N: NDArray[np.int64]
    fingerprint_N: NDArray[np.uint64]
    beginning_N: NDArray[np.uint64]
    tie_N: NDArray[np.uint64]
    recorded_N: NDArray[np.int64]
    slots_SN: tuple[NDArray[np.uint64], ...]
    texts: Mapping[str, tuple[Sequence[str], NDArray[np.int32]]]

    @classmethod
    def of(cls, parts: Sequence[tuple[str, pa.Table]]) -> LedgerIndex:
        """From the numbers (columns of `INDEX_SQL`) of several relations."""
        rows = pa.concat_tables([table for _, table in parts]) if parts else pa.Table.from_batches([], _SCHEMA)
        return cls(
            sources=tuple((name, len(table)) for name, table in parts),
            title_N=_numbers(rows, "title"),
            table_N=_numbers(rows, "table_number"),
            state_N=_numbers(rows, "state"),
            generation_N=_numbers(rows, "generation"),
            fingerprint_N=_numbers(rows, "fingerprint"),
            beginning_N=_numbers(rows, "beginning"),
            tie_N=_numbers(rows, "tie"),
            recorded_N=_numbers(rows, "recorded_us"),
            slots_SN=tuple(_numbers(rows, f"slot_{number}") for number in range(NUM_SLOTS)),
            texts={name: _coded(rows.column(name)) for name in _TEXTS},
        )

    @cached_property
    def titles(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The different titles' hashes, sorted [T], and each row's place among them [N]."""
        if not len(self.title_N):
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        begins_N = np.concatenate([[True], self.title_N[1:] != self.title_N[:-1]])
        titles_T, place = np.unique(self.title_N[begins_N], return_inverse=True)
        return titles_T, place[np.cumsum(begins_N) - 1]

    def rows_of(self, table: str) -> NDArray[np.int64]:
        """The rows of one table, in order."""
        order, ends = self._by_table
        number = TABLE_NUMBERS[table]
        return order[ends[number - 1] if number else 0 : ends[number]]

    @cached_property
    def _by_table(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All rows, table after table, and where each table ends."""
        counts = np.bincount(self.table_N, minlength=len(TABLE_NUMBERS))[: len(TABLE_NUMBERS)]
        return np.argsort(self.table_N, kind="stable"), np.cumsum(counts)

    def code(self, column: str, text: str) -> int:
        """The place of a text in one of the columns of texts; -1 if no row has it."""
        known = self.texts[column][0]
        return known.index(text) if text in known else -1

    def by_source(self, rows: NDArray[np.int64]) -> list[tuple[str, NDArray[np.int64]]]:
        """The rows by the relation that they stand in, numbered within it, sorted."""
        found, first = [], 0
        for name, num_rows in self.sources:
            found.append((name, np.sort(rows[(rows >= first) & (rows < first + num_rows)]) - first))
            first += num_rows
        return found


def numbers_of(connection: duckdb.DuckDBPyConnection, relation: str) -> pa.Table:
    """The numbers of a relation's rows, in their order."""
    table = connection.sql(INDEX_SQL + relation).to_arrow_table()
    for name in _TEXTS:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table.column(name).cast(pa.string()).dictionary_encode())
    return table.unify_dictionaries().combine_chunks()


def part_numbers(connection: duckdb.DuckDBPyConnection, store: Store, key: str) -> pa.Table:
    """The numbers of a merged part's rows: mapped from the cache, or worked out and kept there."""
    file = store.cache / FOLDER / f"{key.rsplit('/', 1)[1].removesuffix('.parquet')}-{VERSION}.arrow"
    if not file.exists():
        (path,) = paths(store, [key])
        numbers = numbers_of(connection, f"read_parquet({quoted(path)})")
        try:
            _keep(file, numbers)
        except OSError as error:
            warnings.warn(f"the ledger's index is not kept in {file.parent}: {error}", RuntimeWarning, stacklevel=2)
            return numbers
    with pa.memory_map(str(file)) as mapped:
        return pa.ipc.open_file(mapped).read_all()


def sweep(store: Store, parts: Sequence[str]) -> None:
    """Removes the indexes of parts that are no more, and of other versions."""
    kept = {f"{key.rsplit('/', 1)[1].removesuffix('.parquet')}-{VERSION}.arrow" for key in parts}
    for file in (store.cache / FOLDER).glob("*.arrow"):
        if file.name not in kept:
            file.unlink(missing_ok=True)


def _keep(file: Path, table: pa.Table) -> None:
    """Written beside and renamed: who reads sees all of it or nothing, and of two writers either is right."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}-{uuid.uuid4().hex}")
    try:
        with pa.OSFile(str(beside), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _numbers(table: pa.Table, name: str) -> NDArray[Any]:
    column = table.column(name)
    return _array(column.chunk(0) if column.num_chunks == 1 else column.combine_chunks())


def _array(numbers: pa.Array) -> NDArray[Any]:
    """The numbers, not copied. `to_numpy` would import pandas, half a second in each process that looks."""
    found: NDArray[Any] = numbers.to_numpy(zero_copy_only=False) if numbers.null_count else np.from_dlpack(numbers)
    return found


def _coded(column: pa.ChunkedArray) -> tuple[Sequence[str], NDArray[np.int32]]:
    if not len(column):
        return [], np.empty(0, np.int32)
    chunks = column.unify_dictionaries().chunks
    codes = [_array(chunk.indices) for chunk in chunks]
    return chunks[0].dictionary.to_pylist(), codes[0] if len(codes) == 1 else np.concatenate(codes)


_SCHEMA = pa.schema(
    [
        ("title", pa.uint64()),
        ("table_number", pa.uint8()),
        ("state", pa.uint8()),
        ("generation", pa.int64()),
        ("fingerprint", pa.uint64()),
        ("beginning", pa.uint64()),
        ("tie", pa.uint64()),
        ("recorded_us", pa.int64()),
        *((f"slot_{number}", pa.uint64()) for number in range(NUM_SLOTS)),
        *((name, pa.dictionary(pa.int32(), pa.string())) for name in _TEXTS),
    ]
)

"""DuckDB as the store uses it: in memory, without extensions, and with the ledger as a list of Parquet files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import duckdb
import pyarrow as pa

from mediafm.errors import StoreError
from mediafm.lineage.records import LEDGER_SCHEMA
from mediafm.store.store import Store

_TOLD = re.compile(r"^[A-Za-z_][\w.]*: (.+)$", re.MULTILINE)
"""An error's line in a traceback."""
_PATTERN_LETTERS = re.compile(r"[*?\[]")
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}


@contextmanager
def open_duckdb(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """A fresh in-memory database that loads nothing, closed at the end."""
    connection = new_duckdb(store)
    try:
        with files_told(store):
            yield connection
    finally:
        connection.close()


@contextmanager
def files_told(store: Store) -> Iterator[None]:
    """Around whatever reads files by DuckDB. Raises `StoreError` where the store's own filesystem refused."""
    try:
        yield
    except duckdb.Error as error:
        said = said_by_filesystem(error)
        if not said:
            raise
        raise StoreError(
            said, rule="the ledger and the values can be read", where=str(store.root), remedy="Run again."
        ) from error


def said_by_filesystem(error: duckdb.Error) -> str:
    """What a filesystem of ours said, of which DuckDB makes a traceback; "" if the error is DuckDB's own."""
    text = str(error).strip()
    if type(error) is not duckdb.Error or not text.startswith("Traceback"):
        return ""
    told = _TOLD.findall(text)
    return str(told[-1]).strip() if told else text.splitlines()[-1]


def new_duckdb(store: Store) -> duckdb.DuckDBPyConnection:
    """A fresh in-memory database that loads nothing; what does not fit into memory goes to the root's cache.

    A root in a bucket is read through the store's own filesystem, never by an extension.
    """
    connection = duckdb.connect(":memory:", config=dict(_SETTINGS))
    # DuckDB makes the last folder only. Where it cannot be made, only what does not fit into memory will fail.
    with suppress(OSError):
        store.cache.mkdir(parents=True, exist_ok=True)
    connection.execute("SET temp_directory = $folder", {"folder": str(store.cache / "duckdb")})
    filesystem = store.files.filesystem()
    if filesystem is not None:
        connection.register_filesystem(filesystem)
    return connection


def read_ledger(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    keys: Sequence[str],
    clauses: str = "",
) -> pa.Table:
    """Rows of the ledger's files `keys` as `LEDGER_SCHEMA`; `clauses` is SQL of ours after FROM."""
    if not keys:
        return pa.Table.from_batches([], LEDGER_SCHEMA)
    columns = ", ".join(LEDGER_SCHEMA.names)
    query = f"SELECT {columns} FROM read_parquet($paths, union_by_name = true) {clauses}"
    return connection.sql(query, params={"paths": paths(store, keys)}).to_arrow_table().cast(LEDGER_SCHEMA)


def paths(store: Store, keys: Iterable[str]) -> list[str]:
    """What DuckDB is told to read for `keys`: it takes every path for a pattern."""
    root = _PATTERN_LETTERS.sub(r"[\g<0>]", str(store.root))
    return [f"{root}/{key}" for key in keys]


def make_view(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    schema: pa.Schema,
    found: Sequence[str],
    columns: str,
    options: str,
    clause: str = "",
    *,
    may_be_lost: bool = True,
) -> None:
    """A view over Parquet files; without files, an empty one with the columns of `schema`.

    If a file is gone, the view is there, and a query that reads it says so.

    Args:
        schema: the columns as they rest; `title_id` is put before them where it is not among them.
        found: paths as `paths` gives them.
        columns: SQL of ours after SELECT.
        options: further arguments of `read_parquet`.
        clause: SQL of ours at the end.
        may_be_lost: False: a file that is gone is an error at once.

    Raises:
        StoreError: a file is gone that may not be.
    """
    kinds = {"title_id": "VARCHAR", **{field.name: sql_type(field.type) for field in schema}}
    nothing = f"SELECT {', '.join(f'NULL::{kind} AS {column}' for column, kind in kinds.items())} WHERE "
    if not found:
        connection.execute(f"CREATE TEMP VIEW {name} AS {nothing} false")
        return
    connection.execute(f"SET VARIABLE files_{name} = $found", {"found": list(found)})
    query = f"SELECT {columns} FROM read_parquet(getvariable('files_{name}'), {options}) {clause}"
    try:
        connection.execute(f"CREATE TEMP VIEW {name} AS {query}")
    except duckdb.Error as error:
        said = said_by_filesystem(error)
        if not said and not isinstance(error, duckdb.IOException):
            raise
        if not may_be_lost:
            raise StoreError(
                f"{name} cannot be read ({said or str(error).splitlines()[0]})",
                rule="what is listed stands there",
                where=str(found[0]).rpartition("/")[0],
                remedy="Run again: the ledger may just have been merged.",
            ) from error
        reason = quoted(f"{name} cannot be read: {said or str(error).splitlines()[0]}; run again to make what is lost")
        connection.execute(f"CREATE TEMP VIEW {name} AS {nothing} error({reason})::BOOLEAN")


def quoted(text: str) -> str:
    """`text` as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def is_among(column: str, values: Iterable[str] | None) -> str:
    """The condition that `column` holds one of `values`; always true for None. Literals, so that Parquet files are
    skipped by their statistics."""
    if values is None:
        return "true"
    listed = ", ".join(quoted(value) for value in sorted(set(values)))
    return f"{column} IN ({listed})" if listed else "false"


def sql_type(kind: pa.DataType) -> str:
    """DuckDB's name of an Arrow type that the store uses."""
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return "FLOAT[]"
    return _SQL_TYPES[str(kind)]


_SQL_TYPES = {
    "string": "VARCHAR",
    "binary": "BLOB",
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "float": "FLOAT",
    "timestamp[us]": "TIMESTAMP",
    "map<string, string>": "MAP(VARCHAR, VARCHAR)",
}

"""One SELECT of a user's over the views, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from mediafm.errors import ConfigError
from mediafm.store.store import Store
from mediafm.store.views import connect


@dataclass(frozen=True, slots=True)
class Selected:
    """What a SELECT gave: the columns' names, and rows of plain Python values (a vector is a tuple of floats)."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


def execute_select(store: Store, sql: str, max_rows: int | None = None) -> Selected:
    """Run exactly one SELECT over the views of `mediafm.store.views`, which is all that it can reach.

    Args:
        max_rows: stop after so many rows; all of them unless given.

    Raises:
        ConfigError: not one SELECT, or one that DuckDB refuses; its message says why.
        StoreError: the root cannot be read.
    """
    with connect(store) as connection:
        statement = _one_select(connection, sql)
        try:
            found = connection.execute(statement)
            columns = tuple(column[0] for column in found.description or ())
            rows = found.fetchall() if max_rows is None else found.fetchmany(max_rows)
        except duckdb.Error as error:
            raise ConfigError(
                str(error).strip(),
                rule="a query reads the views of the store only",
                where="SQL",
                remedy="`SELECT view_name FROM duckdb_views()` lists the views.",
            ) from error
    return Selected(columns, rows)


def _one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise ConfigError(str(error).strip(), rule="a query is SQL", where="SQL") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
        raise ConfigError(
            f"{kinds}", rule="a query is exactly one SELECT", where="SQL", remedy="Send one SELECT and nothing else."
        )
    return statements[0]

"""One SELECT of a user's over the views, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from mediafm.errors import ConfigError
from mediafm.lineage.tables import TABLES
from mediafm.store.sql import said_by_filesystem
from mediafm.store.store import Store
from mediafm.store.views import VIEW_NAMES, connect

TABLE_FUNCTIONS = ("range", "generate_series", "unnest", "json_each", "json_tree", "duckdb_views", "duckdb_columns")
"""All that a query may call in FROM; the files are reached through the views alone."""
_ASKS_FOR_NAMES = re.compile(r"duckdb_|\bshow\b|\bdescribe\b|\bsummarize\b|information_schema", re.IGNORECASE)
"""What asks which views there are: then they all have to be there."""
_QUERY_NODES = ("SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE", "RECURSIVE_CTE_NODE")


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
    with connect(store, tables=_tables_named(sql)) as connection:
        statement = _one_select(connection, sql)
        try:
            found = connection.execute(statement)
            columns = tuple(column[0] for column in found.description or ())
            rows = found.fetchall() if max_rows is None else found.fetchmany(max_rows)
        except duckdb.Error as error:
            raise ConfigError(
                said_by_filesystem(error) or str(error).strip(),
                rule="a query reads the views of the store only",
                where="SQL",
                remedy="`SELECT view_name FROM duckdb_views()` lists the views.",
            ) from error
    return Selected(columns, rows)


def _tables_named(sql: str) -> set[str] | None:
    """The tables whose files the query may want, by the names that occur in it; None for all."""
    if _ASKS_FOR_NAMES.search(sql):
        return None
    words = set(re.findall(r"\w+", sql.lower()))
    named = {table for table in TABLES if VIEW_NAMES.get(table, table) in words}
    return named | ({"manifests"} if "manifest_titles" in words else set())


def _one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """`sql` itself, once it is known to be one SELECT that only reads.

    DuckDB 2.0 calls `WITH x AS (COPY … TO 'file') SELECT …` a SELECT as well, and some table functions have effects:
    so the parsed tree is looked through before anything is bound.
    """
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise ConfigError(str(error).strip(), rule="a query is SQL", where="SQL") from error
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        raise ConfigError(
            ", ".join(kinds) or "nothing",
            rule="a query is exactly one SELECT",
            where="SQL",
            remedy="Send one SELECT and nothing else.",
        )
    found = connection.execute("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": statements[0].query}).fetchall()
    tree = json.loads(found[0][0])
    odd = [tree["error_message"]] if tree["error"] else sorted(set(_refused(tree)))
    if odd:
        raise ConfigError(
            ", ".join(odd),
            rule=f"a query is exactly one SELECT over the views and the table functions {', '.join(TABLE_FUNCTIONS)}",
            where="SQL",
            remedy="Read the store through its views.",
        )
    return sql


def _refused(tree: object) -> Iterator[str]:
    """The parts of a parsed query that do more than read the views."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting.extend(node.values())
            if "cte_map" in node and node.get("type") not in _QUERY_NODES:
                yield str(node.get("type"))
            if node.get("type") == "TABLE_FUNCTION":
                name = str(node["function"].get("function_name")).lower()
                if name not in TABLE_FUNCTIONS:
                    yield f"the table function {name}"
        elif isinstance(node, list):
            waiting.extend(node)

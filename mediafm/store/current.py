"""What is current: the SQL, generated from the graph of tables.

A title's newest raw record is the one of the highest generation. Every other value is current if it is done, if it was
made by the pointed-to producer, and if each of its inputs is the title's present one: facets those of the newest raw
record, parents the current values of their tables. Time decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mediafm.lineage.tables import TABLES
from mediafm.store.sql import quoted

CONTEXTUAL = tuple(name for name, spec in TABLES.items() if spec.asset == "contextual_embeddings")
"""The tables that the pointer `serving` decides on."""

NEWEST_FIRST = "generation DESC, (state = 'ok') DESC, fingerprint DESC, sha256 DESC, run_id DESC"
"""Among rows of one title's raw record."""
_SAME_VALUE = "r.generation DESC, r.sha256 DESC, r.run_id DESC"
"""Among rows of one value: they agree but for who recorded them."""
_WORST_FIRST = "r.generation DESC, (r.state = 'quarantined') DESC, (r.state = 'failed') DESC, r.reason, r.run_id"
"""Among setbacks of one value."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which producers count.

    configured: the configured producer_id of each table up to the fused vectors.
    serving: producer ids of the contextual tables and of the space that they read; None before the first checkpoint.
    """

    configured: Mapping[str, str]
    serving: Mapping[str, str] | None = None

    def expected(self) -> dict[str, str]:
        """Each table that a title should have now, with its producer_id, in the order of the graph."""
        serving = self.serving or {}
        return {
            table: (serving if table in CONTEXTUAL else self.configured)[table]
            for table in TABLES
            if table != "titles" and table in (serving if table in CONTEXTUAL else self.configured)
        }

    def producer_ids(self) -> list[str]:
        return sorted({*self.configured.values(), *(self.serving or {}).values()})


def chain_sql(choice: Choice) -> tuple[dict[str, str], str, str]:
    """SQL over `_rows` (records, done or not) and `_newest` (one raw record a title).

    Returns:
        Steps to be made tables in this order, by name: `id` (`rowid` of `_rows`), `title_id` and `fingerprint` of what
        is current in one table. Over them two queries of such ids: the current rows of all tables; and for each title
        and expected table without a current row the setback, if any, that concerns the title's present inputs.
    """
    steps = {"c_titles": "SELECT id, title_id, fingerprint, facets FROM _newest WHERE state = 'ok'"}
    names = {table: _add_step(steps, table, _deciding(choice, table), choice.configured) for table in choice.expected()}
    current = " UNION ALL ".join(f"SELECT id FROM {name}" for name in ("c_titles", *names.values()))
    return steps, current, _setbacks(choice, names)


def _deciding(choice: Choice, table: str) -> Mapping[str, str]:
    return (choice.serving or {}) if table in CONTEXTUAL else choice.configured


def _add_step(steps: dict[str, str], table: str, producers: Mapping[str, str], configured: Mapping[str, str]) -> str:
    """The name of the step of `table`'s current rows under `producers`, added after those that it reads."""
    name = _step_name(table, producers, configured)
    if name in steps:
        return name
    if table not in producers:
        steps[name] = "SELECT 0::BIGINT AS id, '' AS title_id, '' AS fingerprint WHERE false"
        return name
    names = TABLES[table].parents_under(producers)
    parents = {parent: _add_step(steps, parent, producers, configured) for parent in names}
    conditions = [f"r.table_name = {quoted(table)}", "r.state = 'ok'", f"r.producer_id = {quoted(producers[table])}"]
    conditions += _same_inputs(table, parents).values()
    conditions += _without(table, parents)
    steps[name] = (
        f"SELECT r.rowid AS id, r.title_id, r.fingerprint FROM _rows r {_joins(parents)} "
        f"WHERE {' AND '.join(conditions)} "
        f"QUALIFY row_number() OVER (PARTITION BY r.title_id ORDER BY {_SAME_VALUE}) = 1"
    )
    return name


def _setbacks(choice: Choice, names: Mapping[str, str]) -> str:
    """Rows that are not ok, of the present inputs as far as the row names them, where there is no current row."""
    queries = ["SELECT rowid AS id FROM _rows WHERE false"]
    for table, producer_id in choice.expected().items():
        producers = _deciding(choice, table)
        names_read = TABLES[table].parents_under(producers)
        parents = {parent: _step_name(parent, producers, choice.configured) for parent in names_read}
        conditions = [f"r.table_name = {quoted(table)}", "r.state <> 'ok'", f"r.producer_id = {quoted(producer_id)}"]
        conditions += [
            f"coalesce({same}, {_input(name)} IS NULL)" for name, same in _same_inputs(table, parents).items()
        ]
        conditions += _without(table, parents)
        conditions.append(f"r.title_id NOT IN (SELECT title_id FROM {names[table]})")
        queries.append(
            f"SELECT r.rowid AS id FROM _rows r {_joins(parents, kind='LEFT JOIN')} WHERE {' AND '.join(conditions)} "
            f"QUALIFY row_number() OVER (PARTITION BY r.title_id ORDER BY {_WORST_FIRST}) = 1"
        )
    return " UNION ALL ".join(queries)


def _step_name(table: str, producers: Mapping[str, str], configured: Mapping[str, str]) -> str:
    """`c_<table>`, or `s_<table>` where the serving space differs from the configured one in it or above it."""
    return f"c_{table}" if table not in CONTEXTUAL and _agree(table, producers, configured) else f"s_{table}"


def _agree(table: str, first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    return first.get(table) == second.get(table) and all(
        _agree(parent, first, second) for parent in TABLES[table].possible_parents
    )


def _joins(parents: Mapping[str, str], kind: str = "JOIN") -> str:
    return "JOIN c_titles t ON t.title_id = r.title_id " + " ".join(
        f"{kind} {step} p_{table} ON p_{table}.title_id = r.title_id" for table, step in parents.items()
    )


def _same_inputs(table: str, parents: Mapping[str, str]) -> dict[str, str]:
    """Input -> the condition that a row was made from the present one."""
    facets = {name: f"{_input(name)} = t.facets[{quoted(name)}]" for name in TABLES[table].facets}
    return facets | {name: f"{_input(name)} = p_{name}.fingerprint" for name in parents}


def _without(table: str, parents: Mapping[str, str]) -> list[str]:
    """The conditions that a row was not made from optional parents that nothing makes now."""
    return [f"{_input(name)} IS NULL" for name in TABLES[table].optional_parents if name not in parents]


def _input(name: str) -> str:
    return f"r.inputs[{quoted(name)}]"

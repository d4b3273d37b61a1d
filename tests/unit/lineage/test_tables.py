"""The graph of tables is a graph: parents come first, names agree."""

from __future__ import annotations

from mediafm.lineage.tables import FACETS, TABLES
from mediafm.store.schemas import SCHEMAS


def test_parents_come_before_their_children() -> None:
    seen: set[str] = set()
    for name, spec in TABLES.items():
        assert name == spec.name
        assert set(spec.parents) <= seen
        assert set(spec.facets) <= set(FACETS)
        seen.add(name)


def test_every_table_has_columns() -> None:
    assert set(SCHEMAS) == set(TABLES)


def test_every_table_but_the_raw_one_is_made_from_something() -> None:
    assert [name for name, spec in TABLES.items() if not spec.facets and not spec.parents] == ["titles"]

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


def test_an_optional_parent_is_read_where_something_makes_it() -> None:
    cues = TABLES["cues"]
    assert cues.parents_under({"spans"}) == ("spans",)
    assert cues.parents_under({"spans", "words"}) == cues.possible_parents == ("spans", "words")
    for spec in TABLES.values():
        assert set(spec.optional_parents) <= set(TABLES) - set(spec.parents)

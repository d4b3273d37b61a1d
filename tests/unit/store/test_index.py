"""The ledger in numbers: a cache that may go at any time, and an index that hides what was forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediafm.lineage.records import RunInfo
from mediafm.lineage.tables import TABLES
from mediafm.store import index
from mediafm.store.compaction import compact
from mediafm.store.index import LedgerIndex, numbers_of
from mediafm.store.ledger import LedgerWriter
from mediafm.store.ledger_files import ledger_state, read_manifest
from mediafm.store.rebuild import rebuild_ledger
from mediafm.store.sql import open_duckdb
from mediafm.store.store import Store
from mediafm.store.tombstones import Tombstone, put_tombstone
from mediafm.store.views import connect, newest_rows, open_snapshot
from mediafm.testing.stored_titles import CONFIGURED, RUN, contextual, make, point
from mediafm.types import TitleState


@pytest.fixture
def merged(store: Store) -> Store:
    with LedgerWriter(store, RUN) as ledger:
        for title_id in "abc":
            make(store, ledger, title_id)
    point(store, serving={**CONFIGURED, **contextual()})
    compact(store, min_files=1)
    return store


def current(store: Store) -> list[tuple[str, str]]:
    with connect(store, tables=()) as connection:
        return sorted(connection.execute("SELECT title_id, table_name FROM current").fetchall())


def index_files(store: Store) -> list[Path]:
    return sorted((store.root / "cache" / index.FOLDER).iterdir())


def test_a_merge_leaves_the_index_of_its_part(merged: Store) -> None:
    (part,) = read_manifest(merged.files).parts
    (file,) = index_files(merged)
    assert file.name.startswith(part.rsplit("/", 1)[1].removesuffix(".parquet"))
    assert len(current(merged)) == 3 * len(TABLES)


def test_a_cache_that_is_gone_is_made_again(merged: Store) -> None:
    expected = current(merged)
    (file,) = index_files(merged)
    file.unlink()
    assert current(merged) == expected
    assert index_files(merged) == [file]


def test_a_cache_that_cannot_be_written_is_told_and_does_no_harm(
    merged: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = current(merged)
    index_files(merged)[0].unlink()

    def refuse(file: Path, table: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(index, "_keep", refuse)
    with pytest.warns(RuntimeWarning, match="index is not kept"):
        assert current(merged) == expected


def test_indexes_of_parts_that_are_no_more_are_swept(merged: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediafm.store.compaction.MAX_PARTS", 1)
    for generation in (2, 3):
        with LedgerWriter(merged, RunInfo(run_id=f"run-{generation}", host="test")) as ledger:
            make(merged, ledger, "a", tables=["titles"], generation=generation)
        compact(merged, min_files=1)
    assert len(index_files(merged)) <= 2, "the present part's and, for readers of before, the last one's"
    assert newest_rows(merged, "titles", ["a"])[0].generation == 3


def test_rows_of_a_part_are_sorted_by_title(merged: Store) -> None:
    (part,), _ = ledger_state(merged.files)[0].parts, None
    with open_duckdb(merged) as connection:
        titles = connection.execute(f"SELECT title_id FROM read_parquet('{merged.root / part}')").fetchall()
    assert titles == sorted(titles)


def test_the_index_names_each_row_s_title_and_table_as_the_ledger_does(merged: Store) -> None:
    connection, snapshot = open_snapshot(merged, tables=())
    with connection:
        rows = connection.execute("SELECT title_id, table_name, hash(title_id) FROM ledger").fetchall()
    numbers = snapshot.index
    assert {int(row[2]) for row in rows} == set(numbers.titles[0].tolist())
    for number, table in enumerate(TABLES):
        assert set(numbers.rows_of(table).tolist()) == {i for i, row in enumerate(numbers.table_N) if row == number}
        assert len(numbers.rows_of(table)) == sum(row[1] == table for row in rows)


def test_an_index_of_nothing() -> None:
    empty = LedgerIndex.of([])
    assert len(empty.titles[0]) == len(empty.rows_of("titles")) == 0
    assert empty.code("run_id", "run-1") == -1


def test_what_was_forgotten_is_nowhere_current_whatever_is_recorded_later(merged: Store) -> None:
    stone = Tombstone(
        title_id="b",
        media_sha256=("media-of-b",),
        reason="",
        forgotten_at="2026-01-01T00:00:00+00:00",
        forgotten_by="x",
    )
    put_tombstone(merged, stone)
    with LedgerWriter(merged, RUN) as ledger:
        make(merged, ledger, "b", generation=9)
    assert {title for title, _ in current(merged)} == {"a", "c"}
    assert [row.title_id for row in newest_rows(merged, "titles")] == ["a", "c"]
    with connect(merged) as connection:
        for view in ("titles", "shots", "frames", "cues", "fused_embeddings", "contextual_embeddings", "title_status"):
            found = connection.execute(f"SELECT DISTINCT title_id FROM {view} ORDER BY 1").fetchall()
            assert found == [("a",), ("c",)], view


def test_a_rebuilt_ledger_says_what_was_forgotten(store: Store) -> None:
    stone = Tombstone(
        title_id="b", media_sha256=(), reason="over", forgotten_at="2026-01-01T00:00:00+00:00", forgotten_by="x@y"
    )
    put_tombstone(store, stone)
    assert rebuild_ledger(store, RUN).num_rows == 1
    assert rebuild_ledger(store, RUN).num_rows == 0
    (row,) = newest_rows(store, "titles")
    assert (row.title_id, row.state) == ("b", TitleState.FORGOTTEN)
    assert "forgotten at 2026-01-01T00:00:00+00:00 by x@y: over" in row.reason


def test_numbers_follow_the_order_of_the_relation(merged: Store) -> None:
    with open_duckdb(merged) as connection:
        (part,) = read_manifest(merged.files).parts
        relation = f"read_parquet('{merged.root / part}')"
        expected = connection.execute(f"SELECT hash(fingerprint) FROM {relation}").fetchall()
        assert numbers_of(connection, relation).column("fingerprint").to_pylist() == [row[0] for row in expected]


def test_what_does_not_fit_into_memory_goes_to_the_cache(store: Store) -> None:
    """The folder is not there before the first time, and DuckDB makes only the last one of a path."""
    store.files.put_exclusive("ledger/x", b"a root that is there, without a cache")
    with open_duckdb(store) as connection:
        connection.execute("SET memory_limit = '80MB'")
        connection.execute(
            "CREATE TEMP TABLE wide AS SELECT md5(i::VARCHAR) || md5((-i)::VARCHAR) AS t FROM range(3000000) r(i)"
        )
        assert connection.execute("SELECT count(*) FROM wide WHERE t > 'f'").fetchone() is not None
    assert not list((store.root / "cache" / "duckdb").glob("*")), "nothing is left there"

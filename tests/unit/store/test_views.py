"""The views over real files: what is current, what became of each title, and what a query can reach."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from mediafm.errors import StoreError
from mediafm.lineage.chain import TitleChain
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.store.ledger import LedgerWriter
from mediafm.store.ledger_files import ledger_keys, ledger_state
from mediafm.store.store import Store
from mediafm.store.views import bought, connect, newest_rows, records
from mediafm.testing.stored_titles import (
    CHECKPOINT,
    CONFIGURED,
    MANIFEST,
    RUN,
    contextual,
    facets_of,
    make,
    make_checkpoint,
    point,
)
from mediafm.types import TitleState

ALL_VIEWS = {
    "ledger",
    "title_status",
    "costs",
    "titles",
    "shots",
    "frames",
    "words",
    "cues",
    "video_embeddings",
    "audio_embeddings",
    "text_embeddings",
    "fused_embeddings",
    "metadata_embeddings",
    "contextual_embeddings",
    "title_embeddings",
    "manifest_titles",
}


def fetch(store: Store, sql: str) -> list[tuple[object, ...]]:
    with connect(store) as connection:
        return connection.execute(sql).fetchall()


def status(store: Store) -> dict[str, tuple[object, ...]]:
    return {str(row[0]): row[1:] for row in fetch(store, "SELECT title_id, state, step, reason FROM title_status")}


@pytest.fixture
def filled(store: Store) -> Store:
    with LedgerWriter(store, RUN) as ledger:
        for title_id in ("a", "b"):
            make(store, ledger, title_id)
    point(store, serving={**CONFIGURED, **contextual()})
    return store


def test_an_empty_root_has_every_view_and_no_row(store: Store) -> None:
    with connect(store) as connection:
        for view in ALL_VIEWS | {"current"}:
            assert connection.execute(f"SELECT count(*) FROM {view}").fetchall() == [(0,)], view
        assert connection.execute("SELECT title_id, vector FROM fused_embeddings").fetchall() == []


def test_every_value_is_seen_with_its_title(filled: Store) -> None:
    with connect(filled) as connection:
        found = {
            row[0] for row in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        }
        assert found == ALL_VIEWS
        for view in ALL_VIEWS - {"ledger", "manifest_titles", "costs"}:
            rows = connection.execute(f"SELECT title_id, count(*) FROM {view} GROUP BY 1 ORDER BY 1").fetchall()
            assert [row[0] for row in rows] == ["a", "b"], view


def test_current_holds_each_table_of_each_title_once(filled: Store) -> None:
    rows = fetch(filled, "SELECT table_name, title_id, count(*) FROM current GROUP BY ALL")
    assert sorted(rows) == sorted((table, title, 1) for table in TABLES for title in "ab")


def test_vectors_have_their_width_and_absent_ones_are_null(filled: Store) -> None:
    rows = fetch(filled, "SELECT vector, typeof(vector) FROM text_embeddings WHERE title_id = 'a' ORDER BY shot_index")
    assert rows == [(None, "FLOAT[4]"), ((0.5,) * 4, "FLOAT[4]"), ((0.5,) * 4, "FLOAT[4]")]
    similarity = (
        "SELECT array_cosine_similarity(x.vector, y.vector) FROM fused_embeddings x, fused_embeddings y LIMIT 1"
    )
    assert fetch(filled, similarity) == [(1.0,)]


def test_a_condition_on_the_title_opens_its_file_only(filled: Store) -> None:
    with connect(filled) as connection:
        plan = connection.execute("EXPLAIN ANALYZE SELECT * FROM shots WHERE title_id = 'b'").fetchall()[0][1]
    assert "1/2" in plan


def test_what_a_manifest_covers(filled: Store) -> None:
    with LedgerWriter(filled, RUN) as ledger:
        make_checkpoint(filled, ledger, {title_id: make(filled, ledger, title_id) for title_id in "ab"})
    rows = fetch(filled, "SELECT manifest_sha256, title_id, split, num_shots FROM manifest_titles ORDER BY title_id")
    assert rows == [(MANIFEST, "a", "test", 3), (MANIFEST, "b", "train", 3)]


def test_a_root_with_pattern_letters_in_its_name(tmp_path: Path) -> None:
    store = Store(tmp_path / "it's [old] *films?")
    with LedgerWriter(store, RUN) as ledger:
        make(store, ledger, "a")
    point(store)
    assert fetch(store, "SELECT title_id, count(*) FROM shots GROUP BY 1") == [("a", 3)]


def test_a_few_titles_only(filled: Store) -> None:
    with connect(filled, ["b"]) as connection:
        assert connection.execute("SELECT DISTINCT title_id FROM current").fetchall() == [("b",)]


def test_a_changed_sidecar_moves_cues_text_and_what_follows_only(filled: Store) -> None:
    changed = facets_of("a", text="corrected")
    with LedgerWriter(filled, RUN) as ledger:
        make(filled, ledger, "a", tables=["titles"], facets=changed, generation=2)
    rows = fetch(filled, "SELECT table_name FROM current WHERE title_id = 'a'")
    stale = {"words", "cues", "text_embeddings", "fused_embeddings", "contextual_embeddings", "title_embeddings"}
    assert {str(row[0]) for row in rows} == set(TABLES) - stale
    assert status(filled)["a"] == ("waiting", "transcripts", "words of the present inputs is still to be made")
    with LedgerWriter(filled, RUN) as ledger:
        make(filled, ledger, "a", tables=sorted(stale), facets=changed)
    assert len(fetch(filled, "SELECT table_name FROM current WHERE title_id = 'a'")) == len(TABLES)
    assert status(filled)["a"] == ("ok", "", "")


def test_going_back_to_an_old_version_needs_no_work(filled: Store) -> None:
    with LedgerWriter(filled, RUN) as ledger:
        make(filled, ledger, "a", tables=["titles"], facets=facets_of("a", video="other"), generation=2)
        make(filled, ledger, "a", tables=["titles"], generation=3)
    assert status(filled)["a"] == ("ok", "", "")


def test_a_switch_of_encoder_and_back_is_a_change_of_pointer(filled: Store) -> None:
    other = {**CONFIGURED, "video_embeddings": {"made_by": "another"}}
    point(filled, other)
    tables = {str(row[0]) for row in fetch(filled, "SELECT table_name FROM current WHERE title_id = 'a'")}
    assert not tables & {"video_embeddings", "fused_embeddings"}
    assert {"contextual_embeddings", "title_embeddings"} <= tables, "readers keep what is served, in its own space"
    point(filled, CONFIGURED)
    assert status(filled)["a"] == ("ok", "", "")


def test_served_vectors_of_a_changed_title_are_not_current(filled: Store) -> None:
    with LedgerWriter(filled, RUN) as ledger:
        make(filled, ledger, "a", tables=["titles"], facets=facets_of("a", audio="dubbed"), generation=2)
    assert fetch(filled, "SELECT title_id FROM title_embeddings") == [("b",)]


def test_a_rollback_shows_the_other_checkpoint_at_once(filled: Store) -> None:
    other = {**CONFIGURED, **contextual("d" * 64)}
    with LedgerWriter(filled, RUN) as ledger:
        make(filled, ledger, "a", ["contextual_embeddings", "title_embeddings"], producers=other)
    seen = "SELECT title_id, checkpoint_sha256 FROM current WHERE table_name = 'contextual_embeddings' ORDER BY 1"
    assert fetch(filled, seen) == [("a", CHECKPOINT), ("b", CHECKPOINT)]
    point(filled, serving=other)
    assert fetch(filled, seen) == [("a", "d" * 64)]
    assert status(filled)["b"][:2] == ("waiting", "contextual_embeddings")
    point(filled, serving={**CONFIGURED, **contextual()})
    assert fetch(filled, seen) == [("a", CHECKPOINT), ("b", CHECKPOINT)]


def test_setbacks_count_only_on_the_present_inputs(store: Store) -> None:
    point(store)
    with LedgerWriter(store, RUN) as ledger:
        make(store, ledger, "a", tables=["titles"])
        chain = TitleChain("a", facets_of("a"), CONFIGURED)
        ledger.add(LedgerRecord.of(chain.identity("spans"), state=TitleState.QUARANTINED, reason="no picture"))
    assert status(store)["a"] == ("quarantined", "shots", "no picture")
    with LedgerWriter(store, RUN) as ledger:
        make(store, ledger, "a", tables=["titles"], facets=facets_of("a", video="mended"), generation=2)
    assert status(store)["a"][:2] == ("waiting", "metadata_embeddings")


def test_work_that_went_well_later_outweighs_its_failure(store: Store) -> None:
    point(store)
    with LedgerWriter(store, RUN) as ledger:
        chain = TitleChain("a", facets_of("a"), CONFIGURED)
        failure = LedgerRecord.of(chain.identity("spans"), state=TitleState.FAILED, reason="memory", generation=2)
        ledger.add(failure)
        make(store, ledger, "a", tables=sorted(CONFIGURED))
        ledger.add(failure)
    assert status(store)["a"] == ("ok", "", "")


def test_a_title_without_a_raw_record_that_is_ok_has_nothing_current(filled: Store) -> None:
    with LedgerWriter(filled, RUN) as ledger:
        for title_id, state in (("a", TitleState.VANISHED), ("c", TitleState.QUARANTINED)):
            ledger.add(
                LedgerRecord(
                    asset="raw_titles", table="titles", title_id=title_id, state=state, reason="why", generation=2
                )
            )
    assert {row[0] for row in fetch(filled, "SELECT title_id FROM current")} == {"b"}
    assert status(filled)["a"] == ("vanished", "raw_titles", "why")
    assert status(filled)["c"] == ("quarantined", "raw_titles", "why")


def test_shots_duration_and_coverage(filled: Store) -> None:
    columns = "num_shots, duration_seconds, video_coverage, audio_coverage, text_coverage"
    assert fetch(filled, f"SELECT {columns} FROM title_status WHERE title_id = 'a'") == [(3, 30.0, 1.0, 1.0, 2 / 3)]


def test_a_lost_file_is_told_and_the_other_views_work(filled: Store) -> None:
    ((key,),) = fetch(filled, "SELECT object_key FROM current WHERE title_id = 'a' AND table_name = 'cues'")
    (filled.root / str(key)).unlink()
    assert len(fetch(filled, "SELECT * FROM shots")) == 6
    with connect(filled) as connection, pytest.raises(duckdb.Error, match=f"cues cannot be read: .*{key}"):
        connection.execute("SELECT count(*) FROM cues").fetchall()


def test_rows_as_records(filled: Store) -> None:
    assert [record.title_id for record in newest_rows(filled, "titles")] == ["a", "b"]
    assert [record.title_id for record in newest_rows(filled, "titles", ["b", "never seen"])] == ["b"]
    found = records(filled, ["spans", "cues"], ["a"])
    assert [record.table for record in found] == ["cues", "spans"]
    assert found[1].inputs == {"video": "video-of-a"}
    assert found[1].producer == CONFIGURED["spans"]


def test_the_connection_is_locked(filled: Store, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    with connect(filled) as connection:
        for sql in (
            f"SELECT * FROM read_text('{tmp_path}/secret.txt')",
            f"SELECT * FROM read_text('{filled.root}/pointers/serving/00000001.json')",
            f"SELECT * FROM read_text('{filled.root}/store/spans/../../pointers/serving/00000001.json')",
            "SET enable_external_access = true",
            "INSTALL httpfs",
            f"ATTACH '{tmp_path}/new.db'",
        ):
            with pytest.raises(duckdb.Error, match=r"disabled by configuration|has been locked|Cannot"):
                connection.execute(sql)


def test_costs_are_what_was_bought_of_whatever_producer(filled: Store) -> None:
    with LedgerWriter(filled, RUN) as ledger:
        for run, dollars in enumerate((0.5, 0.25)):
            ledger.add(
                LedgerRecord(
                    asset="text_embeddings",
                    table="text_embeddings",
                    title_id="a",
                    state=TitleState.FAILED,
                    reason="an old space",
                    cost_usd=dollars,
                    details={"num_tokens": 10 + run, "num_bought": 2, "num_cached": 1},
                )
            )
    rows = fetch(filled, "SELECT title_id, sum(num_tokens), sum(num_bought), sum(cost_usd) FROM costs GROUP BY 1")
    assert rows == [("a", 21, 4, 0.75)]
    assert bought(filled) == (21, 0.75)
    assert bought(filled, [RUN.run_id]) == (21, 0.75)
    assert bought(filled, ["another"]) == (0, 0.0)


def test_a_ledger_whose_files_vanish_while_it_is_opened_is_not_taken_for_an_empty_one(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = ledger_state(filled.files)
    for key in ledger_keys(filled.files):
        filled.files.delete(key)
    monkeypatch.setattr("mediafm.store.views.ledger_state", lambda files: listed)
    with pytest.raises(StoreError, match=r"ledger cannot be read .*Run again"):
        connect(filled)

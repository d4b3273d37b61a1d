"""`current` against a slow, plain reading of its definition, on random ledgers."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.store import snapshot
from mediafm.store.compaction import compact
from mediafm.store.current import CONTEXTUAL, Choice
from mediafm.store.ledger import put_records
from mediafm.store.store import Store
from mediafm.store.views import connect
from mediafm.types import TitleState

TITLES = ("a", "b")
STATES = (*[TitleState.OK] * 6, TitleState.FAILED, TitleState.QUARANTINED)


def random_ledger(seed: int) -> tuple[list[LedgerRecord], Choice]:
    """Rows of true identities: parents are mostly ones that some row made, producers and facets vary."""
    draw = random.Random(seed)
    rows = [_raw_record(draw, title_id) for title_id in TITLES for _ in range(draw.randint(0, 3))]
    for table in (name for name in TABLES if name != "titles"):
        for title_id in TITLES:
            rows += [_record(draw, rows, table, title_id) for _ in range(draw.randint(2, 5))]
    rows += [replace(row, run_id=f"again-{number}") for number, row in enumerate(draw.sample(rows, len(rows) // 4))]
    draw.shuffle(rows)
    moments = [datetime(2026, 1, 1 + draw.randint(0, 27), tzinfo=UTC) for _ in rows]
    rows = [replace(row, recorded_at=moment) for row, moment in zip(rows, moments, strict=True)]
    pointed = {table: _producer_id(table, rarely(draw)) for table in TABLES}
    configured = {table: item for table, item in pointed.items() if table not in CONTEXTUAL}
    served = {table: _producer_id(table, rarely(draw)) for table in TABLES}
    serving = draw.choice([served, {**pointed}, None])
    for producers in (configured, serving or {}):
        if draw.random() < 0.5:
            producers.pop("words", None)
    return rows, Choice(configured=configured, serving=serving)


def rarely(draw: random.Random) -> int:
    return int(draw.random() < 0.1)


def _producer(number: int) -> dict[str, int]:
    return {"version": number}


def _producer_id(table: str, number: int) -> str:
    return Identity(table=table, title_id="", producer=_producer(number), inputs={}).producer_id


def _raw_record(draw: random.Random, title_id: str) -> LedgerRecord:
    facets = {name: f"{name}-{rarely(draw)}" for name in ("video", "audio", "text", "metadata")}
    state = draw.choice([*STATES, TitleState.VANISHED])
    identity = Identity(table="titles", title_id=title_id, producer={}, inputs=facets)
    return _with_state(LedgerRecord.of(identity, facets=facets, generation=draw.randint(1, 3)), state)


def _record(draw: random.Random, rows: list[LedgerRecord], table: str, title_id: str) -> LedgerRecord:
    spec = TABLES[table]
    inputs = {name: f"{name}-{rarely(draw)}" for name in spec.facets}
    for parent in (*spec.parents, *(name for name in spec.optional_parents if draw.random() < 0.5)):
        made = [row.fingerprint for row in rows if row.table == parent and row.title_id == title_id]
        usual = max(sorted(made), key=made.count)
        inputs[parent] = draw.choice([*made, "never made"]) if draw.random() < 0.2 else usual
    identity = Identity(table=table, title_id=title_id, producer=_producer(rarely(draw)), inputs=inputs)
    return _with_state(LedgerRecord.of(identity, generation=draw.randint(1, 2)), draw.choice(STATES))


def _with_state(record: LedgerRecord, state: TitleState) -> LedgerRecord:
    if state is TitleState.OK:
        return replace(record, object_key=f"store/{record.table}/{record.fingerprint}", sha256=record.fingerprint)
    return replace(record, state=state, reason="why")


def slow_current(rows: list[LedgerRecord], choice: Choice) -> dict[tuple[str, str], str]:
    """The definition, read aloud: (table, title) -> fingerprint."""
    found: dict[tuple[str, str], str] = {}
    for title_id in TITLES:
        mine = [row for row in rows if row.title_id == title_id]
        newest = max(
            (row for row in mine if row.table == "titles"),
            key=lambda row: (row.generation, row.state is TitleState.OK, row.fingerprint),
            default=None,
        )
        if newest is None or newest.state is not TitleState.OK:
            continue
        found["titles", title_id] = newest.fingerprint
        for table in TABLES:
            if table != "titles":
                producers = (choice.serving or {}) if table in CONTEXTUAL else choice.configured
                fingerprint = _present(mine, newest.facets, producers, table)
                if fingerprint:
                    found[table, title_id] = fingerprint
    return found


def _present(
    rows: list[LedgerRecord], facets: Mapping[str, str], producers: Mapping[str, str], table: str
) -> str | None:
    if table not in producers:
        return None
    inputs = {name: facets[name] for name in TABLES[table].facets}
    for parent in TABLES[table].parents_under(producers):
        fingerprint = _present(rows, facets, producers, parent)
        if fingerprint is None:
            return None
        inputs[parent] = fingerprint
    done = {
        row.fingerprint
        for row in rows
        if row.table == table
        and row.state is TitleState.OK
        and row.producer_id == producers[table]
        and dict(row.inputs) == inputs
    }
    assert len(done) <= 1, "producer and inputs are what the fingerprint covers"
    return next(iter(done), None)


def found_current(store: Store, choice: Choice) -> dict[tuple[str, str], str]:
    with connect(store, choice=choice) as connection:
        current = connection.execute("SELECT table_name, title_id, fingerprint FROM current").fetchall()
    assert len({row[:2] for row in current}) == len(current), "one row for each table and title"
    return {(table, title): fingerprint for table, title, fingerprint in current}


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0, snapshot.MAX_COPIED_ROWS]))
def test_current_is_its_definition_and_never_holds_two_rows(seed: int, max_copied: int) -> None:
    """Appended, merged, or half of each; copied or read in place."""
    rows, choice = random_ledger(seed)
    expected = slow_current(rows, choice)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "MAX_COPIED_ROWS", max_copied)
        store = Store(Path(folder))
        put_records(store.files, "ledger/some/1.parquet", rows[::2])
        compact(store, min_files=1)
        put_records(store.files, "ledger/some/2.parquet", rows[1::2])
        assert found_current(store, choice) == expected
        compact(store, min_files=1)
        assert found_current(store, choice) == expected
        with connect(store, choice=choice) as connection:
            status = connection.execute("SELECT title_id, state FROM title_status").fetchall()
    assert sorted(title for title, _ in status) == sorted({row.title_id for row in rows if row.table == "titles"})


def test_random_ledgers_do_reach_the_product() -> None:
    """Else the property above would hold of nothing."""
    reached = [table for seed in range(50) for table, _ in slow_current(*random_ledger(seed))]
    assert {"words", "fused_embeddings", "contextual_embeddings"} <= set(reached)


def test_random_ledgers_reach_cues_with_words_and_without() -> None:
    configured = [random_ledger(seed) for seed in range(50)]
    with_words = {
        "words" in choice.configured for rows, choice in configured if ("cues", "a") in slow_current(rows, choice)
    }
    assert with_words == {True, False}


def test_current_does_not_depend_on_the_clock() -> None:
    rows, choice = random_ledger(7)
    seen = []
    for sign in (1, -1):
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
            turned = [
                replace(row, recorded_at=noon + sign * timedelta(seconds=number)) for number, row in enumerate(rows)
            ]
            put_records(store.files, "ledger/some/1.parquet", turned)
            with connect(store, choice=choice) as connection:
                found = connection.execute("SELECT * EXCLUDE (recorded_at) FROM current ORDER BY ALL").fetchall()
            seen.append(found)
    assert seen[0] == seen[1]

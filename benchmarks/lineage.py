"""How quickly the ledger answers at size: each audit, over generated titles through the whole graph, three times over.

100,000 titles x 11 tables x 3 generations of content, merged, with no files behind them. Beside each audit stands, in
the same run, what an answer takes at least without an index: reading the columns that the question is about, all rows
of them. What is current is compared, on fewer titles, with the plain way: all records in memory as Python objects, and
the same definition walked title by title.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.lineage_ledger import (
    FILES_PER_GENERATION,
    IDS,
    LABELS,
    NUM_GENERATIONS,
    PRODUCERS,
    append_titles,
    write_ledger,
)
from benchmarks.row import Row, alternate_seconds
from mediafm.lineage.audit import audit_checkpoint, audit_title
from mediafm.lineage.audit_made import audit_encoder, audit_labels, audit_media, audit_moment, audit_stale
from mediafm.lineage.audit_tree import AuditNode
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.store.audited import OpenedLedger, open_audited
from mediafm.store.compaction import compact
from mediafm.store.current import Choice
from mediafm.store.ledger_files import ledger_keys, read_manifest
from mediafm.store.store import Store
from mediafm.store.views import connect, newest_rows, pointed, records
from mediafm.testing.stored_titles import CHECKPOINT, point

NUM_TITLES = 100_000
NUM_COMPARED_TITLES = 1000
"""The plain way holds every record as an object: more would be a matter of minutes."""
NUM_APPENDED_TITLES = 1000
REPEATS = 3
AUDIT_GOAL_SECONDS = 2.0
LAST_DAY = datetime(2026, 1, 1 + NUM_GENERATIONS, 12, tzinfo=UTC)
DAY_BEFORE = datetime(2026, 1, NUM_GENERATIONS, 12, tzinfo=UTC)
CHAIN = ("title_id", "table_name", "producer_id", "fingerprint", "inputs", "facets", "generation", "state")
"""The columns that decide on what is current."""

Audit = Callable[[], AuditNode]


def rows(catalog: Path | None, num_titles: int = NUM_TITLES) -> list[Row]:
    """`catalog` is not used: the ledger is made from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        found = _compared(Path(folder) / "small", min(num_titles, NUM_COMPARED_TITLES))
        store = Store(Path(folder) / "large")
        point(store, PRODUCERS, serving=PRODUCERS)
        num_records = write_ledger(store, num_titles)
        num_files = len(ledger_keys(store.files))
        shape = f"{num_titles:,} titles, {num_records:,} records"
        merging, _ = alternate_seconds(lambda: compact(store, min_files=1), lambda: None, 1)
        audits = _audits(store)
        measured = [_audit_row(store, name, shape, *audits[name]) for name in audits]
        append_titles(store, min(num_titles, NUM_APPENDED_TITLES))
        shape = f"{shape}, {NUM_APPENDED_TITLES:,} titles appended since"
        measured += [_audit_row(store, name, shape, *audits[name]) for name in ("--title", "--checkpoint", "--stale")]
        slowest = max(row.value for row in measured)
        found += [
            *measured,
            Row(name="lineage: the slowest of these audits", value=slowest, unit="s", goal=AUDIT_GOAL_SECONDS),
        ]
        found.append(Row(name=f"lineage: merging {num_files} files, with the index", value=merging, unit="s"))
        return found


def _audits(store: Store) -> dict[str, tuple[tuple[str, ...], Audit]]:
    """Each audit by its options, with the columns that its question is about."""
    now = pointed(store)
    media = hashlib.sha256(f"media-{NUM_GENERATIONS}-77".encode()).hexdigest()
    pointers = {"serving": {"checkpoint_sha256": CHECKPOINT}}

    def title(ledger: OpenedLedger) -> AuditNode:
        return audit_title(ledger, "t7")

    def checkpoint(ledger: OpenedLedger) -> AuditNode:
        return audit_checkpoint(ledger, CHECKPOINT[:8])

    return {
        "--title": (("title_id",), _asked(store, title, ["t7"])),
        "--checkpoint": (CHAIN, _asked(store, checkpoint)),
        "--encoder": (CHAIN, _asked(store, lambda ledger: audit_encoder(ledger, "video-eye"))),
        "--media": (("media_sha256",), _asked(store, lambda ledger: audit_media(ledger, media), [])),
        "--labels": (("inputs",), _asked(store, lambda ledger: audit_labels(ledger, LABELS[:8]), [])),
        "--stale": (CHAIN, _asked(store, audit_stale)),
        "--as-of": (CHAIN, _asked(store, lambda ledger: audit_moment(ledger, "then", pointers), None, DAY_BEFORE, now)),
        "--title --as-of": (("title_id",), _asked(store, title, ["t7"], DAY_BEFORE, now)),
        "--checkpoint --as-of": (CHAIN, _asked(store, checkpoint, None, LAST_DAY, now)),
        "--stale --as-of": (CHAIN, _asked(store, audit_stale, None, DAY_BEFORE, now)),
    }


def _asked(
    store: Store,
    question: Callable[[OpenedLedger], AuditNode],
    title_ids: list[str] | None = None,
    until: datetime | None = None,
    choice: Choice | None = None,
) -> Audit:
    """An audit from nothing to JSON, as the command does it."""

    def work() -> AuditNode:
        with open_audited(store, title_ids, choice=choice, until=until) as ledger:
            tree = question(ledger)
        json.dumps(tree.as_json())
        return tree

    return work


def _audit_row(store: Store, name: str, shape: str, columns: tuple[str, ...], work: Audit) -> Row:
    """An audit beside the bare reading of its columns."""
    parts = [str(store.files.local_path(key)) for key in read_manifest(store.files).parts]

    def read() -> None:
        for part in parts:
            pq.read_table(part, columns=list(columns))

    ours, reading = alternate_seconds(work, read, REPEATS)
    return Row(
        name=f"lineage: {name}, {shape}",
        value=ours,
        unit="s",
        rival=f"reading its {len(columns)} columns",
        rival_value=reading,
    )


def _compared(root: Path, num_titles: int) -> list[Row]:
    """What is current, against the plain way; and what the merge of many files is good for."""
    store = Store(root)
    point(store, PRODUCERS, serving=PRODUCERS)
    num_records = write_ledger(store, num_titles)
    appended, _ = alternate_seconds(lambda: newest_rows(store, "titles", ["t7"]), lambda: None, REPEATS)
    compact(store, min_files=1)
    _refuse_other_answers(store)
    current, plain = alternate_seconds(lambda: _current(store), lambda: _plain_current(store), REPEATS)
    merged, _ = alternate_seconds(lambda: newest_rows(store, "titles", ["t7"]), lambda: None, REPEATS)
    shape = f"{num_titles:,} titles, {num_records:,} records"
    return [
        Row(
            name=f"lineage: what is current, {shape}",
            value=current,
            unit="s",
            rival="records as Python objects",
            rival_value=plain,
            goal=1.0,
        ),
        Row(
            name=f"lineage: the newest raw record of one title, {shape}",
            value=merged,
            unit="s",
            rival=f"{FILES_PER_GENERATION * NUM_GENERATIONS} files, not merged",
            rival_value=appended,
        ),
    ]


def _current(store: Store) -> dict[tuple[str, str], str]:
    with connect(store, tables=()) as connection:
        found = connection.execute("SELECT table_name, title_id, fingerprint FROM current").fetchall()
    return {(table, title): fingerprint for table, title, fingerprint in found}


def _plain_current(store: Store) -> dict[tuple[str, str], str]:
    """The rival: every record as an object, the definition of what is current step by step."""
    by_title: dict[str, list[LedgerRecord]] = defaultdict(list)
    for record in records(store, list(TABLES)):
        by_title[record.title_id].append(record)
    found = {}
    for title_id, mine in by_title.items():
        newest = max((row for row in mine if row.table == "titles"), key=lambda row: row.generation)
        present = {"titles": newest.fingerprint}
        for table in (name for name in TABLES if name in IDS and name != "titles"):
            inputs = {name: newest.facets[name] for name in TABLES[table].facets}
            inputs |= {parent: present.get(parent, "") for parent in TABLES[table].parents_under(IDS)}
            for row in mine:
                if row.table == table and row.producer_id == IDS[table] and row.inputs == inputs:
                    present[table] = row.fingerprint
        found.update({(table, title_id): fingerprint for table, fingerprint in present.items()})
    return found


def _refuse_other_answers(store: Store) -> None:
    found = _current(store)
    if found != _plain_current(store) or len(found) % len(IDS):
        raise AssertionError("ours and the rival's answers differ, or a title lacks a value")

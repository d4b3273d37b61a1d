"""How quickly the ledger answers: what is current, what made a title's embeddings, what a checkpoint saw and made.

The ledger is generated: every title through the whole graph, three times over with other content each time, merged,
with no files behind it. The rival is the plain way: all records in memory as Python objects, and the same definition of
what is current walked title by title.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.row import Row, alternate_seconds
from mediafm.lineage.audit import audit_checkpoint, audit_title
from mediafm.lineage.records import LEDGER_SCHEMA, LedgerRecord, RunInfo
from mediafm.lineage.tables import FACETS, TABLES
from mediafm.store.compaction import compact
from mediafm.store.current import CONTEXTUAL
from mediafm.store.folders import MANIFESTS, folder_key, put_folder
from mediafm.store.ledger import LedgerWriter, put_rows
from mediafm.store.ledger_files import ledger_keys
from mediafm.store.sql import open_duckdb, quoted
from mediafm.store.store import Store
from mediafm.store.views import connect, newest_rows, records
from mediafm.testing.stored_titles import CHECKPOINT, CONFIGURED, MANIFEST, contextual, point, producer_ids

NUM_TITLES = 1000
NUM_GENERATIONS = 3
TITLES_PER_FILE = 50
REPEATS = 3
AUDIT_GOAL_SECONDS = 2.0
PRODUCERS = {**CONFIGURED, **contextual()}
IDS = producer_ids(PRODUCERS)


def rows(catalog: Path | None, num_titles: int = NUM_TITLES) -> list[Row]:
    """`catalog` is not used: the ledger is made from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        point(store, serving=PRODUCERS)
        num_records = _write_ledger(store, num_titles)
        num_files = len(ledger_keys(store.files))
        appended, _ = alternate_seconds(lambda: newest_rows(store, "titles", ["t7"]), lambda: None, 1)
        merging, _ = alternate_seconds(lambda: compact(store, min_files=1), lambda: None, 1)
        shape = f"{num_titles:,} titles, {num_records:,} records"
        _refuse_other_answers(store)
        current, plain = alternate_seconds(lambda: _current(store), lambda: _plain_current(store), REPEATS)
        return [
            Row(
                name=f"lineage: what is current, {shape}",
                value=current,
                unit="s",
                rival="records as Python objects",
                rival_value=plain,
                goal=1.0,
            ),
            _goal("one title's audit", shape, lambda: _audit_title(store, "t7")),
            _goal("one checkpoint's audit", shape, lambda: _audit_checkpoint(store)),
            _goal("the newest raw record of one title", shape, lambda: newest_rows(store, "titles", ["t7"])),
            Row(name=f"lineage: the same from {num_files:,} files that were not merged", value=appended, unit="s"),
            Row(name=f"lineage: merging {num_files:,} files", value=merging, unit="s"),
        ]


def _goal(name: str, shape: str, work: Callable[[], object]) -> Row:
    seconds, _ = alternate_seconds(work, lambda: None, REPEATS)
    return Row(name=f"lineage: {name}, {shape}", value=seconds, unit="s", goal=AUDIT_GOAL_SECONDS)


def _current(store: Store) -> dict[tuple[str, str], str]:
    with connect(store) as connection:
        found = connection.execute("SELECT table_name, title_id, fingerprint FROM current").fetchall()
    return {(table, title): fingerprint for table, title, fingerprint in found}


def _audit_title(store: Store, title_id: str) -> None:
    with connect(store, [title_id]) as connection:
        audit_title(connection, title_id)


def _audit_checkpoint(store: Store) -> None:
    with connect(store) as connection:
        audit_checkpoint(connection, CHECKPOINT)


def _plain_current(store: Store) -> dict[tuple[str, str], str]:
    """The rival: every record as an object, the definition of what is current step by step."""
    by_title: dict[str, list[LedgerRecord]] = defaultdict(list)
    for record in records(store, list(TABLES)):
        by_title[record.title_id].append(record)
    found = {}
    for title_id, mine in by_title.items():
        newest = max((row for row in mine if row.table == "titles"), key=lambda row: row.generation)
        present = {"titles": newest.fingerprint}
        for table, spec in TABLES.items():
            inputs = {name: newest.facets[name] for name in spec.facets}
            inputs |= {parent: present.get(parent, "") for parent in spec.parents}
            for row in mine:
                if row.table == table and row.producer_id == IDS[table] and row.inputs == inputs and table != "titles":
                    present[table] = row.fingerprint
        found.update({(table, title_id): fingerprint for table, fingerprint in present.items()})
    return found


def _refuse_other_answers(store: Store) -> None:
    if _current(store) != _plain_current(store):
        raise AssertionError("ours and the rival's answers differ")


def _write_ledger(store: Store, num_titles: int) -> int:
    """Write generated records as a run of many batches would; how many they are."""
    with open_duckdb(store) as connection:
        for generation in range(1, NUM_GENERATIONS + 1):
            connection.execute(_generate(num_titles, generation))
            for start in range(0, num_titles, TITLES_PER_FILE):
                end = start + TITLES_PER_FILE
                query = f"SELECT * EXCLUDE (number) FROM made WHERE number >= {start} AND number < {end}"
                batch = connection.sql(query).to_arrow_table().cast(LEDGER_SCHEMA)
                put_rows(store.files, f"ledger/batches/run-{generation}-{start}.parquet", batch)
        _write_checkpoint(store, connection.sql(_COVERED).to_arrow_table())
    return num_titles * NUM_GENERATIONS * len(TABLES)


_COVERED = """
SELECT f.title_id, f.title_id AS group_id, 'train' AS split, f.media_sha256, f.fingerprint AS fused_fingerprint,
    f.object_key AS fused_key, m.fingerprint AS metadata_fingerprint, m.object_key AS metadata_key,
    3::INTEGER AS num_shots
FROM made f JOIN made m ON m.title_id = f.title_id AND m.table_name = 'metadata_embeddings'
WHERE f.table_name = 'fused_embeddings'
"""


def _write_checkpoint(store: Store, covered: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(covered, sink)
    put_folder(store, folder_key(MANIFESTS, MANIFEST), {"titles.parquet": sink.getvalue().to_pybytes()})
    with LedgerWriter(store, RunInfo(run_id="training", host="benchmark")) as ledger:
        ledger.add(LedgerRecord(asset="training_manifest", table="manifests", fingerprint=MANIFEST))
        ledger.add(
            LedgerRecord(
                asset="mediafm_checkpoint",
                table="checkpoints",
                fingerprint=CHECKPOINT,
                checkpoint_sha256=CHECKPOINT,
                inputs={"manifest": MANIFEST},
            )
        )


def _generate(num_titles: int, generation: int) -> str:
    """SQL that makes the table `made`: the records of one generation of all titles."""
    facets = ", ".join(f"{quoted(name)}: sha256('{name}-{generation}-' || number)" for name in FACETS)
    steps = {
        "titles": f"SELECT number, sha256('titles-{generation}-' || number) AS f, MAP {{{facets}}} AS facets "
        f"FROM range({num_titles}) r(number)"
    }
    for table, spec in TABLES.items():
        if table != "titles":
            inputs = [f"{quoted(name)}: t.facets[{quoted(name)}]" for name in spec.facets]
            inputs += [f"{quoted(parent)}: p_{parent}.f" for parent in spec.parents]
            joins = " ".join(f"JOIN step_{parent} p_{parent} USING (number)" for parent in spec.parents)
            steps[table] = (
                f"SELECT number, sha256({quoted(table)} || inputs::VARCHAR) AS f, inputs "
                f"FROM (SELECT number, MAP {{{', '.join(inputs)}}} AS inputs FROM step_titles t {joins})"
            )
    ctes = ", ".join(f"step_{table} AS MATERIALIZED ({query})" for table, query in steps.items())
    records_of = " UNION ALL ".join(_columns(table, generation) for table in TABLES)
    return f"CREATE OR REPLACE TEMP TABLE made AS WITH {ctes} {records_of}"


def _columns(table: str, generation: int) -> str:
    inputs, facets = ("MAP {}", "facets") if table == "titles" else ("inputs", "MAP {}")
    producer = str(PRODUCERS[table]).replace("'", '"')
    checkpoint = CHECKPOINT if table in CONTEXTUAL else ""
    values = {
        "asset": quoted(TABLES[table].asset),
        "table_name": quoted(table),
        "title_id": "'t' || number",
        "state": "'ok'",
        "reason": "''",
        "producer_id": quoted(IDS[table]),
        "fingerprint": "f",
        "producer": quoted(producer),
        "inputs": f"{inputs}::MAP(VARCHAR, VARCHAR)",
        "facets": f"{facets}::MAP(VARCHAR, VARCHAR)",
        "object_key": f"'store/{table}/{IDS[table]}/t' || number || '/' || f[:16] || '.parquet'",
        "sha256": "sha256(f)",
        "size_bytes": "1000::BIGINT",
        "num_rows": "3::BIGINT",
        "run_id": f"'run-{generation}'",
        "host": "'benchmark'",
        "recorded_at": f"TIMESTAMP '2026-01-01' + INTERVAL ({generation}) DAY",
        "generation": f"{generation if table == 'titles' else 1}::BIGINT",
        "step_version": "1::BIGINT",
        "seconds": "0.5::DOUBLE",
        "cost_usd": "0::DOUBLE",
        "checkpoint_sha256": quoted(checkpoint),
        "media_sha256": f"sha256('media-{generation}-' || number)",
        "is_forced": "false",
        "details": "'{\"num_present\":3}'",
    }
    return "SELECT number, " + ", ".join(f"{value} AS {name}" for name, value in values.items()) + f" FROM step_{table}"

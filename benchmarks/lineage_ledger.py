"""A ledger to measure on: generated titles through the whole graph, in generations of content, with no files behind."""

from __future__ import annotations

import hashlib
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm.lineage.fingerprint import canonical_json
from mediafm.lineage.records import LEDGER_SCHEMA, LedgerRecord, RunInfo
from mediafm.lineage.tables import FACETS, TABLES
from mediafm.store.current import CONTEXTUAL
from mediafm.store.folders import MANIFESTS, folder_key, put_folder
from mediafm.store.ledger import LedgerWriter, put_rows
from mediafm.store.ledger_files import ledger_keys
from mediafm.store.sql import open_duckdb, quoted
from mediafm.store.store import Store
from mediafm.testing.stored_titles import CHECKPOINT, CONFIGURED, MANIFEST, contextual, producer_ids

NUM_GENERATIONS = 3
FILES_PER_GENERATION = 20
LABELS = "5" * 64
ENCODERS = {name: {"name": f"{name}-eye", "revision": "r1", "width": 768} for name in ("video", "audio", "text")}
PRODUCERS = {
    **{table: made_by for table, made_by in {**CONFIGURED, **contextual()}.items() if table != "words"},
    **{f"{name}_embeddings": {"encoder": spec, "step_version": 1} for name, spec in ENCODERS.items()},
    "fused_embeddings": {"space": {"encoders": ENCODERS}, "step_version": 1},
}
"""Without a transcriber, as most catalogues are made."""
IDS = producer_ids(PRODUCERS)


def write_ledger(store: Store, num_titles: int) -> int:
    """Write generated records as a run of many batches would; how many they are."""
    per_file = -(-num_titles // FILES_PER_GENERATION)
    with open_duckdb(store) as connection:
        for generation in range(1, NUM_GENERATIONS + 1):
            connection.execute(_generate(num_titles, generation))
            for start in range(0, num_titles, per_file):
                query = f"SELECT * EXCLUDE (number) FROM made WHERE number >= {start} AND number < {start + per_file}"
                batch = connection.sql(query).to_arrow_table().cast(LEDGER_SCHEMA)
                put_rows(store.files, f"ledger/batches/run-{generation}-{start}.parquet", batch)
        _write_checkpoint(store, connection.sql(_COVERED).to_arrow_table())
    return num_titles * NUM_GENERATIONS * len(IDS)


def append_titles(store: Store, num_titles: int) -> None:
    """One more generation of a few titles, as a run leaves it before the next merge."""
    with open_duckdb(store) as connection:
        connection.execute(_generate(num_titles, NUM_GENERATIONS + 1))
        batch = connection.sql("SELECT * EXCLUDE (number) FROM made").to_arrow_table().cast(LEDGER_SCHEMA)
    put_rows(store.files, "ledger/batches/appended.parquet", batch)


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
        space = {"space": "generated"}
        ledger.add(LedgerRecord(asset="training_manifest", table="manifests", fingerprint=MANIFEST, producer=space))
        ledger.add(
            LedgerRecord(
                asset="mediafm_checkpoint",
                table="checkpoints",
                fingerprint=CHECKPOINT,
                checkpoint_sha256=CHECKPOINT,
                inputs={"manifest": MANIFEST},
                details={"producers": PRODUCERS, **space},
            )
        )
        ledger.add(
            LedgerRecord(
                asset="checkpoint_probes",
                table="evaluations",
                fingerprint=hashlib.sha256(b"an evaluation").hexdigest(),
                checkpoint_sha256=CHECKPOINT,
                inputs={"checkpoint": CHECKPOINT, "labels": LABELS},
                details={"test_set": "generated"},
            )
        )
    _date(store)


def _date(store: Store) -> None:
    """The checkpoint's records, as if written when the last generation was."""
    for key in [key for key in ledger_keys(store.files) if "/batches/" not in key]:
        table = pq.read_table(store.files.local_path(key), schema=LEDGER_SCHEMA)
        place = LEDGER_SCHEMA.get_field_index("recorded_at")
        moment = pa.array([datetime(2026, 1, 1 + NUM_GENERATIONS)] * len(table), pa.timestamp("us"))
        store.files.delete(key)
        put_rows(store.files, key, table.set_column(place, "recorded_at", moment))


def _generate(num_titles: int, generation: int) -> str:
    """SQL that makes the table `made`: the records of one generation of all titles."""
    facets = ", ".join(f"{quoted(name)}: sha256('{name}-{generation}-' || number)" for name in FACETS)
    steps = {
        "titles": f"SELECT number, sha256('titles-{generation}-' || number) AS f, MAP {{{facets}}} AS facets "
        f"FROM range({num_titles}) r(number)"
    }
    for table in (name for name in TABLES if name in IDS):
        spec = TABLES[table]
        if table != "titles":
            inputs = [f"{quoted(name)}: t.facets[{quoted(name)}]" for name in spec.facets]
            inputs += [f"{quoted(parent)}: p_{parent}.f" for parent in spec.parents_under(IDS)]
            joins = " ".join(f"JOIN step_{parent} p_{parent} USING (number)" for parent in spec.parents_under(IDS))
            steps[table] = (
                f"SELECT number, sha256({quoted(table)} || inputs::VARCHAR) AS f, inputs "
                f"FROM (SELECT number, MAP {{{', '.join(inputs)}}} AS inputs FROM step_titles t {joins})"
            )
    ctes = ", ".join(f"step_{table} AS MATERIALIZED ({query})" for table, query in steps.items())
    records_of = " UNION ALL ".join(_columns(table, generation) for table in steps)
    return f"CREATE OR REPLACE TEMP TABLE made AS WITH {ctes} {records_of}"


def _columns(table: str, generation: int) -> str:
    inputs, facets = ("MAP {}", "facets") if table == "titles" else ("inputs", "MAP {}")
    producer = canonical_json(dict(PRODUCERS[table]))
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

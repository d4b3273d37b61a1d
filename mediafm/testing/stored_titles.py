"""A store to test on: titles through the whole graph without media: tiny values, true identities, true records."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm.lineage.chain import TitleChain
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LedgerRecord, RunInfo
from mediafm.lineage.tables import TABLES
from mediafm.store.folders import CHECKPOINTS, MANIFESTS, folder_key, put_folder
from mediafm.store.ledger import LedgerWriter
from mediafm.store.pointers import PRODUCERS, SERVING, Pointers
from mediafm.store.schemas import MANIFEST_TITLES, SCHEMAS
from mediafm.store.store import Store
from mediafm.store.vectors import vectors_to_arrow
from mediafm.types import Json

CONFIGURED: Mapping[str, Mapping[str, Json]] = {
    table: {"made_by": table, "step_version": 1} for table in TABLES if not table.startswith(("contextual", "title_"))
}
WEIGHTS = b"the weights of a checkpoint"
CHECKPOINT = hashlib.sha256(WEIGHTS).hexdigest()
MANIFEST = hashlib.sha256(b"a manifest").hexdigest()
RUN = RunInfo(run_id="run-1", host="test")
WIDTH = 4


def contextual(checkpoint: str = CHECKPOINT) -> dict[str, Mapping[str, Json]]:
    """Producers of the tables that a checkpoint makes."""
    return {table: {"checkpoint": checkpoint} for table in ("contextual_embeddings", "title_embeddings")}


def facets_of(title_id: str, **changed: str) -> dict[str, str]:
    """The title's content hashes, some of them changed."""
    return {name: f"{name}-of-{title_id}" for name in ("video", "audio", "text", "metadata")} | changed


def producer_ids(producers: Mapping[str, Mapping[str, Json]]) -> dict[str, str]:
    """What the pointers hold: each table's producer_id."""
    return {
        table: Identity(table=table, title_id="x", producer=producer, inputs={}).producer_id
        for table, producer in producers.items()
    }


def point(store: Store, configured: Mapping[str, Any] = CONFIGURED, serving: Mapping[str, Any] | None = None) -> None:
    """Move both pointers; `serving` is the producers of the contextual tables and of their space."""
    pointers = Pointers(store)
    pointers.ensure(PRODUCERS, producer_ids(configured), "test")
    if serving is not None:
        value: dict[str, Json] = {"checkpoint_sha256": CHECKPOINT, "producers": producer_ids(serving)}
        pointers.ensure(SERVING, value, "test")


def value_of(table: str, title_id: str, facets: Mapping[str, str], num_shots: int = 3) -> pa.Table:
    """Rows of the right columns, one a shot; the text of the first shot is absent."""
    rows = 1 if table in ("titles", "metadata_embeddings", "title_embeddings") else num_shots
    columns = [_column(field, table, title_id, facets, rows) for field in SCHEMAS[table]]
    return pa.table(columns, names=SCHEMAS[table].names)


def _column(field: pa.Field, table: str, title_id: str, facets: Mapping[str, str], rows: int) -> pa.Array:
    is_present = np.ones(rows, dtype=bool)
    is_present[0] = table != "text_embeddings"
    if field.name == "vector":
        return vectors_to_arrow(np.full((rows, WIDTH), 0.5), is_present)
    if field.name == "is_present":
        return pa.array(is_present)
    if field.name == "title_id":
        return pa.array([title_id])
    if field.name.startswith("facet_"):
        return pa.array([facets[field.name.removeprefix("facet_")]])
    if pa.types.is_string(field.type):
        return pa.array([field.name] * rows)
    if pa.types.is_binary(field.type):
        return pa.array([b"jpeg"] * rows)
    return pa.array(np.arange(rows)).cast(field.type)


def make(
    store: Store,
    ledger: LedgerWriter,
    title_id: str,
    tables: Sequence[str] = tuple(TABLES),
    producers: Mapping[str, Mapping[str, Json]] | None = None,
    facets: Mapping[str, str] | None = None,
    generation: int = 1,
) -> dict[str, LedgerRecord]:
    """Write values and records of `tables` for one title, parents first."""
    facets = facets or facets_of(title_id)
    chain = TitleChain(title_id, facets, producers or {**CONFIGURED, **contextual()})
    made = {}
    for table in TABLES:
        if table in tables:
            identity = chain.identity(table)
            if table == "titles":
                identity = Identity(table=table, title_id=title_id, producer={}, inputs=dict(facets))
            made[table] = ledger.add(record_of(store, identity, facets, generation))
    return made


def record_of(store: Store, identity: Identity, facets: Mapping[str, str], generation: int = 1) -> LedgerRecord:
    """Write the value `identity` and say so in a record."""
    table = identity.table
    stored = store.write(identity, value_of(table, identity.title_id, facets))
    details: dict[str, Json] = {"duration_seconds": 30.0} if table == "spans" else {}
    if table in ("video_embeddings", "audio_embeddings", "text_embeddings"):
        details = {"num_present": 2 if table == "text_embeddings" else 3}
    return LedgerRecord.of(
        identity,
        facets=facets if table == "titles" else {},
        generation=generation if table == "titles" else 1,
        object_key=stored.key,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        num_rows=stored.num_rows,
        checkpoint_sha256=str(identity.producer.get("checkpoint", "")),
        media_sha256=f"media-of-{identity.title_id}",
        details=details,
    )


def make_checkpoint(store: Store, ledger: LedgerWriter, titles: Mapping[str, Mapping[str, LedgerRecord]]) -> None:
    """Write the checkpoint `CHECKPOINT`, trained on the manifest `MANIFEST` of `titles` (from `make`), and say so."""
    rows = [
        {
            "title_id": title_id,
            "group_id": title_id,
            "split": "train" if number else "test",
            "media_sha256": f"media-of-{title_id}",
            "fused_fingerprint": made["fused_embeddings"].fingerprint,
            "fused_key": made["fused_embeddings"].object_key,
            "metadata_fingerprint": made["metadata_embeddings"].fingerprint,
            "metadata_key": made["metadata_embeddings"].object_key,
            "num_shots": 3,
        }
        for number, (title_id, made) in enumerate(sorted(titles.items()))
    ]
    listed = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(list(MANIFEST_TITLES)[1:])), listed)
    manifest_key, checkpoint_key = folder_key(MANIFESTS, MANIFEST), folder_key(CHECKPOINTS, CHECKPOINT)
    put_folder(store, manifest_key, {"titles.parquet": listed.getvalue()})
    put_folder(store, checkpoint_key, {"model.safetensors": WEIGHTS, "config.json": b"{}"})
    ledger.add(
        LedgerRecord(
            asset="training_manifest",
            table="manifests",
            fingerprint=MANIFEST,
            object_key=manifest_key,
            sha256=MANIFEST,
            num_rows=len(rows),
        )
    )
    ledger.add(
        LedgerRecord(
            asset="mediafm_checkpoint",
            table="checkpoints",
            fingerprint=CHECKPOINT,
            inputs={"manifest": MANIFEST},
            object_key=checkpoint_key,
            sha256=CHECKPOINT,
            checkpoint_sha256=CHECKPOINT,
            details={"mlflow_run_id": "m1", "model_version": "7"},
        )
    )

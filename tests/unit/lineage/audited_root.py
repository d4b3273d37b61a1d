"""A root for audits, whose truth is known: two encoders, four titles, a checkpoint, labels."""

from __future__ import annotations

from dataclasses import replace

from mediafm.lineage.records import LedgerRecord
from mediafm.store.ledger import LedgerWriter, put_records
from mediafm.store.store import Store
from mediafm.store.views import records
from mediafm.testing.stored_titles import CHECKPOINT, CONFIGURED, RUN, contextual, make, make_checkpoint, point
from mediafm.types import Json

EYE: dict[str, Json] = {"name": "eye", "revision": "r2", "width": 4}
EAR: dict[str, Json] = {"name": "ear", "revision": "", "width": 4}
PRODUCERS = {
    **CONFIGURED,
    "video_embeddings": {"encoder": EYE, "step_version": 1},
    "audio_embeddings": {"encoder": EAR, "step_version": 1},
    "fused_embeddings": {"space": {"encoders": {"video": EYE, "audio": EAR}}, "step_version": 1},
}
LABELS = "5" * 64


def write_root(store: Store) -> None:
    """Titles a to d; a and b trained the checkpoint; labels tested it."""
    with LedgerWriter(store, RUN) as ledger:
        titles = {title: make(store, ledger, title, producers={**PRODUCERS, **contextual()}) for title in "abcd"}
        make_checkpoint(store, ledger, {title: titles[title] for title in "ab"})
    point(store, PRODUCERS, serving={**PRODUCERS, **contextual()})
    _rewrite(store, "checkpoints", {"producers": PRODUCERS, "space": "sp", "model_version": 7})
    _rewrite(store, "manifests", {}, producer={"space": "sp"})
    root = {"checkpoint_sha256": CHECKPOINT, "inputs": {"checkpoint": CHECKPOINT, "labels": LABELS}}
    with LedgerWriter(store, RUN) as ledger:
        for table, name in (("evaluations", "e" * 64), ("heads", "f" * 64)):
            details = {"test_set": "ts"} if table == "evaluations" else {}
            ledger.add(LedgerRecord(asset="x", table=table, fingerprint=name, details=details, **root))
        for test_set in ("ts", "another"):
            details = {"test_set": test_set, "verdict": "promoted", "reason": "good"}
            row = LedgerRecord(asset="champion", table="decisions", fingerprint=CHECKPOINT, details=details)
            ledger.add(replace(row, checkpoint_sha256=CHECKPOINT))


def _rewrite(store: Store, table: str, details: dict[str, Json], **fields: object) -> None:
    """The record of `table`, recorded again with more in it."""
    (row,) = records(store, [table])
    for key in store.files.list_keys(f"ledger/{row.asset}"):
        store.files.delete(key)
    put_records(store.files, f"ledger/{row.asset}/again.parquet", [replace(row, details=details, **fields)])

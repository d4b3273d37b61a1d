"""A root that grows: titles with fused vectors of their own, and a champion that was trained on those there were."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mediafm.lineage.chain import TitleChain
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.steps.training import keep_manifest, plan_manifest
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import CHECKPOINTS, folder_key, put_folder
from mediafm.store.pointers import CHAMPION
from mediafm.store.vectors import vectors_to_arrow
from mediafm.testing.stored_titles import facets_of, make
from tests.unit.steps.served_root import CONTEXTUAL, OLD

NUM_SHOTS = 4
BESIDE_FUSED = tuple(table for table in TABLES if table not in ("words", "fused_embeddings", *CONTEXTUAL))


def put_titles(workspace: Workspace, first: int, last: int, moved: float = 0.0, recut: str = "") -> None:
    """Titles with fused vectors of their own; `moved` moves their sound; `recut` makes the title's next generation."""
    for number in range(first, last):
        title_id = f"title-{number:03}"
        facets = facets_of(title_id, **({"audio": recut} if recut else {}))
        generation = 2 if recut else 1
        make(workspace.store, workspace.ledger, title_id, BESIDE_FUSED, workspace.producers, facets, generation)
        identity = TitleChain(title_id, facets, workspace.producers).identity("fused_embeddings")
        put_fused(workspace, identity, np.random.default_rng(number), moved)
    workspace.ledger.flush()


def put_fused(workspace: Workspace, identity: Identity, rng: np.random.Generator, moved: float) -> None:
    """Vectors around a centre of the title's own."""
    width = workspace.space.width
    centre = np.ones(width) + 0.3 * rng.normal(size=width)
    centre[width // 3] += moved
    shots = centre + 0.01 * rng.normal(size=(NUM_SHOTS, width))
    shots /= np.linalg.norm(shots, axis=1, keepdims=True)
    flags = {f"has_{modality}": pa.array([True] * NUM_SHOTS) for modality in ("video", "audio", "text")}
    index = pa.array(range(NUM_SHOTS), pa.int32())
    table = pa.table({"shot_index": index, **flags, "vector": vectors_to_arrow(shots)})
    stored = workspace.store.write(identity, table)
    workspace.ledger.add(
        LedgerRecord.of(
            identity,
            object_key=stored.key,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            num_rows=NUM_SHOTS,
            details={"num_vectors": NUM_SHOTS},
        )
    )


def train(workspace: Workspace, sha256: str = OLD) -> str:
    """The champion from now on, trained on all present titles as far as the ledger knows; its manifest's sha256."""
    manifest = plan_manifest(workspace).manifest
    assert manifest is not None
    keep_manifest(workspace, manifest)
    put_checkpoint(workspace, sha256, manifest.sha256, {})
    workspace.pointers.ensure(CHAMPION, {"checkpoint_sha256": sha256, "is_provisional": False}, "test")
    return manifest.sha256


def put_checkpoint(workspace: Workspace, sha256: str, manifest: str, producer: dict[str, object]) -> None:
    key = folder_key(CHECKPOINTS, sha256)
    put_folder(workspace.store, key, {"model.safetensors": b"weights"})
    workspace.ledger.add(
        LedgerRecord(
            asset="mediafm_checkpoint",
            table="checkpoints",
            fingerprint=sha256,
            producer=producer,  # type: ignore[arg-type]
            inputs={"manifest": manifest},
            object_key=key,
            sha256=sha256,
            checkpoint_sha256=sha256,
            details={"producers": {table: dict(value) for table, value in workspace.producers.items()}},
        )
    )
    workspace.ledger.flush()

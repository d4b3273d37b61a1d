"""A root that serves contextual vectors: imported titles, true identities and records, no training.

The vectors of a checkpoint are what is hidden in a shot (three numbers, the same whatever the checkpoint) through a
random map of the checkpoint's own, plus noise: labels of the hidden numbers can be told, but not by a probe of another
checkpoint.

Legend: N shots, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mediafm.config import Config
from mediafm.data.import_files import open_import
from mediafm.lineage.fingerprint import Identity
from mediafm.lineage.records import LedgerRecord
from mediafm.steps.contextual import ContextualStep
from mediafm.steps.embeddings import EMBEDDING_STEPS
from mediafm.steps.fused import FusedStep
from mediafm.steps.import_profile import write_profile
from mediafm.steps.imports import import_file
from mediafm.steps.present import PresentTitle
from mediafm.steps.producers import checkpoint_producers
from mediafm.steps.runner import run_step
from mediafm.steps.serving import serve
from mediafm.steps.step import Made, TitleStep
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION
from mediafm.store.vectors import vectors_to_arrow
from mediafm.types import Json

NUM_SHOTS, SHOT_SECONDS, WIDTH = 12, 2.0, 16


def hidden(title_id: str) -> NDArray[np.float64]:
    """What is hidden in the title's shots; [N, 3]."""
    return np.random.default_rng([*b"hidden", *title_id.encode()]).normal(size=(NUM_SHOTS, 3))


def seen_by(checkpoint_sha256: str, title_id: str) -> NDArray[np.float32]:
    """The vectors that the checkpoint makes of it; [N, W]."""
    through = np.random.default_rng(list(checkpoint_sha256.encode())).normal(size=(3, WIDTH))
    noise = np.random.default_rng([*b"noise", *title_id.encode()]).normal(size=(NUM_SHOTS, WIDTH))
    return (hidden(title_id) @ through + 0.3 * noise).astype(np.float32)


class ServedStep(TitleStep):
    """Stands in for `ContextualStep`; the first `num_absent` shots of a title have no vector."""

    asset, tables = ContextualStep.asset, ContextualStep.tables

    def __init__(self, workspace: Workspace, checkpoint_sha256: str, num_absent: int) -> None:
        self._store, self._sha256, self._num_absent = workspace.store, checkpoint_sha256, num_absent

    def make(self, title: PresentTitle, missing: Sequence[Identity]) -> list[Made]:
        vectors = seen_by(self._sha256, title.title_id)[self._num_absent :]
        shot_index = pa.array(np.arange(self._num_absent, NUM_SHOTS, dtype=np.int32))
        tables = {
            "contextual_embeddings": pa.table({"shot_index": shot_index, "vector": vectors_to_arrow(vectors)}),
            "title_embeddings": pa.table({"vector": vectors_to_arrow(vectors.mean(axis=0, keepdims=True))}),
        }
        return [Made.of(self._store, identity, tables[identity.table]) for identity in missing]


def new_root(folder: Path) -> Config:
    """The configuration of a root that has nothing yet, with few draws and folds."""
    _write_vectors(folder / "first.npz", ["any"], has_times=True)
    write_profile(folder / "served.toml", open_import(folder / "first.npz", {}, None), "made up")
    return Config.model_validate(
        {
            "root": str(folder / "root"),
            "profile": str(folder / "served.toml"),
            "device": "cpu",
            "probes": {"num_bootstrap": 50, "num_folds": 3},
        }
    )


def add_titles(workspace: Workspace, folder: Path, title_ids: Sequence[str], *, has_times: bool = True) -> None:
    """Titles with fused vectors, each a group of its own."""
    file = folder / f"{title_ids[0]}.npz"
    _write_vectors(file, title_ids, has_times)
    import_file(workspace, open_import(file, {}, None))
    workspace.ledger.flush()
    for step in (EMBEDDING_STEPS["metadata_embeddings"](workspace), FusedStep(workspace)):
        run_step(workspace, step, workspace.titles(title_ids))
        workspace.ledger.flush()


def embed_titles(workspace: Workspace, checkpoint_sha256: str, title_ids: Sequence[str], num_absent: int = 0) -> None:
    """Contextual vectors of the titles by a checkpoint, which the ledger knows afterwards."""
    producers: dict[str, Json] = {table: dict(value) for table, value in workspace.producers.items()}
    workspace.ledger.add(
        LedgerRecord(
            asset="mediafm_checkpoint",
            table="checkpoints",
            fingerprint=checkpoint_sha256,
            checkpoint_sha256=checkpoint_sha256,
            details={"producers": producers},
        )
    )
    titles = workspace.titles(title_ids, {**workspace.producers, **checkpoint_producers(checkpoint_sha256)})
    run_step(workspace, ServedStep(workspace, checkpoint_sha256, num_absent), titles)
    workspace.ledger.flush()


def serve_checkpoint(workspace: Workspace, checkpoint_sha256: str) -> None:
    """Makes it the champion, and what readers get."""
    value: dict[str, Json] = {"checkpoint_sha256": checkpoint_sha256, "is_provisional": False}
    workspace.pointers.ensure(CHAMPION, value, "a test")
    served = serve(workspace)
    workspace.ledger.flush()
    if served.checkpoint_sha256 != checkpoint_sha256:
        raise AssertionError(f"{served.checkpoint_sha256} is served: {served.reason}")


def _write_vectors(file: Path, title_ids: Sequence[str], has_times: bool) -> None:
    count = len(title_ids)
    starts = np.tile(np.arange(NUM_SHOTS) * SHOT_SECONDS, count)
    rng = np.random.default_rng(list(title_ids[0].encode()))
    columns = {
        "title_id": np.repeat(title_ids, NUM_SHOTS),
        "position": np.tile(np.arange(NUM_SHOTS), count),
        **{name: rng.normal(size=(count * NUM_SHOTS, 4)).astype(np.float32) for name in ("video", "audio", "text")},
    }
    if has_times:
        columns |= {"start_seconds": starts, "end_seconds": starts + SHOT_SECONDS}
    np.savez(file, **columns)  # type: ignore[arg-type]

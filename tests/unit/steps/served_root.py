"""Checkpoints that exist in the ledger only, and titles embedded by them without any model."""

from __future__ import annotations

from collections.abc import Sequence

from mediafm.lineage.records import LedgerRecord
from mediafm.steps.contextual import ContextualStep
from mediafm.steps.producers import Producer, checkpoint_producers
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION
from mediafm.testing.stored_titles import make
from mediafm.types import Json

OLD, NEW = "a" * 64, "b" * 64
CONTEXTUAL = ContextualStep.tables


def with_checkpoint(workspace: Workspace, sha256: str, producers: dict[str, Producer] | None = None) -> None:
    """A checkpoint in the ledger, of the configured space unless told otherwise, and the champion from now on."""
    recorded: dict[str, Json] = {table: dict(value) for table, value in (producers or workspace.producers).items()}
    workspace.ledger.add(
        LedgerRecord(
            asset="mediafm_checkpoint",
            table="checkpoints",
            fingerprint=sha256,
            checkpoint_sha256=sha256,
            details={"producers": recorded},
        )
    )
    workspace.ledger.flush()
    workspace.pointers.ensure(CHAMPION, {"checkpoint_sha256": sha256, "is_provisional": False}, "test")


def embedded(workspace: Workspace, sha256: str, *title_ids: str, tables: Sequence[str] = CONTEXTUAL) -> None:
    for title_id in title_ids:
        make(
            workspace.store,
            workspace.ledger,
            title_id,
            tables,
            {**workspace.producers, **checkpoint_producers(sha256)},
        )
    workspace.ledger.flush()


def ingested(workspace: Workspace, *title_ids: str) -> None:
    embedded(workspace, OLD, *title_ids, tables=["titles", *(t for t in workspace.producers if t != "titles")])

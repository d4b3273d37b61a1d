"""Tiny checkpoints, put into a root as training puts them."""

from __future__ import annotations

import torch

from mediafm.lineage.records import LedgerRecord
from mediafm.model import presets
from mediafm.model.mediafm import build
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import CHECKPOINTS, folder_key, put_folder
from mediafm.train.checkpoint import Checkpoint, make_checkpoint, to_files


def tiny_checkpoint(
    workspace: Workspace,
    seed: int,
    *,
    lowest_skill: float = 0.1,
    is_finite: bool = True,
    is_uncollapsed: bool = True,
) -> Checkpoint:
    """An untrained network of the configured space that says to have this skill."""
    model = build(presets.tiny(12, 4), seed)
    if not is_finite:
        with torch.no_grad():
            next(model.parameters()).fill_(torch.nan)
    skill = {"skill": lowest_skill + 0.1, "interval": [lowest_skill, lowest_skill + 0.2], "by_modality": {}}
    report = {"skill": {"random": skill}, "is_uncollapsed": is_uncollapsed}
    return make_checkpoint(model, (1,), workspace.space.as_json(), f"{seed:064x}", {}, report)


def stored_checkpoint(workspace: Workspace, seed: int, **facts: float | bool) -> str:
    """Its sha256, with its files in the store and its row in the ledger."""
    checkpoint = tiny_checkpoint(workspace, seed, **facts)
    folder = folder_key(CHECKPOINTS, checkpoint.sha256)
    put_folder(workspace.store, folder, to_files(checkpoint))
    producers = {table: dict(value) for table, value in workspace.producers.items()}
    workspace.ledger.add(
        LedgerRecord(
            asset="mediafm_checkpoint",
            table="checkpoints",
            fingerprint=checkpoint.sha256,
            object_key=folder,
            sha256=checkpoint.sha256,
            checkpoint_sha256=checkpoint.sha256,
            details={"producers": producers},
        )
    )
    workspace.ledger.flush()
    return checkpoint.sha256

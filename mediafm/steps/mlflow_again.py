"""MLflow again, from the store: for one that was lost, or whose files lie where the root was before it was moved.

What the store does not hold does not come back: other runs, the numbers of the training curves (their picture does),
and the revision of the code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from mediafm.lineage.records import LedgerRecord
from mediafm.registry.registry import RegisteredVersion, Registry
from mediafm.steps.checkpoint_files import stored_files_beside
from mediafm.steps.checkpoints import load_checkpoint
from mediafm.steps.decision import UNCHANGED
from mediafm.steps.evaluation_report import REPORT_FILE, Evaluation
from mediafm.steps.gate import decisions_about
from mediafm.steps.mirror import mirror_alias, registry_of
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import CHECKPOINTS, folder_key, has_folder, read_folder
from mediafm.store.pointers import CHAMPION, SERVING
from mediafm.store.views import records
from mediafm.types import Json


@dataclass(frozen=True, kw_only=True)
class MLflowAgain:
    """What was done.

    added: sha256 -> the version that it has now, of checkpoints that MLflow lacked. known: those that it had.
    lost: checkpoints on record whose files the store lacks.
    """

    added: dict[str, int]
    known: tuple[str, ...]
    lost: tuple[str, ...]

    def as_json(self) -> dict[str, Json]:
        return {"added": dict(self.added), "known": list(self.known), "lost": list(self.lost)}


def rebuild_mlflow(workspace: Workspace) -> MLflowAgain:
    """Logs and registers each checkpoint of the store that MLflow lacks, in the order of their versions; sets decisions
    and aliases. What is there stays; may be done twice.

    Raises:
        IntegrityError: a checkpoint's files are not what their names say.
        StoreError: MLflow refused.
    """
    registry = registry_of(workspace)
    added: dict[str, int] = {}
    known, lost = [], []
    for row in _checkpoints(workspace):
        if not has_folder(workspace.store, folder_key(CHECKPOINTS, row.checkpoint_sha256)):
            lost.append(row.checkpoint_sha256)
        elif registry.find(row.checkpoint_sha256) is not None:
            known.append(row.checkpoint_sha256)
        else:
            added[row.checkpoint_sha256] = _log(workspace, registry, row)
    _say_decisions(workspace, registry, set(added))
    for alias in (CHAMPION, SERVING):
        pointer = workspace.pointers.read(alias)
        mirror_alias(workspace, alias, None if pointer is None else str(pointer.value["checkpoint_sha256"]))
    return MLflowAgain(added=added, known=tuple(known), lost=tuple(lost))


def _checkpoints(workspace: Workspace) -> list[LedgerRecord]:
    """The record of each checkpoint that holds, by the version that MLflow had given it."""
    newest = {row.checkpoint_sha256: row for row in records(workspace.store, ["checkpoints"]) if row.sha256}
    return sorted(newest.values(), key=lambda row: (int(str(row.details.get("model_version") or 0)), row.recorded_at))


def _log(workspace: Workspace, registry: Registry, row: LedgerRecord) -> int:
    sha256 = row.checkpoint_sha256
    checkpoint, files = load_checkpoint(workspace, sha256), stored_files_beside(workspace, sha256)
    version = registry.log_training(checkpoint, [], files, {"dagster_run_id": row.run_id})
    _log_evaluation(workspace, registry, version)
    now: dict[str, Json] = {
        "mlflow_run_id": version.run_id,
        "mlflow_model_id": version.model_id,
        "model_version": version.version,
    }
    workspace.ledger.add(replace(row, seconds=0.0, cost_usd=0.0, details={**row.details, **now}))
    workspace.ledger.flush()
    return version.version


def _log_evaluation(workspace: Workspace, registry: Registry, version: RegisteredVersion) -> None:
    rows = [
        row
        for row in records(workspace.store, ["evaluations"])
        if row.checkpoint_sha256 == version.sha256 and row.details.get("kind") == "candidate"
    ]
    if not rows or not has_folder(workspace.store, rows[-1].object_key):
        return
    stored: dict[str, Any] = json.loads(read_folder(workspace.store, rows[-1].object_key)[REPORT_FILE])
    evaluation = Evaluation(**{**stored, "was_made": False})
    registry.log_probe_metrics(version.model_id, evaluation.metrics())
    registry.log_probe_files(version.model_id, evaluation.files({}), "probes")


def _say_decisions(workspace: Workspace, registry: Registry, sha256s: set[str]) -> None:
    for decision in decisions_about(workspace.store):
        if decision.candidate_sha256 in sha256s and decision.verdict != UNCHANGED:
            registry.set_tags(str(decision.candidate_sha256), decision.as_tags())

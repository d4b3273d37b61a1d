"""From a trained checkpoint to served vectors: evaluate, decide, serve, measure; and what of it is still to be done."""

from __future__ import annotations

from dataclasses import dataclass, field

from mediafm.probes.embedding_map import embedding_map
from mediafm.probes.noninferiority import GateTask
from mediafm.steps.contextual import champion_sha256, space_producers
from mediafm.steps.decision import NONE, Decision
from mediafm.steps.evaluation import evaluate_candidate, evaluate_served, is_served_measured
from mediafm.steps.evaluation_report import Evaluation
from mediafm.steps.features import stored_features
from mediafm.steps.gate import move_champion
from mediafm.steps.mirror import mirror_alias, mirror_decision, registry_of
from mediafm.steps.serving import ServedManifest, embedded_titles, serve, serving_sha256
from mediafm.steps.training import existing_checkpoint, last_manifest, plan_manifest
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION, SERVING
from mediafm.store.views import records


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """An evaluation and its pictures (name -> PNG)."""

    evaluation: Evaluation
    pictures: dict[str, bytes] = field(default_factory=dict)


def newest_checkpoint(workspace: Workspace) -> str | None:
    """The checkpoint of the newest manifest under the present settings; None if it is still to be trained."""
    manifest = last_manifest(workspace)
    record = existing_checkpoint(workspace, manifest.sha256) if manifest else None
    return record.sha256 if record else None


def needs_training(workspace: Workspace) -> bool:
    """Whether the present titles make a manifest that no checkpoint was trained on, or nothing was decided on it."""
    planned = plan_manifest(workspace)
    if planned.manifest is None:
        return False
    last = last_manifest(workspace)
    if workspace.is_forced or last is None or last.sha256 != planned.manifest.sha256:
        return True
    newest = newest_checkpoint(workspace)
    return newest is None or not was_decided(workspace, newest)


def was_decided(workspace: Workspace, checkpoint_sha256: str) -> bool:
    """Whether the gate has spoken about a checkpoint: in the ledger, or by the pointer if a kill came in between."""
    if checkpoint_sha256 == champion_sha256(workspace):
        return True
    return any(row.fingerprint == checkpoint_sha256 for row in records(workspace.store, ["decisions"]))


def evaluate_newest(workspace: Workspace) -> Evaluated | None:
    """The newest checkpoint's evaluation, attached to its LoggedModel; None before there is one."""
    sha256 = newest_checkpoint(workspace)
    if sha256 is None:
        return None
    evaluation, pictures = evaluate_candidate(workspace, sha256)
    registry = registry_of(workspace)
    version = registry.find(sha256)
    if version is not None and evaluation.was_made:
        registry.log_probe_metrics(version.model_id, evaluation.metrics())
        registry.log_probe_files(version.model_id, evaluation.files(pictures), "probes")
    return Evaluated(evaluation=evaluation, pictures=pictures)


def run_gate(workspace: Workspace) -> Decision:
    """The gate on the newest checkpoint; MLflow's alias follows the pointer."""
    sha256 = newest_checkpoint(workspace)
    if sha256 is None:
        pointer = workspace.pointers.read(CHAMPION)
        champion = champion_sha256(workspace)
        return Decision(
            verdict=NONE,
            checkpoint_sha256=champion,
            is_provisional=bool(pointer and pointer.value["is_provisional"]),
            reason="there is no new checkpoint: " + (plan_manifest(workspace).reason or "train one first"),
        )
    evaluation = evaluate_candidate(workspace, sha256)[0]
    heard = evaluation.gate or {"tasks": [], "test_set": None}
    tasks = [GateTask.from_json(task) for task in heard["tasks"]]
    decision = move_champion(workspace, sha256, tasks, heard["test_set"], evaluation.against)
    mirror_decision(workspace, decision)
    return decision


def serve_champion(workspace: Workspace, *, allow_missing: bool = False) -> ServedManifest:
    """Moves the serving pointer if it may; MLflow's alias follows."""
    served = serve(workspace, allow_missing=allow_missing)
    mirror_alias(workspace, SERVING, served.checkpoint_sha256)
    return served


def needs_serving(workspace: Workspace) -> bool:
    """Whether readers could get more, or what they get was not measured yet."""
    champion = champion_sha256(workspace)
    if champion is None:
        return False
    if workspace.is_forced or serving_sha256(workspace) != champion:
        return True
    title_ids = list(embedded_titles(workspace, champion)[0])
    return bool(title_ids) and not is_served_measured(workspace, champion, title_ids)


def evaluate_serving(workspace: Workspace) -> Evaluated | None:
    """Neighbours and probes over what readers get, with a map of it; None while nothing is served."""
    sha256 = serving_sha256(workspace)
    if sha256 is None:
        return None
    title_ids = list(embedded_titles(workspace, sha256)[0])
    if not title_ids:
        return None
    evaluation, pictures = evaluate_served(workspace, sha256, title_ids)
    titles = workspace.titles(title_ids, space_producers(workspace.store, sha256))
    source = stored_features(workspace, titles, "contextual_embeddings")
    if titles:
        pictures = {**pictures, "map": embedding_map(source(), f"contextual shot vectors of {len(titles)} titles")}
    return Evaluated(evaluation=evaluation, pictures=pictures)

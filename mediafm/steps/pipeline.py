"""The whole way without Dagster: for notebooks, scripts and tests. The same steps, in the order of the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mediafm.catalog.title import CatalogTitle
from mediafm.steps.decision import Decision
from mediafm.steps.embeddings import EMBEDDING_STEPS
from mediafm.steps.encoders import free_encoders
from mediafm.steps.fused import FusedStep
from mediafm.steps.in_context import embed_in_context
from mediafm.steps.outcome import StepReport
from mediafm.steps.promotion import run_gate, serve_champion
from mediafm.steps.serving import ServedManifest
from mediafm.steps.shots import shots_steps
from mediafm.steps.spaces import MakeSteps, run_in_spaces
from mediafm.steps.step import TitleStep
from mediafm.steps.titles import take_in
from mediafm.steps.train_and_log import LoggedCheckpoint, train_and_log
from mediafm.steps.training import make_manifest
from mediafm.steps.workspace import Workspace


def ingest(workspace: Workspace, titles: Sequence[CatalogTitle]) -> list[StepReport]:
    """Titles to fused vectors, in every space in use; a report for each stage, in order."""
    reports = [take_in(workspace, titles)]
    ids = [title.title_id for title in titles]
    encoders = [EMBEDDING_STEPS[f"{modality}_embeddings"] for modality in ("video", "audio", "text")]
    stages: list[MakeSteps] = [
        shots_steps,
        *(_alone(make) for make in (EMBEDDING_STEPS["metadata_embeddings"], *encoders, FusedStep)),
    ]
    for steps in stages:
        workspace.ledger.flush()
        reports.append(run_in_spaces(workspace, steps, ids).report)
    workspace.ledger.flush()
    free_encoders()
    return reports


def _alone(make: Callable[[Workspace], TitleStep]) -> MakeSteps:
    return lambda workspace: [make(workspace)]


def train(workspace: Workspace) -> tuple[LoggedCheckpoint, Decision]:
    """All present titles to a checkpoint, and what the gate says of it."""
    make_manifest(workspace)
    workspace.ledger.flush()
    logged = train_and_log(workspace)
    workspace.ledger.flush()
    decision = run_gate(workspace)
    workspace.ledger.flush()
    return logged, decision


def embed(workspace: Workspace, title_ids: Sequence[str]) -> tuple[StepReport, ServedManifest]:
    """Titles to contextual vectors by the checkpoints in use, served if nobody loses by it."""
    embedded = embed_in_context(workspace, title_ids)
    workspace.ledger.flush()
    return embedded.report, serve_champion(workspace)

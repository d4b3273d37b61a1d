"""A root of drawn, labelled titles with trained checkpoints, as `mediafm run` leaves it; no MLflow, no Dagster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mediafm.config import Config
from mediafm.data.import_files import open_import
from mediafm.steps.embeddings import EMBEDDING_STEPS
from mediafm.steps.fused import FusedStep
from mediafm.steps.import_profile import write_profile
from mediafm.steps.imports import import_file
from mediafm.steps.runner import run_step
from mediafm.steps.training import make_checkpoint, make_manifest
from mediafm.steps.workspace import Workspace
from mediafm.testing.labelled_root import LABELS, VECTORS, write_labelled_root
from mediafm.types import Json


def labelled_config(folder: Path, num_titles: int, tasks: Sequence[str], **training: Json) -> Config:
    """Titles and labels under `folder`, and the configuration that reads them; few draws and folds, to be quick."""
    write_labelled_root(folder, num_titles)
    write_profile(folder / "drawn.toml", open_import(folder / VECTORS, {}, None), "drawn")
    return Config.model_validate(
        {
            "root": str(folder / "root"),
            "profile": str(folder / "drawn.toml"),
            "device": "cpu",
            "labels": [str(folder / LABELS / f"{task}.jsonl") for task in tasks],
            "probes": {"num_folds": 2, "num_bootstrap": 20, "common_width": 0},
            "training": {"max_steps": 2, **training},
        }
    )


def take_in(workspace: Workspace, folder: Path) -> None:
    """All titles, as far as fused vectors."""
    import_file(workspace, open_import(folder / VECTORS, {}, None))
    workspace.ledger.flush()
    ids = [title.title_id for title in workspace.all_titles()]
    for step in (EMBEDDING_STEPS["metadata_embeddings"](workspace), FusedStep(workspace)):
        run_step(workspace, step, workspace.titles(ids))
        workspace.ledger.flush()


def trained(workspace: Workspace) -> str:
    """The sha256 of a checkpoint of the present titles under the workspace's training settings, on record."""
    make_manifest(workspace)
    workspace.ledger.flush()
    made = make_checkpoint(workspace)
    if made.checkpoint is None or made.record is None:
        raise AssertionError(made.reason)
    if made.was_made:
        workspace.ledger.add(made.record)
        workspace.ledger.flush()
    return made.checkpoint.sha256

"""The training step as a user sees it: a checkpoint in the store, a copy in MLflow, a row in the ledger, a picture."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mediafm.registry.registry import Registry
from mediafm.steps.gate import skill_sentence
from mediafm.steps.training import CURVES_FILE, curve_picture, make_checkpoint
from mediafm.steps.workspace import Workspace
from mediafm.types import Json


@dataclass(frozen=True, kw_only=True)
class LoggedCheckpoint:
    """What the `mediafm_checkpoint` asset shows. `sha256` is None where there is none, and `reason` says why."""

    sha256: str | None
    reason: str = ""
    was_made: bool = False
    model_version: int = 0
    mlflow_run_id: str = ""
    skill_sentence: str = ""
    skill_markdown: str = ""
    curve_png: bytes | None = None


def train_and_log(workspace: Workspace) -> LoggedCheckpoint:
    """Trains on the newest manifest (unless that was done before), logs to MLflow, records.

    Raises:
        TrainingError: a number was not finite.
        StoreError: the store or MLflow refused.
    """
    outcome = make_checkpoint(workspace)
    checkpoint = outcome.checkpoint
    if checkpoint is None:
        return LoggedCheckpoint(sha256=None, reason=outcome.reason)
    picture = curve_picture(workspace, checkpoint.sha256)
    registry = Registry.at(workspace.config.state_path, workspace.config.orchestration)
    version = registry.log_training(
        checkpoint,
        outcome.curves,
        {CURVES_FILE: picture},
        {"dagster_run_id": workspace.run.run_id, "git_sha": git_revision()},
    )
    mlflow: dict[str, Json] = {
        "mlflow_run_id": version.run_id,
        "mlflow_model_id": version.model_id,
        "model_version": version.version,
    }
    if outcome.was_made and outcome.record is not None:
        workspace.ledger.add(replace(outcome.record, details={**outcome.record.details, **mlflow}))
        workspace.ledger.flush()
    if outcome.run_folder is not None:
        outcome.run_folder.clear()
    return LoggedCheckpoint(
        sha256=checkpoint.sha256,
        was_made=outcome.was_made,
        model_version=version.version,
        mlflow_run_id=version.run_id,
        skill_sentence=skill_sentence(checkpoint.report),
        skill_markdown=skill_markdown(checkpoint.report),
        curve_png=picture,
    )


def skill_markdown(report: Mapping[str, Any]) -> str:
    """Skill by modality against the best trivial predictor, as a table."""
    skill = report["skill"]["random"]
    lines = [
        f"{skill_sentence(report)}, {skill['num_shots']} masked shots of {skill['num_groups']} test groups"
        + (" (blocks inside titles)" if report["skill"]["is_within_title"] else ""),
        "",
        "| modality | skill | 95 % | loss | best trivial predictor | its loss | shots |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, view in {**skill["by_modality"], "fused (for information)": skill["fused"]}.items():
        if view is None:
            continue
        ends = "" if view["interval"] is None else f"{view['interval'][0]:+.3f} to {view['interval'][1]:+.3f}"
        lines.append(
            f"| {name} | {view['skill']:+.3f} | {ends} | {view['loss']:.4f} | {view['reference']} | "
            f"{view['reference_loss']:.4f} | {view['num_shots']} |"
        )
    return "\n".join(lines)


def git_revision() -> str:
    """The revision of the code that runs, "" where it is not a checkout."""
    folder = Path(__file__).resolve().parent
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""

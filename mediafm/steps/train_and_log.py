"""The training step as a user sees it: a checkpoint in the store, a copy in MLflow, a row in the ledger, pictures.

One door: the asset `mediafm_checkpoint`, `mediafm train` and a notebook call `train_and_log`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mediafm.data.manifest import TrainingManifest
from mediafm.errors import StoreError
from mediafm.registry.registry import Registry
from mediafm.registry.run_log import RunLog
from mediafm.steps.checkpoint_files import git_revision, stored_files_beside
from mediafm.steps.gate import skill_sentence
from mediafm.steps.training import TrainElsewhere, make_checkpoint
from mediafm.steps.training_watch import BegunTraining, TrainingWatch, Watches
from mediafm.steps.workspace import Workspace
from mediafm.train.card import CARD_FILE
from mediafm.train.curves import CurvePoint
from mediafm.train.plan import device_name
from mediafm.train.plots import CURVES_FILE
from mediafm.types import Json


@dataclass(frozen=True, kw_only=True)
class LoggedCheckpoint:
    """What the `mediafm_checkpoint` asset shows. `sha256` is None where there is none, and `reason` says why.

    files: name -> bytes of what lies beside the checkpoint: the card and the pictures.
    resumed_at_step: where a training that had been stopped was gone on with; None if it began anew or was not needed.
    notes: what is to be said of that, one sentence each.
    """

    sha256: str | None
    reason: str = ""
    was_made: bool = False
    model_version: int = 0
    mlflow_run_id: str = ""
    skill_sentence: str = ""
    skill_markdown: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    resumed_at_step: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def curve_png(self) -> bytes | None:
        """The loss and skill curves."""
        return self.files.get(CURVES_FILE)

    @property
    def model_card(self) -> str:
        """Markdown; "" for a checkpoint that was made before there were cards."""
        return self.files.get(CARD_FILE, b"").decode()


def train_and_log(
    workspace: Workspace,
    train_elsewhere: TrainElsewhere | None = None,
    *,
    manifest: TrainingManifest | None = None,
    watch: TrainingWatch | None = None,
) -> LoggedCheckpoint:
    """Trains on a manifest (unless that was done before), logs to MLflow while it trains and at the end, records.

    Args:
        train_elsewhere: None trains in this process.
        manifest: the newest unless given.
        watch: told of the training as it goes on.

    Raises:
        LineageMismatchError: the manifest is of another space than the configuration's.
        TrainingError: a number was not finite.
        StoreError: the store or MLflow refused.
    """
    registry = Registry.of(workspace.config)
    tags = {"dagster_run_id": workspace.run.run_id, "git_sha": git_revision()}
    live = _LiveLog(registry, tags)
    watches = Watches([live] if watch is None else [live, watch])
    try:
        outcome = make_checkpoint(workspace, train_elsewhere, manifest=manifest, watch=watches)
    except BaseException:
        live.fail()
        raise
    checkpoint = outcome.checkpoint
    if checkpoint is None:
        return LoggedCheckpoint(sha256=None, reason=outcome.reason)
    files = stored_files_beside(workspace, checkpoint.sha256)
    version = registry.log_training(checkpoint, outcome.curves, files, tags, identity=outcome.identity)
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
        files=files,
        resumed_at_step=outcome.resumed_at_step,
        notes=(*outcome.notes, *live.notes),
    )


class _LiveLog:
    """Logs each evaluation to MLflow as it comes, so that a long run can be watched there.

    MLflow's refusal stops no training: the curve is logged whole at its end, where a refusal is an error.
    """

    def __init__(self, registry: Registry, tags: Mapping[str, str]) -> None:
        self.notes: list[str] = []
        self._registry = registry
        self._tags = tags
        self._log: RunLog | None = None

    def begins(self, run: BegunTraining) -> None:
        training = {**run.config.as_json(), "device_name": device_name(run.device)}
        self._log = self._registry.begin_training(run.identity, run.manifest.sha256, training, self._tags)

    def step(self, num_steps: int) -> None:
        """Nothing: MLflow is told of evaluations."""

    def point(self, point: CurvePoint) -> None:
        if self._log is None or self.notes:
            return
        try:
            self._log.point(point)
        except StoreError as error:
            self.notes.append(f"MLflow stopped answering at step {point.num_steps} ({error.seen}); logged at the end")

    def ends(self) -> None:
        """Nothing: whoever logs the checkpoint ends the run."""

    def fail(self) -> None:
        """The training was stopped: its run is marked so, and gone on with when the training is."""
        if self._log is not None:
            self._log.end(is_done=False)


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

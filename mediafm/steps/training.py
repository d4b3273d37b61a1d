"""The steps that train: the manifest of what a run sees, and the checkpoint that the run gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mediafm.data.corpus import Corpus, open_corpus
from mediafm.data.manifest import ManifestTitle, TrainingManifest, build_manifest
from mediafm.data.manifest_files import from_files as manifest_from_files
from mediafm.data.manifest_files import to_files as manifest_to_files
from mediafm.data.split import TooLittleDataError
from mediafm.errors import LineageMismatchError
from mediafm.lineage.fingerprint import fingerprint, short
from mediafm.lineage.records import LedgerRecord
from mediafm.steps import checkpoints
from mediafm.steps.checkpoint_files import files_beside
from mediafm.steps.device import resolve_device
from mediafm.steps.present import PresentTitle
from mediafm.steps.sequences import sequence_loader
from mediafm.steps.space_settings import space_settings
from mediafm.steps.training_watch import BegunTraining, ProgressWatch, TrainingWatch, Watches
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import CHECKPOINTS, MANIFESTS, folder_key, has_folder, put_folder, read_folder
from mediafm.store.views import records
from mediafm.train.checkpoint import Checkpoint
from mediafm.train.checkpoint import to_files as checkpoint_to_files
from mediafm.train.config import TrainConfig, resolve
from mediafm.train.curves import CurvePoint
from mediafm.train.job import TrainingJob
from mediafm.train.loop import OnMetrics, Progress, TrainResult, train
from mediafm.train.run_state import RunFolder
from mediafm.types import Json, TitleState

MANIFEST = "manifest"
"""The pointer to the newest training manifest."""
TRAINING_STEP_VERSION = 2
"""Raised by hand whenever the same manifest and settings give another checkpoint."""
MOVES_NOTHING = frozenset({"save_every_steps", "corpus_device_share"})
"""Settings without effect on the checkpoint: no part of a run's identity."""

TrainElsewhere = Callable[[TrainingJob, Progress, OnMetrics], TrainResult]
"""Trains a job in processes of its own, and tells of its steps and of each evaluation as they come."""


@dataclass(frozen=True, kw_only=True)
class ManifestOutcome:
    """The manifest of the root's present titles, or why there is none."""

    manifest: TrainingManifest | None
    reason: str = ""
    was_made: bool = False


@dataclass(frozen=True, kw_only=True)
class CheckpointOutcome:
    """A checkpoint and what the ledger says of it, or why there is none.

    curves: empty if the checkpoint was there already.
    run_folder: the states that a stopped run would go on from; to be cleared when the checkpoint is on record.
    identity: of the training; "" if the checkpoint was there already.
    resumed_at_step, notes: as `TrainResult` has them.
    """

    checkpoint: Checkpoint | None
    record: LedgerRecord | None = None
    curves: tuple[CurvePoint, ...] = ()
    reason: str = ""
    was_made: bool = False
    run_folder: RunFolder | None = None
    identity: str = ""
    resumed_at_step: int | None = None
    notes: tuple[str, ...] = ()


def plan_manifest(workspace: Workspace) -> ManifestOutcome:
    """The manifest that the root's current titles make now; nothing is written."""
    last = last_manifest(workspace)
    titles = manifest_titles(workspace)
    stand_ins = last.stand_ins if last else None
    try:
        manifest = build_manifest(titles, workspace.space.as_json(), workspace.config.training, stand_ins)
    except TooLittleDataError as error:
        return ManifestOutcome(manifest=None, reason=str(error))
    return ManifestOutcome(manifest=manifest)


def make_manifest(workspace: Workspace) -> ManifestOutcome:
    """Writes the manifest of the root's current titles and points to it."""
    planned = plan_manifest(workspace)
    manifest = planned.manifest
    if manifest is None:
        return planned
    was_made = keep_manifest(workspace, manifest)
    workspace.pointers.ensure(MANIFEST, {"manifest_sha256": manifest.sha256}, "the newest training manifest")
    return ManifestOutcome(manifest=manifest, was_made=was_made)


def keep_manifest(workspace: Workspace, manifest: TrainingManifest) -> bool:
    """Writes a manifest and records it, unless that was done before; no pointer moves. True if it was written now."""
    folder, files = folder_key(MANIFESTS, manifest.sha256), manifest_to_files(manifest)
    was_made = put_folder(workspace.store, folder, files)
    if was_made or not _rows_of(workspace, "manifests", manifest.sha256):
        workspace.ledger.add(
            LedgerRecord(
                asset="training_manifest",
                table="manifests",
                fingerprint=manifest.sha256,
                producer={"space": workspace.space.space_id, "step_version": TRAINING_STEP_VERSION},
                object_key=folder,
                sha256=manifest.sha256,
                size_bytes=sum(map(len, files.values())),
                num_rows=len(manifest.titles),
                step_version=TRAINING_STEP_VERSION,
                details=manifest.summary(),
            )
        )
    return was_made


def last_manifest(workspace: Workspace) -> TrainingManifest | None:
    """The manifest that the pointer names; None before the first."""
    pointer = workspace.pointers.read(MANIFEST)
    return load_manifest(workspace, str(pointer.value["manifest_sha256"])) if pointer else None


def load_manifest(workspace: Workspace, sha256: str) -> TrainingManifest:
    """A manifest of the store, verified. Raises `NotFoundError`, `IntegrityError`."""
    return manifest_from_files(read_folder(workspace.store, folder_key(MANIFESTS, sha256)))


def manifest_titles(workspace: Workspace) -> list[ManifestTitle]:
    """The titles whose fused vectors and metadata are there in the configured space."""
    done = {
        (row.table, row.title_id, row.fingerprint): row
        for row in records(workspace.store, ["fused_embeddings", "metadata_embeddings"])
        if row.state is TitleState.OK
    }
    found = []
    for title in workspace.all_titles():
        if title.state is TitleState.OK:
            rows = [
                done.get((table, title.title_id, title.chain.identity(table).fingerprint))
                for table in ("fused_embeddings", "metadata_embeddings")
            ]
            are_there = not title.missing(workspace.store, ("fused_embeddings", "metadata_embeddings"))
            if rows[0] is not None and rows[1] is not None and are_there:
                found.append(_manifest_title(title, rows[0], rows[1]))
    return found


def existing_checkpoint(workspace: Workspace, manifest_sha256: str) -> LedgerRecord | None:
    """The ledger's row on a checkpoint that this manifest and these settings gave before, if its files are there."""
    producer = _training_producer(workspace)
    for row in reversed(records(workspace.store, ["checkpoints"])):
        is_same = row.inputs.get("manifest") == manifest_sha256 and fingerprint(row.producer) == fingerprint(producer)
        if is_same and has_folder(workspace.store, row.object_key):
            return row
    return None


def make_checkpoint(
    workspace: Workspace,
    train_elsewhere: TrainElsewhere | None = None,
    *,
    manifest: TrainingManifest | None = None,
    watch: TrainingWatch | None = None,
) -> CheckpointOutcome:
    """Trains on a manifest, unless that was done before with the same settings.

    Args:
        train_elsewhere: None trains in this process.
        manifest: the newest unless given.
        watch: told of the training beside the workspace's own progress.

    Raises:
        LineageMismatchError: the manifest is of another space than the configuration's.
        TrainingError: a number was not finite.
    """
    manifest = manifest or last_manifest(workspace)
    if manifest is None:
        planned = plan_manifest(workspace)
        return CheckpointOutcome(checkpoint=None, reason=planned.reason or "there is no training manifest yet")
    known = None if workspace.is_forced else existing_checkpoint(workspace, manifest.sha256)
    if known is not None:
        return CheckpointOutcome(checkpoint=checkpoints.load_checkpoint(workspace, known.sha256), record=known)
    require_space(workspace, manifest)
    own = ProgressWatch(workspace.progress)
    return _train(workspace, manifest, train_elsewhere, own if watch is None else Watches([own, watch]))


def require_space(workspace: Workspace, manifest: TrainingManifest) -> None:
    """Raises `LineageMismatchError`: the manifest is of another space than the configuration's."""
    found = fingerprint(manifest.space)
    if found != workspace.space.space_id:
        raise LineageMismatchError(
            f"a manifest of the space {found[:16]}",
            rule=f"the configuration's space is {workspace.space.space_id[:16]}",
            where=f"manifest {manifest.sha256[:16]}",
            remedy="Give the profile that its vectors were made with (--profile), or make a new manifest.",
        )


def _train(
    workspace: Workspace,
    manifest: TrainingManifest,
    train_elsewhere: TrainElsewhere | None,
    watch: TrainingWatch,
) -> CheckpointOutcome:
    corpus = open_corpus(manifest, sequence_loader(workspace.store), workspace.config.cache_path)
    config = resolve(workspace.config.training, manifest, corpus)
    device = resolve_device(workspace.config.device, workspace.gpu_memory_fraction)
    run_folder = _run_folder(workspace, manifest, config, device)
    if workspace.is_forced:
        run_folder.clear()
    identity = run_folder.path.name
    watch.begins(BegunTraining(identity=identity, manifest=manifest, config=config, device=device))

    def step(num_steps: int, bound: int) -> None:
        watch.step(num_steps)

    try:
        if train_elsewhere is not None:
            result = train_elsewhere(_job(workspace, manifest, config, device, run_folder), step, watch.point)
        else:
            result = train(
                manifest, corpus, config, device=device, folder=run_folder, progress=step, on_metrics=watch.point
            )
    finally:
        watch.ends()
    record = _recorded(workspace, manifest, corpus, config, result)
    return CheckpointOutcome(
        checkpoint=result.checkpoint,
        record=record,
        curves=result.curves,
        was_made=True,
        run_folder=run_folder,
        identity=identity,
        resumed_at_step=result.resumed_at_step,
        notes=result.notes,
    )


def _recorded(
    workspace: Workspace, manifest: TrainingManifest, corpus: Corpus, config: TrainConfig, result: TrainResult
) -> LedgerRecord:
    """Puts the checkpoint and what lies beside it into the store; its row, not yet in the ledger."""
    checkpoint = result.checkpoint
    folder, files = folder_key(CHECKPOINTS, checkpoint.sha256), checkpoint_to_files(checkpoint)
    files |= files_beside(workspace, manifest, corpus, checkpoint, result.curves)
    put_folder(workspace.store, folder, files)
    details: dict[str, Json] = {"space": workspace.space.space_id, "preset": config.preset}
    if result.resumed_at_step is not None:
        details |= {"resumed_at_step": result.resumed_at_step, "notes": list(result.notes)}
    producers: Mapping[str, Json] = {table: dict(value) for table, value in workspace.producers.items()}
    return LedgerRecord(
        asset="mediafm_checkpoint",
        table="checkpoints",
        fingerprint=checkpoint.sha256,
        producer=_training_producer(workspace),
        inputs={"manifest": manifest.sha256},
        object_key=folder,
        sha256=checkpoint.sha256,
        size_bytes=sum(map(len, files.values())),
        num_rows=1,
        step_version=TRAINING_STEP_VERSION,
        seconds=result.seconds,
        checkpoint_sha256=checkpoint.sha256,
        is_forced=workspace.is_forced,
        details={"producers": producers, "settings": space_settings(workspace), **details},
    )


def _job(
    workspace: Workspace, manifest: TrainingManifest, config: TrainConfig, device: str, run_folder: RunFolder
) -> TrainingJob:
    return TrainingJob(
        root=workspace.config.root_name,
        cache=str(workspace.config.cache_path),
        s3=workspace.config.s3.model_dump(mode="json"),
        manifest_sha256=manifest.sha256,
        config=config,
        device=device.partition(":")[0],
        states=str(run_folder.path),
        output=str(run_folder.path.with_name(f"{run_folder.path.name}.job")),
        gpu_memory_fraction=workspace.gpu_memory_fraction,
    )


def _run_folder(workspace: Workspace, manifest: TrainingManifest, config: TrainConfig, device: str) -> RunFolder:
    """Where this very run's states rest: another manifest, configuration or kind of device is another run."""
    settings = {name: value for name, value in config.as_json().items() if name not in MOVES_NOTHING}
    identity: dict[str, Json] = {
        "manifest": manifest.sha256,
        "config": settings,
        "device": device.partition(":")[0],
        "step_version": TRAINING_STEP_VERSION,
    }
    return RunFolder(workspace.config.cache_path / "training" / short(fingerprint(identity)))


def _training_producer(workspace: Workspace) -> dict[str, Json]:
    settings: dict[str, Json] = workspace.config.training.model_dump(
        mode="json", exclude={*MOVES_NOTHING, "processes", "torchrun"}
    )
    return {"training": settings, "step_version": TRAINING_STEP_VERSION}


def _rows_of(workspace: Workspace, table: str, sha256: str) -> list[LedgerRecord]:
    return [row for row in records(workspace.store, [table]) if row.fingerprint == sha256]


def _manifest_title(title: PresentTitle, fused: LedgerRecord, metadata: LedgerRecord) -> ManifestTitle:
    has_metadata = bool(metadata.details.get("is_present"))
    num_vectors = fused.details.get("num_vectors", fused.num_rows)
    return ManifestTitle(
        title_id=title.title_id,
        group_id=title.group_id,
        media_sha256=title.media_sha256,
        fused_fingerprint=fused.fingerprint,
        fused_key=fused.object_key,
        metadata_fingerprint=metadata.fingerprint if has_metadata else None,
        metadata_key=metadata.object_key if has_metadata else None,
        num_shots=int(str(num_vectors)),
    )

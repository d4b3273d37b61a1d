"""Which manifest a user means, and the plan of a training on it."""

from __future__ import annotations

import re
from pathlib import Path

from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.manifest_files import MANIFEST_FILE, MASKS_FILE, TITLES_FILE
from mediafm.data.manifest_files import from_files as manifest_from_files
from mediafm.errors import NotFoundError
from mediafm.steps.device import resolve_device
from mediafm.steps.sequences import sequence_loader
from mediafm.steps.training import (
    keep_manifest,
    last_manifest,
    load_manifest,
    make_manifest,
    plan_manifest,
    require_space,
)
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import MANIFESTS, folders_beginning
from mediafm.train.config import TrainConfig, resolve
from mediafm.train.plan import TrainingPlan, plan_training

_SHA256 = re.compile(r"[0-9a-f]{8,64}")


def find_manifest(workspace: Workspace, name: str | None, *, is_kept: bool = True) -> TrainingManifest:
    """The manifest that a user means.

    Args:
        name: a manifest's folder, the sha256 of one of the root's (at least eight digits), or None for the newest;
            where there is none yet, the root's present titles make one.
        is_kept: write down one that the root does not have; False for a mere look.

    Raises:
        NotFoundError: nothing has this name, or the root has too little to train on.
        IntegrityError: its files are damaged.
    """
    if name is None:
        return last_manifest(workspace) or _first_manifest(workspace, is_kept)
    folder = Path(name).expanduser()
    if folder.is_dir():
        names = (MANIFEST_FILE, TITLES_FILE, MASKS_FILE)
        manifest = manifest_from_files(
            {each: (folder / each).read_bytes() for each in names if (folder / each).is_file()}
        )
        if is_kept:
            keep_manifest(workspace, manifest)
        return manifest
    return load_manifest(workspace, _whole_name(workspace, name))


def plan_of(workspace: Workspace, manifest: TrainingManifest) -> tuple[TrainingPlan, TrainConfig]:
    """The plan of the training that `train_and_log` would do on a manifest, and its configuration.

    The corpus is built in the cache, where the training finds it; nothing else is written.

    Raises:
        LineageMismatchError: the manifest is of another space than the configuration's.
        TrainingError: a number was not finite.
    """
    require_space(workspace, manifest)
    corpus = open_corpus(manifest, sequence_loader(workspace.store), workspace.config.cache_path)
    config = resolve(workspace.config.training, manifest, corpus)
    device = resolve_device(workspace.config.device, workspace.gpu_memory_fraction)
    return plan_training(manifest, corpus, config, device, workspace.config.training.preset), config


def _first_manifest(workspace: Workspace, is_kept: bool) -> TrainingManifest:
    outcome = make_manifest(workspace) if is_kept else plan_manifest(workspace)
    if outcome.manifest is None:
        raise NotFoundError(
            "no training manifest",
            rule=outcome.reason,
            where=workspace.config.root_name,
            remedy="`mediafm run CATALOG` brings titles to fused vectors.",
        )
    return outcome.manifest


def _whole_name(workspace: Workspace, name: str) -> str:
    matching = folders_beginning(workspace.store, MANIFESTS, name) if _SHA256.fullmatch(name) else []
    if len(matching) != 1:
        raise NotFoundError(
            f"{len(matching)} manifests {name!r}",
            rule="a manifest is a folder, or the beginning of a sha256 that names one of the root's",
            where=workspace.config.root_name,
            remedy="Leave it out for the newest.",
        )
    return matching[0]

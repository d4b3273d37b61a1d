"""`mediafm.load`: a trained model by any of its names, ready to embed titles. Nothing of an artefact is executed.

    models:/mediafm@champion    the version that an alias means, in MLflow
    models:/mediafm/3           a version
    models:/m-...               a LoggedModel
    <sha256>                    a checkpoint of the root's store, by at least its first eight digits
    path/of/a/folder            a folder with model.safetensors and config.json

Whatever the name, weights and config are verified against each other and against the sha256 that the name stands for.
"""

from __future__ import annotations

import re
from pathlib import Path

from mediafm.config import Config, configured
from mediafm.embedder import Embedder
from mediafm.errors import IntegrityError, NotFoundError
from mediafm.registry.names import fetch_model, find_model
from mediafm.registry.registry import Registry
from mediafm.store.folders import CHECKPOINTS, folder_key, folders_beginning, has_folder, read_folder
from mediafm.store.opening import open_store
from mediafm.store.store import Store
from mediafm.train.checkpoint import Checkpoint, from_files, from_folder

MODEL_PREFIX = "models:/"
_SHA256 = re.compile(r"[0-9a-f]{8,64}")


def load(
    name: str | Path,
    *,
    config: Config | Path | str | None = None,
    tracking_uri: str | None = None,
    device: str = "cpu",
) -> Embedder:
    """A trained model, to embed titles with.

    Args:
        name: as the module says.
        config: whose root and MLflow are meant: a `Config`, the path of a `mediafm.toml`, or None for the one in the
            working directory, else the defaults (the root `.mediafm`).
        tracking_uri: another MLflow than the root's own.
        device: a torch device.

    Raises:
        NotFoundError: nothing has this name.
        IntegrityError: a file is missing, or its bytes are not what the name stands for.
        StoreError: MLflow refused.
    """
    return Embedder(load_checkpoint(name, config=config, tracking_uri=tracking_uri), device)


def load_checkpoint(
    name: str | Path, *, config: Config | Path | str | None = None, tracking_uri: str | None = None
) -> Checkpoint:
    """The checkpoint behind `load`: weights, architecture, space, report. Arguments and errors as there."""
    text = str(name)
    if text.startswith(MODEL_PREFIX):
        return _of_mlflow(text, configured(config), tracking_uri)
    folder = Path(text).expanduser()
    if folder.is_dir():
        return _of_folder(folder)
    if _SHA256.fullmatch(text):
        return _of_store(open_store(configured(config)), text)
    raise NotFoundError(
        f"no model {text!r}",
        rule="a model is models:/NAME@ALIAS, models:/NAME/VERSION, a checkpoint's sha256 or its folder",
        remedy="`mediafm status` names the champion.",
    )


def _of_mlflow(uri: str, config: Config, tracking_uri: str | None) -> Checkpoint:
    """The root's own copy where it has one (a root may have moved since MLflow wrote down where its files lie)."""
    if tracking_uri is None:
        tracking_uri = Registry.of(config).tracking_uri
    found = find_model(tracking_uri, uri)
    store = open_store(config)
    if found.sha256 and has_folder(store, folder_key(CHECKPOINTS, found.sha256)):
        return _of_store(store, found.sha256)
    return fetch_model(tracking_uri, found)


def _of_store(store: Store, sha256: str) -> Checkpoint:
    matching = folders_beginning(store, CHECKPOINTS, sha256)
    where = f"{folder_key(CHECKPOINTS, matching[0] if matching else '')} in {store.root}"
    if len(matching) != 1:
        raise NotFoundError(
            f"{len(matching)} checkpoints {sha256[:16]}",
            rule="the beginning of a sha256 names one checkpoint of the root",
            where=where,
            remedy="Give --root or more digits; `mediafm status` names the champion.",
        )
    return _verified(from_files(read_folder(store, folder_key(CHECKPOINTS, matching[0]))), matching[0], where)


def _of_folder(folder: Path) -> Checkpoint:
    """A folder that is called after a sha256 must hold it."""
    checkpoint = from_folder(folder)
    is_named = len(folder.name) == 64 and _SHA256.fullmatch(folder.name)
    return _verified(checkpoint, folder.name, str(folder)) if is_named else checkpoint


def _verified(checkpoint: Checkpoint, sha256: str, where: str) -> Checkpoint:
    if checkpoint.sha256 != sha256:
        raise IntegrityError(
            f"weights with sha256 {checkpoint.sha256}",
            rule=f"the folder {sha256} holds the weights with that sha256",
            where=where,
            remedy="Fetch it again, or train again.",
        )
    return checkpoint

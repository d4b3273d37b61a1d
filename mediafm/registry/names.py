"""What a `models:/` name means, and the checkpoint behind it: reading only, nothing is made."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediafm.errors import IntegrityError, NotFoundError
from mediafm.registry.connection import client_of, global_tracking_uri, import_mlflow, quiet, refusals
from mediafm.servers import without_password
from mediafm.train.checkpoint import Checkpoint, from_folder

SHA256_TAG = "checkpoint_sha256"
_MODEL_URI = re.compile(r"models:/(?:(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))|(?P<model_id>m-[^/@]+))")


@dataclass(frozen=True, kw_only=True)
class FoundModel:
    """What a `models:/` name means.

    sha256: of the checkpoint, as its version's or LoggedModel's tag says; "" if that says nothing.
    model_id: of the LoggedModel.
    """

    sha256: str
    model_id: str


def find_model(tracking_uri: str, uri: str) -> FoundModel:
    """What `models:/mediafm@champion`, `models:/mediafm/3` or `models:/m-...` means; nothing is made or fetched.

    Raises:
        NotFoundError: no such database, model, version or alias, or another form of name.
    """
    parts = _MODEL_URI.fullmatch(uri)
    if parts is None:
        raise NotFoundError(
            f"model {uri!r}", rule="a model's name is models:/NAME@ALIAS, models:/NAME/VERSION or models:/m-ID"
        )
    client = client_of(tracking_uri)
    with refusals(f"{uri} in {tracking_uri}"), quiet():
        if parts["model_id"]:
            model = client.get_logged_model(parts["model_id"])
            return FoundModel(sha256=str(model.tags.get(SHA256_TAG, "")), model_id=parts["model_id"])
        if parts["alias"]:
            version = client.get_model_version_by_alias(parts["name"], parts["alias"])
        else:
            version = client.get_model_version(parts["name"], parts["version"])
    return FoundModel(sha256=str(version.tags.get(SHA256_TAG, "")), model_id=model_id_of(version))


def fetch_model(tracking_uri: str, found: FoundModel) -> Checkpoint:
    """A LoggedModel's checkpoint, verified: weights against config, and their sha256 against the tag.

    Raises:
        IntegrityError: a file is missing, or the bytes are not those that were registered.
        NotFoundError: MLflow has no such files.
    """
    import_mlflow()
    with (
        refusals(f"models:/{found.model_id} in {tracking_uri}"),
        global_tracking_uri(tracking_uri),
        tempfile.TemporaryDirectory(prefix="mediafm-") as folder,
    ):
        from mlflow.artifacts import download_artifacts

        uri = f"models:/{found.model_id}"
        place = Path(download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=tracking_uri))
        checkpoint = from_folder(place)
    if found.sha256 and checkpoint.sha256 != found.sha256:
        raise IntegrityError(
            f"weights with sha256 {checkpoint.sha256}",
            rule=f"the registered version was made of {found.sha256}",
            where=without_password(f"models:/{found.model_id} in {tracking_uri}"),
            remedy="Take it from the store, or train again.",
        )
    return checkpoint


def model_id_of(version: Any) -> str:
    """The LoggedModel of a registered version. `model_id` is None on SQLite; the source says it ("models:/m-...")."""
    return str(version.source).removeprefix("models:/")

"""Whose a registered model is, and where an experiment's files lie: told before anything is written there."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from mediafm.errors import ConfigError, StoreError

ROOT_TAG = "mediafm.root"


def claim_model(client: Any, name: str, root: str) -> None:
    """Writes the root into the registered model: two roots would move each other's aliases. "" claims nothing.

    Raises:
        ConfigError: it belongs to another root.
    """
    claimed = dict(client.get_registered_model(name).tags or {}).get(ROOT_TAG)
    if root and claimed is None:
        client.set_registered_model_tag(name, ROOT_TAG, root)
    elif root and claimed != root:
        raise ConfigError(
            f"the registered model {name!r} belongs to the root {claimed}",
            rule=f"a registered model serves one root, and this one is {root}",
            where="servers.mlflow",
            remedy="Give this root an `orchestration.registered_model` and `orchestration.experiment` of its own; "
            f"if the root was moved, set that model's tag {ROOT_TAG} to its new place.",
        )


def check_place(client: Any, experiment_id: str, artifact_root: str | None) -> None:
    """MLflow writes files where the experiment was made, which of a root that was moved is somewhere else.

    Args:
        artifact_root: where this root's are to lie; None leaves it to the server.

    Raises:
        StoreError: they would go elsewhere.
    """
    experiment = client.get_experiment(experiment_id)
    place = unquote(str(experiment.artifact_location).removeprefix("file://"))
    if artifact_root is not None and place != artifact_root:
        raise StoreError(
            f"MLflow keeps the files of the experiment {experiment.name!r} in {place}",
            rule=f"this root's are to lie in {artifact_root}",
            where="servers.mlflow_artifacts",
            remedy="Set it to that place; or, if the root was moved, remove mlflow.db and mlartifacts from its state "
            "and run `mediafm rebuild-mlflow`.",
        )

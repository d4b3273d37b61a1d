"""Whose a registered model is, where files go, and servers that do not answer."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mediafm.config import Config
from mediafm.errors import ConfigError, StoreError
from mediafm.registry.connection import client_of
from mediafm.registry.registry import Registry
from mediafm.servers import ServerSettings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def registry(state: Path, root: str, artifacts: str | None = "mlartifacts") -> Registry:
    place = None if artifacts is None else str(state / artifacts)
    return Registry(f"sqlite:///{state / 'mlflow.db'}", place, root=root)


def test_a_registered_model_belongs_to_the_first_root_that_used_it(tmp_path: Path) -> None:
    registry(tmp_path, "/films").set_up()
    registry(tmp_path, "/films").set_up()
    with pytest.raises(ConfigError, match=r"belongs to the root /films; .* this one is /clips.*registered_model"):
        registry(tmp_path, "/clips").set_up()
    registry(tmp_path, "").set_up()  # a state of its own asks nobody


def test_files_that_would_go_where_the_root_was_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    registry(tmp_path, "", "before").set_up()
    with pytest.raises(StoreError, match=r"/before; this root's are to lie in .*/after.*rebuild-mlflow"):
        registry(tmp_path, "", "after").begin_training("identity", "m" * 64, {})
    assert registry(tmp_path, "", "before").begin_training("identity", "m" * 64, {}).run_id
    assert registry(tmp_path, "", None).begin_training("another", "m" * 64, {}).run_id


def test_a_server_that_does_not_answer_is_told_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(StoreError, match=r"no answer .*the MLflow server must answer"):
        client_of(uri)


def test_the_configuration_says_which_registry(tmp_path: Path) -> None:
    own = Registry.of(Config(root=str(tmp_path)))
    assert own.tracking_uri == f"sqlite:///{tmp_path / 'state' / 'mlflow.db'}"
    assert (own.artifact_root, own.root) == (str(tmp_path / "state" / "mlartifacts"), "")
    database = ServerSettings(mlflow="postgresql+psycopg2://me@db/mlflow")
    shared = Registry.of(Config(root=str(tmp_path), servers=database))
    assert (shared.artifact_root, shared.root) == (str(tmp_path / "state" / "mlartifacts"), str(tmp_path))
    team = Registry.of(Config(root=str(tmp_path), servers=ServerSettings(mlflow="http://mlflow:5000")))
    assert (team.tracking_uri, team.artifact_root) == ("http://mlflow:5000", None)
    bucket = ServerSettings(mlflow="http://mlflow:5000", mlflow_artifacts="s3://films/mlflow")
    assert Registry.of(Config(root=str(tmp_path), servers=bucket)).artifact_root == "s3://films/mlflow"

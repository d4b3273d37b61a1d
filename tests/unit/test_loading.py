"""`mediafm.load` by each of a model's names, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mediafm
from mediafm.config import Config
from mediafm.embedder import Embedder
from mediafm.errors import IntegrityError, NotFoundError
from mediafm.registry.registry import Registry
from mediafm.store.folders import CHECKPOINTS, folder_key, put_folder
from mediafm.store.store import Store
from mediafm.train.checkpoint import to_files
from tests.unit.registry.conftest import made
from tests.unit.registry.test_pyfunc import sequences

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return Config(root=str(tmp_path_factory.mktemp("root")))


@pytest.fixture(scope="module")
def kept(config):
    """A checkpoint in the store and in MLflow."""
    checkpoint = made(41)
    put_folder(Store(config.root_path), folder_key(CHECKPOINTS, checkpoint.sha256), to_files(checkpoint))
    registry = Registry.at(config.state_path)
    registry.log_training(checkpoint, [])
    registry.set_alias("champion", checkpoint.sha256)
    return checkpoint


@pytest.fixture(scope="module")
def logged(config, kept):
    """A checkpoint that only MLflow has."""
    checkpoint = made(42)
    return checkpoint, Registry.at(config.state_path).log_training(checkpoint, [])


def folder_of(checkpoint, folder):
    folder.mkdir(parents=True)
    for name, content in to_files(checkpoint).items():
        (folder / name).write_bytes(content)
    return folder


def test_every_name_gives_the_same_model(config, kept, tmp_path):
    version = Registry.at(config.state_path).find(kept.sha256)
    toml = tmp_path / "mediafm.toml"
    toml.write_text(f'root = "{config.root}"\n')
    found = [
        mediafm.load("models:/mediafm@champion", config=config),
        mediafm.load(f"models:/mediafm/{version.version}", config=toml),
        mediafm.load(f"models:/{version.model_id}", config=str(toml)),
        mediafm.load(kept.sha256, config=config),
        mediafm.load(kept.sha256[:8], config=config),
        mediafm.load(folder_of(kept, tmp_path / "copy")),
    ]
    assert {embedder.checkpoint.sha256 for embedder in found} == {kept.sha256}
    title = sequences()[0]
    np.testing.assert_array_equal(found[0].embed(title).shots, Embedder(kept).embed(title).shots)


def test_the_working_directorys_configuration_is_meant(config, kept, tmp_path, monkeypatch):
    (tmp_path / "mediafm.toml").write_text(f'root = "{config.root}"\n')
    monkeypatch.chdir(tmp_path)
    assert mediafm.load("models:/mediafm@champion").checkpoint.sha256 == kept.sha256


def test_a_model_that_only_mlflow_has_is_fetched_from_a_tracking_uri(config, logged, tmp_path):
    checkpoint, version = logged
    elsewhere = Config(root=str(tmp_path / "other"))
    uri = Registry.at(config.state_path).tracking_uri
    found = mediafm.load(f"models:/mediafm/{version.version}", config=elsewhere, tracking_uri=uri)
    assert found.checkpoint.sha256 == checkpoint.sha256
    assert not elsewhere.root_path.exists()


def test_other_weights_under_a_registered_name_are_refused(config, logged):
    import mlflow

    _, version = logged
    client = mlflow.MlflowClient(Registry.at(config.state_path).tracking_uri)
    place = Path(client.get_logged_model(version.model_id).artifact_location)
    before = {file.name: file.read_bytes() for file in place.iterdir()}
    try:
        for name, content in to_files(made(43)).items():
            (place / name).write_bytes(content)
        with pytest.raises(IntegrityError, match="the registered version was made of"):
            mediafm.load(f"models:/mediafm/{version.version}", config=config)
    finally:
        for name, content in before.items():
            (place / name).write_bytes(content)


def test_a_folder_called_after_other_weights_is_refused(kept, tmp_path):
    folder = folder_of(kept, tmp_path / ("0" * 64))
    with pytest.raises(IntegrityError, match="holds the weights with that sha256"):
        mediafm.load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(IntegrityError, match="both readable"):
        mediafm.load(folder)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("models:/mediafm@nobody", "nobody"),
        ("models:/mediafm/99", "99"),
        ("models:/other/1", "other"),
        ("models:/mediafm", "models:/NAME@ALIAS"),
        ("models:/m-0123", "m-0123"),
        ("f" * 64, "0 checkpoints ffffffffffffffff"),
        ("no such place", "a model is models:/NAME@ALIAS"),
    ],
)
def test_what_is_not_there_is_said(config, kept, name, sentence):
    with pytest.raises(NotFoundError, match=sentence):
        mediafm.load(name, config=config)


def test_a_root_without_mlflow_is_said_and_none_is_made(tmp_path):
    config = Config(root=str(tmp_path / "root"))
    with pytest.raises(NotFoundError, match="no MLflow database"):
        mediafm.load("models:/mediafm@champion", config=config)
    assert not config.root_path.exists()


def test_the_public_api_is_looked_up_when_it_is_asked_for():
    code = (
        "import sys, mediafm; assert not {'torch', 'mlflow'} & set(sys.modules); "
        "assert {'embed', 'embed_clips', 'load'} <= set(dir(mediafm)); "
        "mediafm.load; assert 'mlflow' not in sys.modules; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'lead'"):
        _ = mediafm.lead

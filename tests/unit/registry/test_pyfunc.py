"""`mlflow.pyfunc.load_model` on a real registry: the installed loader, one row a shot in, one row a shot out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mediafm.data.sequences import TitleSequence
from mediafm.embedder import Embedder
from mediafm.errors import IntegrityError, LineageMismatchError
from mediafm.registry.pyfunc import ShotEmbedder, _load_pyfunc
from mediafm.train.checkpoint import to_files
from tests.unit.registry.conftest import CURVES, made

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def unit_rows(rng, *shape):
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def sequences():
    rng = np.random.default_rng(0)
    flags = np.array([[True, True, False]] * 5)
    return [
        TitleSequence("a", unit_rows(rng, 5, 12), flags, unit_rows(rng, 4)),
        TitleSequence("b", unit_rows(rng, 3, 12), flags[:3], None),
    ]


def frame_of(found):
    rows = [
        {
            "title_id": one.title_id,
            "shot_index": number,
            "fused": one.fused[number].tolist(),
            **dict(zip(("has_video", "has_audio", "has_text"), one.is_present[number].tolist(), strict=True)),
            "metadata": None if one.metadata is None else one.metadata.tolist(),
        }
        for one in found
        for number in range(one.num_shots)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def champion(registry):
    checkpoint = made(31)
    registry.log_training(checkpoint, CURVES)
    registry.set_alias("pyfunc", checkpoint.sha256)
    return checkpoint


def test_mlflow_loads_it_by_its_alias_and_gives_what_the_embedder_gives(registry, champion, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.tracking_uri)
    mlflow.set_tracking_uri(registry.tracking_uri)
    try:
        model = mlflow.pyfunc.load_model("models:/mediafm@pyfunc")
        both = sequences()
        frame = frame_of(both)
        # The titles' rows may be mixed, as long as each title's stand in order, and the index may be any.
        mixed = frame.iloc[[0, 5, 1, 6, 2, 7, 3, 4]].set_index(pd.Index(range(100, 108)))
        found = model.predict(mixed)
    finally:
        mlflow.set_tracking_uri(None)
    embedder = Embedder(champion)
    expected = [embedder.embed(one).shots for one in both]
    assert found["title_id"].tolist() == mixed["title_id"].tolist()
    assert found.index.tolist() == mixed.index.tolist()
    for one, vectors in zip(both, expected, strict=True):
        mine = np.stack(found.loc[found["title_id"] == one.title_id, "contextual"].to_list())
        np.testing.assert_array_equal(mine, vectors)


def test_the_model_says_its_loader_its_columns_and_holds_no_code(registry, champion):
    import mlflow
    from mlflow.models import Model

    version = registry.find(champion.sha256)
    folder = Path(mlflow.MlflowClient(registry.tracking_uri).get_logged_model(version.model_id).artifact_location)
    names = {file.name for file in folder.rglob("*") if file.is_file()}
    # MLflow itself writes down, beside a local model that it loads, by which name it was asked for it.
    assert names - {"registered_model_meta"} == {"MLmodel", "config.json", "model.safetensors"}
    model = Model.load(str(folder))
    flavour = model.flavors["python_function"]
    assert flavour["loader_module"] == "mediafm.registry.pyfunc"
    assert not {"code", "data", "python_model", "artifacts"} & set(flavour)
    assert model.metadata["checkpoint_sha256"] == champion.sha256
    assert model.signature.inputs.input_names()[:5] == ["title_id", "fused", "has_video", "has_audio", "has_text"]
    assert model.signature.outputs.input_names() == ["title_id", "contextual"]


def test_changed_weights_are_not_loaded(champion, tmp_path):
    for name, content in to_files(champion).items():
        (tmp_path / name).write_bytes(content[:-1] + b"\x00" if name == "model.safetensors" else content)
    with pytest.raises(IntegrityError, match="sha256"):
        _load_pyfunc(str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(IntegrityError, match="both readable"):
        _load_pyfunc(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda frame: frame.drop(columns="has_audio"), "no column has_audio"),
        (lambda frame: frame.iloc[::-1], "a title's shots stand in their order"),
        (lambda frame: frame.assign(fused=[[1.0]] * 4 + [[1.0, 2.0]] * 4), "equally many numbers"),
        (lambda frame: frame.assign(fused=[[1.0, 0.0]] * 8), "the checkpoint reads"),
        (lambda frame: frame.assign(metadata=[[float(number)] * 4 for number in range(8)]), "one metadata vector"),
    ],
)
def test_what_does_not_fit_is_refused(champion, change, sentence):
    with pytest.raises(LineageMismatchError, match=sentence):
        ShotEmbedder(Embedder(champion)).predict(change(frame_of(sequences())))


def test_metadata_and_shot_index_may_be_left_out(champion):
    alone = sequences()[1]
    frame = frame_of([alone]).drop(columns=["metadata", "shot_index"])
    found = ShotEmbedder(Embedder(champion)).predict(frame)
    np.testing.assert_array_equal(np.stack(found["contextual"].to_list()), Embedder(champion).embed(alone).shots)
    json.dumps(found["contextual"].iloc[0].tolist())

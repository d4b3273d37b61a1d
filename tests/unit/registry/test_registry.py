import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mediafm.errors import NotFoundError
from mediafm.registry.names import SHA256_TAG
from mediafm.registry.run_log import skill_metrics
from tests.unit.registry.conftest import CURVES, REPORT, made

# MLflow and what it imports warn of their own future; none of it is ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SET_UP = """
import sys, pathlib
from mediafm.registry.registry import Registry
Registry.at(pathlib.Path(sys.argv[1])).set_up()
"""


def test_a_checkpoint_is_logged_once_and_found_by_its_sha256(registry, state):
    import mlflow

    uri_before = os.environ.get("MLFLOW_TRACKING_URI")
    checkpoint = made(1)
    assert registry.find(checkpoint.sha256) is None
    first = registry.log_training(checkpoint, CURVES, {"curves.png": b"png"}, {"git_sha": "abc"})
    assert registry.log_training(checkpoint, CURVES) == first == registry.find(checkpoint.sha256)
    assert os.environ.get("MLFLOW_TRACKING_URI") == uri_before
    client = mlflow.MlflowClient(registry.tracking_uri)
    run = client.get_run(first.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.hidden_dim"] == "256"
    assert run.data.params["export_layers"] == "[1]"
    assert [metric.step for metric in client.get_metric_history(first.run_id, "train_loss")] == [10, 20]
    assert run.inputs.dataset_inputs[0].dataset.digest == checkpoint.manifest_sha256[:32]
    version = client.get_model_version(registry.registered_model, str(first.version))
    assert version.tags[SHA256_TAG] == checkpoint.sha256
    assert version.tags["git_sha"] == "abc"
    model = client.get_logged_model(first.model_id)
    assert {metric.key: metric.value for metric in model.metrics}["test_skill_video_low"] == pytest.approx(0.1)
    weights = Path(model.artifact_location) / "model.safetensors"
    assert weights.read_bytes() == checkpoint.weights
    assert weights.is_relative_to(state / "mlartifacts")
    assert {item.path for item in client.list_artifacts(first.run_id)} == {"curves.png", "report.json"}


def test_aliases_mirror_pointers(registry):
    one, other = made(2), made(3)
    for checkpoint in (one, other):
        registry.log_training(checkpoint, [])
    registry.set_alias("champion", one.sha256)
    registry.set_alias("serving", one.sha256)
    registry.set_alias("champion", other.sha256)
    assert {**registry.aliases(), "champion": other.sha256, "serving": one.sha256} == registry.aliases()
    with pytest.raises(NotFoundError, match="Log the checkpoint first"):
        registry.set_alias("champion", "f" * 64)


def test_probe_metrics_stand_beside_the_model(registry):
    import mlflow

    version = registry.log_training(made(4), [])
    registry.log_probe_metrics(version.model_id, {"probe_tone_ap": 0.75})
    model = mlflow.MlflowClient(registry.tracking_uri).get_logged_model(version.model_id)
    assert {metric.key: metric.value for metric in model.metrics}["probe_tone_ap"] == 0.75


def test_skill_metrics_leave_out_what_is_not_known():
    assert skill_metrics(REPORT) == {
        "test_skill": 0.2,
        "test_skill_low": 0.1,
        "test_skill_high": 0.3,
        "test_skill_video": 0.25,
        "test_skill_video_low": 0.1,
        "test_skill_video_high": 0.4,
        "test_skill_span": 0.1,
    }


def test_importing_the_registry_imports_no_mlflow():
    code = "import sys, mediafm.registry.registry; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_telemetry_is_off(registry):
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert is_telemetry_disabled()


@pytest.mark.slow
def test_racing_processes_make_one_database(tmp_path):
    racers = [subprocess.Popen([sys.executable, "-c", SET_UP, str(tmp_path)]) for _ in range(3)]
    assert [racer.wait(timeout=120) for racer in racers] == [0, 0, 0]


@pytest.mark.slow
def test_a_process_killed_while_it_makes_the_database_does_not_block_the_next(tmp_path):
    """MLflow makes tables one by one and stumbles over those that are there: it must never see a half-made file."""
    killed = subprocess.Popen([sys.executable, "-c", SET_UP, str(tmp_path)])
    while not any(file.stat().st_size > 100_000 for file in tmp_path.glob("mlflow*")):
        assert killed.poll() is None
        time.sleep(0.002)
    killed.kill()
    killed.wait()
    assert not (tmp_path / "mlflow.db").exists()
    subprocess.run([sys.executable, "-c", SET_UP, str(tmp_path)], check=True)
    assert sorted(file.name for file in tmp_path.glob("mlflow.*")) == ["mlflow.db", "mlflow.lock"]

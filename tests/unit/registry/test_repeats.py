"""MLflow does not see a step twice: whatever stopped, the next call goes on with the same run."""

from pathlib import Path

import pytest

from mediafm.errors import StoreError
from mediafm.registry.registry import SHA256_TAG, Registry
from mediafm.registry.run_log import RunLog
from tests.unit.registry.conftest import CURVES, made, point

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


class Killed(BaseException):
    """As a kill: nothing that catches errors catches it."""


def client_of(registry):
    import mlflow

    return mlflow.MlflowClient(registry.tracking_uri)


def runs_of(registry, tag, value):
    client, experiment = registry._client()
    return client.search_runs([experiment], f"tags.{tag} = '{value}'")


def histories(registry, run_id):
    """Metric -> its steps, each as often as MLflow has a value for it."""
    client = client_of(registry)
    names = client.get_run(run_id).data.metrics
    return {name: [metric.step for metric in client.get_metric_history(run_id, name)] for name in names}


@pytest.mark.parametrize("stopped_in", ["_model", "_skill", "_register"])
def test_a_log_that_was_killed_is_completed_with_one_value_a_step(registry, state, monkeypatch, stopped_in):
    seed = {"_model": 11, "_skill": 12, "_register": 13}[stopped_in]
    checkpoint = made(seed)

    def killed(*_, **__):
        raise Killed("while it logs")

    with monkeypatch.context() as patch:
        patch.setattr(Registry, stopped_in, killed)
        patch.setattr(RunLog, "end", lambda *_, **__: None)
        with pytest.raises(Killed, match="while it logs"):
            registry.log_training(checkpoint, CURVES, {"model_card.md": b"# card"})
    assert registry.find(checkpoint.sha256) is None
    done = Registry.at(state).log_training(checkpoint, CURVES, {"model_card.md": b"# card"})
    (run,) = runs_of(registry, SHA256_TAG, checkpoint.sha256)
    assert (run.info.run_id, run.info.status) == (done.run_id, "FINISHED")
    found = histories(registry, done.run_id)
    assert found["train_loss"] == [10, 20]
    assert all(len(steps) == len(set(steps)) for steps in found.values()), found
    client = client_of(registry)
    models = client.search_logged_models([run.info.experiment_id], f"tags.{SHA256_TAG} = '{checkpoint.sha256}'")
    assert [(model.model_id, str(model.status)) for model in models] == [(done.model_id, "READY")]
    assert len({metric.key for metric in models[0].metrics}) == len(models[0].metrics) > 3


def test_a_training_that_was_resumed_repeats_no_step(registry):
    checkpoint = made(14)
    first = registry.begin_training("a" * 16, checkpoint.manifest_sha256, {"preset": "tiny"}, {"git_sha": "1"})
    for step in (10, 20, 30):
        first.point(point(step))
    again = registry.begin_training(
        "a" * 16, checkpoint.manifest_sha256, {"preset": "tiny", "seed": 1}, {"git_sha": "2"}
    )
    assert again.run_id == first.run_id
    for step in (20, 30, 40):
        again.point(point(step, validation_loss=9.0))
    version = registry.log_training(checkpoint, [point(step) for step in (10, 20, 30, 40)], identity="a" * 16)
    assert version.run_id == first.run_id
    assert {tuple(steps) for name, steps in histories(registry, first.run_id).items() if "test" not in name} == {
        (10, 20, 30, 40)
    }
    run = client_of(registry).get_run(first.run_id)
    assert run.info.run_name == checkpoint.sha256[:12]
    assert (run.data.params["preset"], run.data.params["seed"], run.data.tags["git_sha"]) == ("tiny", "1", "2")


def test_a_training_that_failed_is_gone_on_with(registry):
    first = registry.begin_training("b" * 16, "0" * 64, {})
    first.end(is_done=False)
    assert registry.begin_training("b" * 16, "0" * 64, {}).run_id == first.run_id


def test_a_repeated_training_of_a_known_checkpoint_points_to_its_run(registry):
    checkpoint = made(15)
    known = registry.log_training(checkpoint, CURVES, identity="c" * 16)
    repeat = registry.begin_training("c" * 16, checkpoint.manifest_sha256, {})
    assert repeat.run_id != known.run_id
    assert registry.log_training(checkpoint, CURVES, identity="c" * 16) == known
    run = client_of(registry).get_run(repeat.run_id)
    assert (run.info.status, run.data.tags["repeats_run"]) == ("FINISHED", known.run_id)


def test_a_refusal_is_told_as_ours_and_the_run_is_failed(registry, monkeypatch):
    from mlflow.exceptions import MlflowException

    def refused(*_, **__):
        raise MlflowException("no room on the disk")

    checkpoint = made(16)
    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "files", refused)
        with pytest.raises(StoreError, match="no room on the disk"):
            registry.log_training(checkpoint, CURVES)
    (run,) = runs_of(registry, SHA256_TAG, checkpoint.sha256)
    assert run.info.status == "FAILED"
    assert registry.log_training(checkpoint, CURVES).run_id == run.info.run_id


def test_the_card_describes_run_model_and_version(registry):
    card = "# Card\n| a | b |\n| --- | --- |\n" + "\n".join(f"line {number}" for number in range(2000))
    done = registry.log_training(made(17), CURVES, {"model_card.md": card.encode()})
    client = client_of(registry)
    # Its pages set a table's cells edge to edge.
    shown = "# Card\n| a\u00a0\u00a0 | b\u00a0\u00a0 |\n| --- | --- |\nline 0\n"
    tags = client.get_run(done.run_id).data.tags
    assert tags["mlflow.note.content"].startswith(shown)
    assert len(tags["mlflow.note.content"]) <= 8000
    assert tags["mlflow.source.name"] == "mediafm"
    description = client.get_model_version("mediafm", str(done.version)).description
    assert len(description) <= 5000
    assert description.startswith(shown)
    assert description.endswith("(The whole card is `model_card.md` of the model and of its run.)")
    location = Path(client.get_logged_model(done.model_id).artifact_location)
    assert (location / "model_card.md").read_text() == card

"""`mediafm train` on a small root of synthetic vectors: its plan, its run, and a run that was stopped."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from mediafm.cli.exit_codes import EXIT_FAILED, EXIT_USAGE
from mediafm.cli.main import library
from mediafm.cli.training_bar import TrainingBar
from mediafm.config import Config, load_config
from mediafm.data.import_files import open_import
from mediafm.data.synthetic import SyntheticSettings
from mediafm.model.mediafm import num_parameters
from mediafm.optim.groups import assign
from mediafm.registry.registry import Registry
from mediafm.steps import import_profile, training
from mediafm.steps.embeddings import EMBEDDING_STEPS
from mediafm.steps.fused import FusedStep
from mediafm.steps.imports import import_file
from mediafm.steps.manifests import find_manifest
from mediafm.steps.runner import run_step
from mediafm.steps.train_and_log import train_and_log
from mediafm.steps.training_watch import BegunTraining
from mediafm.steps.workspace import Workspace
from mediafm.store.views import records
from mediafm.testing.trainable_root import write_vectors
from mediafm.train.checkpoint import from_folder
from mediafm.train.curves import CurvePoint

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = SyntheticSettings(num_titles=12, min_shots=10, max_shots=20, width=8)


def make_root(base: Path) -> Path:
    """A configuration whose root has fused vectors of 12 titles and nothing trained."""
    write_vectors(base / "vectors.npz", SETTINGS)
    opened = open_import(base / "vectors.npz", {}, None)
    import_profile.write_profile(base / "vectors.toml", opened, "synthetic")
    toml = base / "mediafm.toml"
    toml.write_text(
        'root = "root"\nprofile = "./vectors.toml"\ndevice = "cpu"\n[training]\nmax_steps = 14\nsave_every_steps = 5\n'
    )
    with Workspace.open(load_config(toml)) as workspace:
        import_file(workspace, opened)
        workspace.ledger.flush()
        title_ids = [title.title_id for title in workspace.all_titles()]
        for step in (EMBEDDING_STEPS["metadata_embeddings"](workspace), FusedStep(workspace)):
            run_step(workspace, step, workspace.titles(title_ids))
            workspace.ledger.flush()
    return toml


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(Path(tmp_path_factory.mktemp("fresh")))


@pytest.fixture(scope="module")
def trained(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """A copy of the root on which `mediafm train --json` ran, and what that said."""
    base = Path(tmp_path_factory.mktemp("trained")) / "copy"
    shutil.copytree(fresh.parent, base)
    found = call("train", "--config", base / "mediafm.toml", "--json")
    assert found.exit_code == 0, found.output
    return base / "mediafm.toml", json.loads(found.stdout)


def call(*arguments: object):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(library, [str(each) for each in arguments])


def steps_in_mlflow(config: Config, run_id: str) -> list[int]:
    import mlflow

    client = mlflow.MlflowClient(Registry.at(config.state_path).tracking_uri)
    return [metric.step for metric in client.get_metric_history(run_id, "validation_loss")]


def test_the_plan_is_that_of_the_real_model_and_trains_nothing(fresh, trained):
    found = call("train", "--plan", "--config", fresh, "--json")
    assert found.exit_code == 0, found.output
    plan = json.loads(found.stdout)
    config = load_config(fresh)
    assert not (config.root_path / "store" / "manifests").exists()
    assert not (config.root_path / "store" / "checkpoints").exists()
    made = trained[1]
    assert plan["manifest_sha256"] == made["manifest_sha256"]
    checkpoint = from_folder(Path(made["folder"]))
    model = checkpoint.load_model()
    assert plan["num_parameters"] == num_parameters(model) == sum(plan["parameters"].values())
    weights = 4 * num_parameters(model)
    sizes = plan["costs"]["bytes_by_part"]
    assert sizes["weights"] == weights
    # The first block keeps what the data gave it: no gradient, no buffers.
    is_held = ("project_shot.", "blocks.0.", "presence")
    held = {id(item) for name, item in model.named_parameters() if name.startswith(is_held)}
    trained = 4 * sum(item.numel() for item in model.parameters() if id(item) not in held)
    assert sizes["gradients"] == trained < weights
    groups = [
        (rule, [item for item in named.values() if id(item) not in held]) for rule, named in assign(model).items()
    ]
    muon = 4 * sum(one.numel() for rule, named in groups if rule.optimizer == "muon" for one in named)
    assert sizes["Muon (one buffer)"] == muon
    num_tensors = sum(len(named) for rule, named in groups if rule.optimizer == "adamw")
    # AdamW counts its steps for each tensor, too.
    assert sizes["AdamW (two buffers)"] == 2 * (trained - muon) + 4 * num_tensors
    assert sizes["activations"] > 0
    assert plan["config"] == json.loads(json.dumps(dict(checkpoint.training)))
    assert plan["max_steps"] == 14 >= plan["min_steps"] > 0
    assert 0 < plan["min_seconds"] <= plan["max_seconds"]
    files = (config.root_path / "cache" / "corpora").rglob("*")
    on_disk = sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".json")
    assert plan["corpus"]["num_bytes"] == on_disk
    assert plan["presets"][0] | {"preset": "tiny", "is_chosen": True} == plan["presets"][0]
    assert plan["presets"][0]["num_parameters"] == plan["num_parameters"]


def test_the_plan_for_people_says_what_was_measured_and_when_it_ends(fresh):
    said = call("train", "--plan", "--config", fresh).stdout
    for words in (
        "preset tiny: ",
        "transformer blocks",
        "AdamW (two buffers)",
        "taken now on this machine",
        "fits this machine's memory",
        "14 steps are taken",
        "this catalogue",
    ):
        assert words in said, said


def test_a_training_is_in_the_store_the_ledger_and_mlflow(trained):
    toml, made = trained
    config = load_config(toml)
    folder = Path(str(made["folder"]))
    assert {file.name for file in folder.iterdir()} >= {"model_card.md", "curves.png", "rates.png", "layers.png"}
    assert (folder / "model_card.md").read_text().startswith(f"# MediaFM {str(made['sha256'])[:12]}")
    with Workspace.open(config) as workspace:
        (row,) = records(workspace.store, ["checkpoints"])
    assert (row.sha256, row.details["mlflow_run_id"]) == (made["sha256"], made["mlflow_run_id"])
    registry = Registry.at(config.state_path)
    version = registry.find(str(made["sha256"]))
    assert version is not None
    assert (version.version, version.run_id) == (made["model_version"], made["mlflow_run_id"])
    import mlflow

    client = mlflow.MlflowClient(registry.tracking_uri)
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert {item.path for item in client.list_artifacts(version.run_id)} >= {
        "model_card.md", "report.json", "curves.png", "rates.png", "layers.png"
    }  # fmt: skip
    assert {"environment.python", "environment.torch", "device_name", "environment.num_threads"} <= set(run.data.params)
    assert {"git_sha", "manifest_sha256", "checkpoint_sha256"} <= set(run.data.tags)
    assert {
        "train_loss", "validation_loss", "validation_skill", "validation_skill_video", "muon_lr", "adamw_lr",
        "gradient_norm", "shots_per_second",
    } <= set(run.data.metrics)  # fmt: skip
    assert run.inputs.dataset_inputs[0].dataset.digest == str(made["manifest_sha256"])[:32]


def test_what_was_trained_is_not_trained_again_by_any_name_of_its_manifest(trained, tmp_path):
    toml, made = trained
    sha256 = str(made["manifest_sha256"])
    stored = load_config(toml).root_path / "store" / "manifests" / sha256
    copied = tmp_path / "elsewhere"
    shutil.copytree(stored, copied)
    for name in (sha256, sha256[:8], stored, copied):
        found = call("train", name, "--config", toml, "--json")
        assert found.exit_code == 0, found.output
        assert json.loads(found.stdout) | {"was_made": False, "sha256": made["sha256"]} == json.loads(found.stdout)
    said = call("train", "--config", toml).stdout
    assert "it was there already" in said
    assert "| video |" in said


@pytest.mark.parametrize("name", ["0" * 64, "nowhere", "abc"])
def test_a_manifest_that_is_not_there_is_wrong_usage(trained, name):
    found = call("train", name, "--config", trained[0])
    assert found.exit_code == EXIT_USAGE
    assert "0 manifests" in found.stderr


def test_a_root_that_is_not_there_or_has_too_little_is_wrong_usage(tmp_path):
    found = call("train", "--root", tmp_path / "none")
    assert found.exit_code == EXIT_USAGE
    assert "there is no root" in found.stderr
    (tmp_path / "empty").mkdir()
    found = call("train", "--root", tmp_path / "empty")
    assert found.exit_code == EXIT_USAGE
    assert "no training manifest" in found.stderr


def test_a_manifest_of_another_space_is_refused(trained):
    toml, made = trained
    found = call("train", made["manifest_sha256"], "--config", toml, "--profile", "lite", "--force")
    assert found.exit_code == EXIT_FAILED
    assert "a manifest of the space" in found.stderr


class Stopping:
    """A watch that stops the training after so many steps, as Ctrl-C would."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.begun: list[BegunTraining] = []

    def begins(self, run: BegunTraining) -> None:
        self.begun.append(run)

    def step(self, num_steps: int) -> None:
        if num_steps >= self.after:
            raise KeyboardInterrupt("enough")

    def point(self, point: CurvePoint) -> None: ...

    def ends(self) -> None: ...


def test_a_stopped_training_goes_on_and_mlflow_sees_no_step_twice(fresh, trained, tmp_path):
    """Stopped after 12 of 14 steps, with states at 5 and 10: evaluations since the last state come a second time."""
    shutil.copytree(fresh.parent, tmp_path / "copy")
    toml = tmp_path / "copy" / "mediafm.toml"
    config = load_config(toml)
    with Workspace.open(config) as workspace, pytest.raises(KeyboardInterrupt, match="enough"):
        train_and_log(workspace, manifest=find_manifest(workspace, None), watch=Stopping(after=12))
    import mlflow

    client = mlflow.MlflowClient(Registry.at(config.state_path).tracking_uri)
    (stopped,) = client.search_runs(["1"])
    assert stopped.info.status == "FAILED"
    seen = steps_in_mlflow(config, stopped.info.run_id)
    assert seen
    found = call("train", "--config", toml, "--json")
    assert found.exit_code == 0, found.output
    made = json.loads(found.stdout)
    assert made["resumed_at_step"] == 10
    assert made["mlflow_run_id"] == stopped.info.run_id
    assert made["sha256"] == trained[1]["sha256"], "it ends as the run that was never stopped"
    steps = steps_in_mlflow(config, stopped.info.run_id)
    whole = steps_in_mlflow(load_config(trained[0]), str(trained[1]["mlflow_run_id"]))
    assert sorted(steps) == sorted(set(steps)) == sorted(whole)
    assert set(seen) <= set(steps)
    assert client.get_run(stopped.info.run_id).info.status == "FINISHED"


def test_mlflow_that_stops_answering_stops_no_training(fresh, trained, tmp_path, monkeypatch):
    from mediafm.errors import StoreError
    from mediafm.registry.run_log import RunLog

    shutil.copytree(fresh.parent, tmp_path / "copy")
    config = load_config(tmp_path / "copy" / "mediafm.toml")
    answers = iter([False])
    point = RunLog.point

    def sometimes(self: RunLog, value: CurvePoint) -> None:
        if not next(answers, True):
            raise StoreError("no connection", rule="MLflow must answer")
        point(self, value)

    monkeypatch.setattr(RunLog, "point", sometimes)
    with Workspace.open(config) as workspace:
        made = train_and_log(workspace, manifest=find_manifest(workspace, None))
    assert "no connection" in made.notes[0]
    whole = steps_in_mlflow(load_config(trained[0]), str(trained[1]["mlflow_run_id"]))
    assert steps_in_mlflow(config, made.mlflow_run_id) == whole


def test_the_bar_ends_where_patience_would_and_moves_with_a_better_loss(fresh):
    with Workspace.open(load_config(fresh)) as workspace:
        manifest = find_manifest(workspace, None, is_kept=False)
        drawn = io.StringIO()
        told = Recorder(Console(file=drawn, force_terminal=True, width=120))
        with told.bar:
            training.make_checkpoint(workspace, manifest=manifest, watch=told)
    assert told.totals[0] > 0
    assert told.totals == sorted(told.totals)
    assert "training" in drawn.getvalue()
    assert "best" in drawn.getvalue()


class Recorder(TrainingBar):
    """The bar, and where it thought to end after each evaluation."""

    def __init__(self, console: Console) -> None:
        super().__init__(console=console)
        self.bar = self
        self.totals: list[float] = []

    def point(self, point: CurvePoint) -> None:
        super().point(point)
        if point.phase == "stable":
            self.totals.append(float(self._bars.tasks[0].total or 0))

"""A person's promotion as a Dagster run, from the command line and as it is launched in the UI; the gate in the UI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from mediafm.config import Config
from mediafm.errors import TrainingError
from mediafm.steps.gate import decisions_about, move_champion
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION, Pointers
from mediafm.store.store import Store
from mediafm_pipelines.cli import cli
from mediafm_pipelines.decisions import PROMOTE_JOB, PROMOTE_OP, decision_metadata, run_promotion
from mediafm_pipelines.definitions import build_defs
from mediafm_pipelines.instance import open_instance
from tests.pipelines.conftest import config_of
from tests.unit.steps.checkpoints import stored_checkpoint

# MLflow and what it imports warn of their own future; none of it is ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database, made once; Dagster remembers the one root that the state is of."""
    return tmp_path_factory.mktemp("gate")


@pytest.fixture(scope="module")
def config(state: Path) -> Config:
    return config_of(state / "root")


@pytest.fixture(scope="module")
def checkpoints(config: Config) -> tuple[str, str, str]:
    """A champion, a candidate that the gate refused, and one that collapsed."""
    with Workspace.open(config) as work:
        first = stored_checkpoint(work, 1)
        second = stored_checkpoint(work, 2, lowest_skill=-0.3)
        collapsed = stored_checkpoint(work, 3, is_uncollapsed=False)
        move_champion(work, first)
        move_champion(work, second)
    return first, second, collapsed


def champion_of(config: Config) -> Any:
    pointer = Pointers(Store(config.root_path)).read(CHAMPION)
    assert pointer is not None
    return pointer.value["checkpoint_sha256"]


def other(config: Config, checkpoints: tuple[str, str, str]) -> str:
    """The sound checkpoint that is not the champion now, whichever tests went before."""
    return next(sha256 for sha256 in checkpoints if sha256 != champion_of(config))


def materialised(instance: dg.DagsterInstance) -> dg.AssetMaterialization:
    event = instance.get_latest_materialization_event(dg.AssetKey("champion"))
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization


def test_a_promotion_is_a_run_with_the_persons_reason(config: Config, checkpoints: tuple[str, str, str]) -> None:
    before, second = champion_of(config), other(config, checkpoints)
    decision, run_id = run_promotion(config, build_defs(config), second[:10], "the labels are of last year")
    assert (decision.verdict, champion_of(config)) == ("overridden", second)
    with open_instance(config) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert (run.job_name, run.status) == (PROMOTE_JOB, dg.DagsterRunStatus.SUCCESS)
        assert run.tags["mediafm/checkpoint"] == second[:16]
        found = materialised(instance)
    assert found.metadata["verdict"].value == "overridden"
    assert "the labels are of last year" in str(found.metadata["decision"].value)
    assert found.tags["dagster/data_version"] == second
    assert decisions_about(Store(config.root_path), second)[-1] == decision
    assert decision.champion_before == before


def test_it_can_be_launched_in_the_ui_and_promoting_the_champion_says_so(
    config: Config, checkpoints: tuple[str, str, str]
) -> None:
    """The launchpad hands the job this run configuration."""
    job = build_defs(config).resolve_job_def(PROMOTE_JOB)
    wanted = other(config, checkpoints)
    given = {"ops": {PROMOTE_OP: {"config": {"checkpoint": wanted, "reason": "back again"}}}}
    with open_instance(config) as instance:
        for verdict in ("overridden", "unchanged"):
            assert job.execute_in_process(instance=instance, run_config=given).success
            assert materialised(instance).metadata["verdict"].value == verdict
    assert champion_of(config) == wanted


def test_a_collapsed_checkpoint_leaves_a_failed_run(config: Config, checkpoints: tuple[str, str, str]) -> None:
    before = champion_of(config)
    with pytest.raises(TrainingError, match="whoever wants it"):
        run_promotion(config, build_defs(config), checkpoints[2], "I insist")
    assert champion_of(config) == before
    with open_instance(config) as instance:
        (newest,) = instance.get_runs(limit=1)
    assert newest.status == dg.DagsterRunStatus.FAILURE


def test_the_command_line_tells_what_it_did_and_refuses_what_is_wrong(
    config: Config, checkpoints: tuple[str, str, str]
) -> None:
    def call(*words: str) -> Any:
        return CliRunner().invoke(cli, ["promote", "--root", str(config.root_path), *words])

    with open_instance(config) as instance:
        num_runs = instance.get_runs_count()
    for words, said in (
        (("--checkpoint", "0" * 64, "--reason", "x"), "0 checkpoints"),
        (("--checkpoint", checkpoints[1], "--reason", " "), "a blank reason"),
        (("--checkpoint", checkpoints[1]), "Missing option '--reason'"),
    ):
        wrong = call(*words)
        assert (wrong.exit_code, said in wrong.output) == (2, True), wrong.output
    with open_instance(config) as instance:
        assert instance.get_runs_count() == num_runs, "what is mistyped begins no run"
    wanted = other(config, checkpoints)
    done = call("--checkpoint", wanted, "--reason", "by hand", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["checkpoint_sha256"] == wanted == champion_of(config)
    assert json.loads(done.stdout)["dagster_run"]
    told = call("--checkpoint", other(config, checkpoints), "--reason", "by hand")
    assert "next: `mediafm run` makes its vectors" in told.output


def test_a_decision_as_metadata_has_the_table_and_every_number(
    config: Config, checkpoints: tuple[str, str, str]
) -> None:
    found = decision_metadata(decisions_about(Store(config.root_path), checkpoints[0])[0])
    assert found["is_provisional"] is True
    assert {"verdict", "reason", "candidate", "champion_before", "test_set_times_used"} <= set(found)
    numbers = found["numbers"]
    assert isinstance(numbers, dg.JsonMetadataValue)
    assert isinstance(numbers.data, dict)
    assert numbers.data["verdict"] == "installed"

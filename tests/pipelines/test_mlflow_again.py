"""MLflow made again from the store of a root whose state was lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mediafm.registry.registry import Registry
from mediafm.steps.agreement import ask_mlflow, draw_sample
from mediafm.steps.mlflow_again import rebuild_mlflow
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION
from mediafm.store.views import records
from mediafm_pipelines.cli import cli
from tests.pipelines.conftest import config_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def test_a_lost_mlflow_says_again_what_the_ledger_says(root: Path) -> None:
    config = config_of(root)
    with Workspace.open(config) as work:
        pointer = work.pointers.read(CHAMPION)
        assert pointer is not None
        champion = str(pointer.value["checkpoint_sha256"])
        assert ask_mlflow(config, draw_sample(work.store, 5)) != []
        assert rebuild_mlflow(work).added == {champion: 1}
        assert ask_mlflow(config, draw_sample(work.store, 5)) == []
        rows = records(work.store, ["checkpoints"])
        assert len({row.details["mlflow_run_id"] for row in rows}) == 2
        assert [row.seconds > 0 for row in rows] == [True, False], "the work was done once"
    registry = Registry.of(config)
    assert registry.aliases() == {"champion": champion, "serving": champion}
    found = registry.find(champion)
    assert found is not None
    client, _ = registry._client()
    assert client.get_model_version(registry.registered_model, "1").tags["gate.verdict"] == "installed"
    assert any(name.startswith("probes/") for name in client.get_run(found.run_id).data.metrics)


def test_the_verb_does_it_once_and_names_what_the_store_lacks(root: Path) -> None:
    arguments = ["rebuild-mlflow", "--root", str(root), "--json"]
    first = json.loads(CliRunner().invoke(cli, arguments).stdout)
    assert (list(first["added"].values()), first["known"], first["lost"]) == ([1], [], [])
    again = json.loads(CliRunner().invoke(cli, arguments).stdout)
    assert (again["added"], again["known"]) == ({}, list(first["added"]))
    (folder,) = (root / "store" / "checkpoints").iterdir()
    folder.rename(root / "elsewhere")
    assert json.loads(CliRunner().invoke(cli, arguments).stdout)["lost"] == [folder.name]

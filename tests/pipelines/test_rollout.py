"""Roll-outs on real titles and Dagster's own instance: a title that arrives meanwhile, the way back, other encoders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from mediafm.config import Config, TrainingSettings
from mediafm.progress import Silent
from mediafm.registry.registry import Registry
from mediafm.steps.contextual import champion_sha256
from mediafm.steps.override import promote
from mediafm.steps.promotion import newest_checkpoint
from mediafm.steps.serving import serving_sha256
from mediafm.steps.train_and_log import train_and_log
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION, Pointers
from mediafm.store.store import Store
from mediafm.store.views import connect
from mediafm_pipelines.catalog_run import CatalogRun
from mediafm_pipelines.cli import cli
from mediafm_pipelines.instance import open_instance
from tests.pipelines.conftest import NUM_TITLES, TRAINING, config_of

# MLflow and what it imports warn of their own future; none of it is ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SEEDED = TrainingSettings.model_validate({**TRAINING, "seed": 1})
NEW_TITLE = "arrived"


def arrive(catalog: Path) -> None:
    """One more film: another's bytes under a name of its own."""
    film = sorted(path for path in catalog.iterdir() if path.suffix in {".mp4", ".mkv"})[0]
    shutil.copy(film, catalog / f"{NEW_TITLE}{film.suffix}")


def run(config: Config, catalog: Path) -> CatalogRun:
    started = CatalogRun(config, Silent())
    started.execute(str(catalog))
    assert started.faults == []
    return started


def select(config: Config, query: str) -> list[tuple[Any, ...]]:
    with connect(Store(config.root_path)) as connection:
        return connection.execute(query).fetchall()


def last_metadata(config: Config, asset: str, title_id: str) -> dict[str, Any]:
    with open_instance(config) as instance:
        found = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[title_id]), limit=1
        )
    materialization = found.records[0].asset_materialization
    assert materialization is not None
    return {name: value.value for name, value in materialization.metadata.items()}


def verb(config_file: Path, *arguments: str) -> Any:
    result = CliRunner().invoke(cli, [*arguments, "--config", str(config_file), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def config_file(root: Path, tmp_path: Path) -> Path:
    file = tmp_path / "mediafm.toml"
    file.write_text(f'root = "{root}"\n[training]\nmax_steps = 12\npreset = "tiny"\nseed = 1\n')
    return file


@pytest.mark.slow
def test_a_title_arrives_during_a_roll_out_and_readers_go_back(root: Path, catalog: Path, config_file: Path) -> None:
    config = config_of(root).model_copy(update={"training": SEEDED})
    with Workspace.open(config) as work:
        old = champion_sha256(work)
        train_and_log(work)
        work.ledger.flush()
        new = newest_checkpoint(work)
        assert new not in (None, old)
        promote(work, str(new), "the test wants a roll-out")
    arrive(catalog)
    run(config, catalog)
    with Workspace.open(config) as work:
        assert (champion_sha256(work), serving_sha256(work)) == (new, new), "no title of readers is missing"
    embedded = select(
        config,
        "SELECT DISTINCT checkpoint_sha256 FROM ledger WHERE table_name = 'contextual_embeddings' AND state = 'ok' "
        f"AND title_id = '{NEW_TITLE}'",
    )
    assert {sha256 for (sha256,) in embedded} == {old, new}
    told = last_metadata(config, "contextual_embeddings", NEW_TITLE)["by_checkpoint"]
    assert str(old)[:16] in told
    assert str(new)[:16] in told

    back = verb(config_file, "rollback", "--reason", "it sings")
    assert (back["from_sha256"], back["to_sha256"], back["unfilled"], back["lost"]) == (new, old, [], [])
    with Workspace.open(config) as work:
        assert (champion_sha256(work), serving_sha256(work)) == (old, old)
    assert Registry.at(config.state_path, config.orchestration).aliases()["champion"] == new, "MLflow lacks the old one"
    assert select(config, "SELECT DISTINCT checkpoint_sha256 FROM current WHERE checkpoint_sha256 <> ''") == [(old,)]
    run(config, catalog)
    with Workspace.open(config) as work:
        assert (champion_sha256(work), serving_sha256(work)) == (old, old), "the gate does not promote it again"
    assert "rolled back from" in verb(config_file, "status")["rollout"]["sentence"]
    again = CliRunner().invoke(cli, ["rollback", "--config", str(config_file)])
    assert again.exit_code == 2
    assert "no checkpoint before" in again.output


def test_serving_is_a_run_and_says_why_nothing_moves(root: Path, config_file: Path) -> None:
    found = verb(config_file, "serve")
    assert (found["was_moved"], found["titles"], found["fault"]) == (False, NUM_TITLES, "")
    assert "already" in found["reason"]
    with open_instance(config_of(root)) as instance:
        assert instance.get_run_by_id(found["dagster_run"]).status == dg.DagsterRunStatus.SUCCESS


@pytest.mark.slow
def test_during_a_change_of_encoders_new_titles_are_served_in_the_old_space(
    root: Path, catalog: Path, tmp_path: Path
) -> None:
    profile = tmp_path / "narrow.toml"
    shipped = Path(__file__).parents[2] / "mediafm" / "profiles" / "lite.toml"
    profile.write_text(
        shipped.read_text().replace('name = "lite-text"', 'name = "lite-text"\nsettings = { width = 64 }')
    )
    config = config_of(root).model_copy(update={"profile": str(profile)})
    pointers = Pointers(Store(root))
    champion = pointers.read(CHAMPION)
    assert champion is not None
    old = champion.value["checkpoint_sha256"]
    pointers.ensure(CHAMPION, {**champion.value, "is_provisional": False}, "no newer one goes past it unheard")
    arrive(catalog)
    run(config, catalog)
    with Workspace.open(config) as work:
        assert (champion_sha256(work), serving_sha256(work)) == (old, old)
    assert select(config, "SELECT count(*) FROM contextual_embeddings WHERE title_id = 'arrived'")[0][0] > 0
    assert select(config, f"SELECT state FROM title_status WHERE title_id = '{NEW_TITLE}'") == [("ok",)]
    made = select(
        config,
        "SELECT table_name, count(DISTINCT fingerprint) FROM ledger "
        f"WHERE title_id = '{NEW_TITLE}' AND state = 'ok' GROUP BY 1 ORDER BY 1",
    )
    twice = {table for table, count in made if count == 2}
    assert twice == {"text_embeddings", "metadata_embeddings", "fused_embeddings"}
    assert {count for table, count in made if table not in twice} == {1}, "what is the same in both is made once"
    assert str(old)[:16] in last_metadata(config, "text_embeddings", NEW_TITLE)["other_spaces"]
    assert "other_spaces" not in last_metadata(config, "video_embeddings", NEW_TITLE)
    again = CatalogRun(config, Silent())
    again.execute(str(catalog))
    assert again.results == [], "nothing is left to do in either space"

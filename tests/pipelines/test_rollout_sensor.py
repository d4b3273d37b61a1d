"""`reembed_sensor` as a function: a new champion in chunks, then readers; and what it gives up on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from mediafm.config import Config
from mediafm.steps.workspace import Workspace
from mediafm_pipelines.in_flight import RANGE_END, RANGE_START
from mediafm_pipelines.partitions import register_titles
from tests.pipelines.ticks import Ticks
from tests.unit.steps.conftest import PROFILE
from tests.unit.steps.served_root import NEW, OLD, embedded, ingested, with_checkpoint

TITLES = ("a", "b", "c", "d", "e")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "fake.toml").write_text(PROFILE)
    return Config.model_validate(
        {
            "root": str(tmp_path / "root"),
            "profile": str(tmp_path / "fake.toml"),
            "device": "cpu",
            "orchestration": {"titles_per_run": 2},
            "automation": {"reembed": {"max_runs_per_tick": 2, "max_attempts": 2}},
        }
    )


@pytest.fixture
def ticks(instance: dg.DagsterInstance, config: Config) -> Ticks:
    """Five ingested titles, all partitions of the graph."""
    with Workspace.open(config) as work:
        work.point_producers()
        ingested(work, *TITLES)
    register_titles(instance, TITLES)
    return Ticks(instance, config, "reembed_sensor")


def promote(config: Config, sha256: str, *done: str) -> None:
    with Workspace.open(config) as work:
        with_checkpoint(work, sha256)
        embedded(work, sha256, *done)


def test_a_new_champion_is_rolled_out_in_chunks_and_then_served(ticks: Ticks, config: Config) -> None:
    assert "no champion yet" in ticks.tick().skip_message
    promote(config, OLD)
    found = ticks.tick()
    ranges = [(request.tags[RANGE_START], request.tags[RANGE_END]) for request in found.run_requests]
    assert ranges == [("a", "b"), ("c", "d")], "a tick's worth"
    assert {request.job_name for request in found.run_requests} == {"reembed_job"}
    assert "1 titles wait for 2 runs" in ticks.tick().skip_message
    promote(config, OLD, "a", "b", "c", "d")
    ticks.runs_end(dg.DagsterRunStatus.SUCCESS)
    (last,) = ticks.tick().run_requests
    assert (last.tags[RANGE_START], last.tags[RANGE_END]) == ("e", "e")
    assert "1 titles are being embedded" in ticks.tick().skip_message
    promote(config, OLD, "e")
    ticks.runs_end(dg.DagsterRunStatus.SUCCESS)
    (serve,) = ticks.tick().run_requests
    assert serve.job_name == "serve_job"
    assert "serves" in ticks.tick().skip_message


def test_a_root_where_nothing_moved_is_not_looked_into(
    ticks: Ticks, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(config, OLD, *TITLES)
    ticks.tick()
    ticks.runs_end(dg.DagsterRunStatus.SUCCESS)
    monkeypatch.setattr("mediafm.steps.in_context.titles_to_embed", None)
    assert "nothing has changed" in ticks.tick().skip_message
    monkeypatch.undo()
    promote(config, NEW)
    assert len(ticks.tick().run_requests) == 2


def test_a_title_that_stays_without_vectors_is_given_up_and_holds_nobody(ticks: Ticks, config: Config) -> None:
    promote(config, OLD, *TITLES[1:])
    keys = []
    for _ in range(4):
        found = ticks.tick()
        keys += [request.run_key for request in found.run_requests]
        ticks.runs_end()
        if found.run_requests and found.run_requests[0].job_name == "serve_job":
            break
    assert len(keys) == len(set(keys)) == 3
    assert [key.startswith("serve:") for key in keys] == [False, False, True]
    promote(config, NEW)
    assert any("a" in request.run_key for request in ticks.tick().run_requests), "another champion, another try"


def test_serving_that_changes_nothing_is_asked_for_a_few_times_only(ticks: Ticks, config: Config) -> None:
    promote(config, OLD, *TITLES)
    for number in range(2):
        (serve,) = ticks.tick().run_requests
        assert serve.job_name == "serve_job"
        ticks.runs_end(dg.DagsterRunStatus.SUCCESS)
        with Workspace.open(config) as work:
            ingested(work, f"another-{number}")  # the ledger moves, readers wait as before
            embedded(work, OLD, f"another-{number}")
    assert "2 runs of serve_job changed nothing" in ticks.tick().skip_message
    assert ticks.tick().run_requests == []
    promote(config, NEW, *TITLES, "another-0", "another-1")
    (serve,) = ticks.tick().run_requests
    assert serve.run_key.startswith(f"serve:{NEW[:16]}"), "another champion, another try"

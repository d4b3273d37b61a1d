"""`new_titles_sensor` as a function: ranges, caps, its cursor, and what it leaves alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mediafm.config import Config
from mediafm.steps.catalogs import remember_inputs, scan_known
from mediafm.steps.titles import take_in
from mediafm.steps.workspace import Workspace
from mediafm_pipelines.in_flight import RANGE_END, RANGE_START
from mediafm_pipelines.partitions import register_titles
from tests.pipelines.ticks import Ticks

NUM_FILMS = 5


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Files of no media; a sensor never finds that out."""
    folder = tmp_path / "films"
    folder.mkdir()
    for number in range(NUM_FILMS):
        (folder / f"film-{number}.mp4").write_bytes(b"x" * (number + 1))
    return folder


def watching(instance: dg.DagsterInstance, films: Path, **new_titles: int) -> Ticks:
    config = Config.model_validate(
        {
            "root": str(films.parent / "root"),
            "orchestration": {"titles_per_run": 2},
            "automation": {"new_titles": new_titles},
        }
    )
    with Workspace.open(config) as work:
        remember_inputs(work, [str(films)])
    return Ticks(instance, config, "new_titles_sensor")


def ranges(found: Any) -> list[tuple[str, str]]:
    return [(request.tags[RANGE_START], request.tags[RANGE_END]) for request in found.run_requests]


def test_new_titles_become_partitions_and_contiguous_ranges(instance: dg.DagsterInstance, films: Path) -> None:
    daemon = watching(instance, films)
    first = daemon.tick()
    assert first.run_requests == []
    assert "5 titles to be seen once more" in first.skip_message
    assert instance.get_dynamic_partitions("titles") == []
    second = daemon.tick()
    assert ranges(second) == [("film-0", "film-1"), ("film-2", "film-3"), ("film-4", "film-4")]
    assert instance.get_dynamic_partitions("titles") == [f"film-{number}" for number in range(NUM_FILMS)]
    assert len({request.run_key for request in second.run_requests}) == 3
    assert all(request.tags["mediafm/requested_by"] == "new_titles_sensor" for request in second.run_requests)
    assert daemon.tick().run_requests == [], "they are in the queue"


def test_a_tick_asks_for_so_many_and_waits_while_so_many_are_under_way(
    instance: dg.DagsterInstance, films: Path
) -> None:
    daemon = watching(instance, films, max_runs_per_tick=1, max_runs_in_flight=2)
    daemon.tick()
    assert ranges(daemon.tick()) == [("film-0", "film-1")]
    assert ranges(daemon.tick()) == [("film-2", "film-3")]
    waiting = daemon.tick()
    assert waiting.run_requests == []
    assert "1 titles wait: 2 runs" in waiting.skip_message


def test_a_changed_file_is_done_again_under_another_run_key(instance: dg.DagsterInstance, films: Path) -> None:
    daemon = watching(instance, films)
    daemon.tick()
    keys = {request.run_key for request in daemon.tick().run_requests}
    with Workspace.open(daemon.config) as work:
        take_in(work, scan_known(work).titles)
    daemon.runs_end(dg.DagsterRunStatus.SUCCESS)
    assert daemon.tick().skip_message == "nothing new"
    (films / "film-3.mp4").write_bytes(b"another cut")
    daemon.tick()
    again = daemon.tick()
    assert ranges(again) == [("film-3", "film-3")]
    assert again.run_requests[0].run_key not in keys
    assert again.dynamic_partitions_requests == []


def test_runs_that_fail_before_they_record_anything_are_asked_for_again_and_then_no_more(
    instance: dg.DagsterInstance, films: Path
) -> None:
    daemon = watching(instance, films, max_attempts=2)
    asked = []
    for _ in range(8):
        asked += [request.run_key for request in daemon.tick().run_requests]
        daemon.runs_end()
    assert len(asked) == len(set(asked)) == 2 * 3
    assert "5 titles were asked for in vain" in daemon.tick().skip_message


def test_titles_of_any_other_run_are_left_to_it(instance: dg.DagsterInstance, films: Path) -> None:
    daemon = watching(instance, films)
    register_titles(instance, ["film-1", "film-2"])
    daemon.begin("ingest_job", {RANGE_START: "film-1", RANGE_END: "film-2"})
    daemon.tick()
    assert ranges(daemon.tick()) == [("film-0", "film-3"), ("film-4", "film-4")]


def test_a_vanished_title_is_on_record_and_on_its_partition(instance: dg.DagsterInstance, films: Path) -> None:
    daemon = watching(instance, films)
    with Workspace.open(daemon.config) as work:
        take_in(work, scan_known(work).titles)
    (films / "film-2.mp4").unlink()
    assert daemon.tick().asset_events == []
    marked = daemon.tick()
    (event,) = marked.asset_events
    assert isinstance(event, dg.AssetObservation)
    assert (event.partition, event.metadata["state"].value) == ("film-2", "vanished")
    with Workspace.open(daemon.config) as work:
        assert str(work.titles(["film-2"])[0].state) == "vanished"
    assert daemon.tick().asset_events == []


def test_the_cursor_is_json_of_a_bounded_size(instance: dg.DagsterInstance, films: Path) -> None:
    for number in range(60):
        (films / f"more-{number:02}.mp4").write_bytes(b"y")
    daemon = watching(instance, films, max_titles_per_tick=4)
    for _ in range(6):
        daemon.tick()
        cursor = json.loads(str(daemon.cursor))
        assert set(cursor) == {"version", "began", "seen", "absent", "tried"}
        assert len(cursor["seen"]) <= 8
    daemon.cursor = "no JSON at all"
    assert daemon.tick().run_requests == [], "it begins anew"


def test_a_cursor_that_is_reset_asks_again(
    instance: dg.DagsterInstance, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster never begins two runs of one key."""
    daemon = watching(instance, films)
    daemon.tick()
    before = {request.run_key for request in daemon.tick().run_requests}
    daemon.runs_end()
    daemon.cursor = None
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    daemon.tick()
    after = {request.run_key for request in daemon.tick().run_requests}
    assert len(after) == len(before) == 3
    assert not after & before

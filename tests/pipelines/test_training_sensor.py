"""`retrain_sensor` and `weekly_retrain` as functions: when they ask, and that one training is asked for at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mediafm.config import Config
from mediafm.steps.workspace import Workspace
from mediafm_pipelines.definitions import build_defs
from mediafm_pipelines.instance import instance_settings
from mediafm_pipelines.sensor_training import SECONDS_PER_HOUR, retrain_sensor
from tests.pipelines.ticks import Ticks
from tests.unit.steps.conftest import PROFILE
from tests.unit.steps.grown_root import put_titles, train

HOURS = 2.0


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "fake.toml").write_text(PROFILE)
    drift = {"min_groups": 8, "num_permutations": 199}
    retrain = {"min_titles": 5, "min_hours_between": HOURS, "drift": drift}
    settings: dict[str, Any] = {"root": str(tmp_path / "root"), "profile": str(tmp_path / "fake.toml")}
    return Config.model_validate({**settings, "device": "cpu", "automation": {"retrain": retrain}})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trained(config: Config) -> Config:
    """Twelve titles, and a champion that was trained on them."""
    with Workspace.open(config) as work:
        put_titles(work, 0, 12)
        train(work)
    return config


def grow(config: Config, first: int, last: int, moved: float = 0.0) -> None:
    with Workspace.open(config) as work:
        put_titles(work, first, last, moved=moved)


def asks(instance: dg.DagsterInstance, config: Config, clock: Clock) -> Ticks:
    """Ticks of a sensor whose clock is ours."""
    ticks = Ticks(instance, config, "retrain_sensor")
    sensors = [each for each in ticks.definitions.sensors or () if each.name != "retrain_sensor"]
    ticks.definitions = dg.Definitions(
        assets=ticks.definitions.assets,
        jobs=ticks.definitions.jobs,
        sensors=[*sensors, retrain_sensor(config, clock)],
        resources=ticks.definitions.resources,
        executor=ticks.definitions.executor,
    )
    return ticks


def test_enough_new_titles_are_asked_for_once(instance: dg.DagsterInstance, trained: Config, clock: Clock) -> None:
    ticks = asks(instance, trained, clock)
    assert "0 new" in ticks.tick().skip_message
    grow(trained, 12, 17)
    (request,) = ticks.tick().run_requests
    assert request.tags["mediafm/reason"].startswith("5 new, 0 changed")
    run = instance.get_runs(filters=dg.RunsFilter(job_name="retrain_job"))[0]
    assert ticks.tick().skip_message == f"run {run.run_id} trains"


def test_a_training_that_failed_is_asked_for_again_but_not_at_once(
    instance: dg.DagsterInstance, trained: Config, clock: Clock
) -> None:
    ticks = asks(instance, trained, clock)
    grow(trained, 12, 17)
    first = ticks.tick().run_requests[0]
    ticks.runs_end()
    clock.seconds += SECONDS_PER_HOUR
    assert "was asked for 1.0 hours ago" in ticks.tick().skip_message
    clock.seconds += HOURS * SECONDS_PER_HOUR
    (again,) = ticks.tick().run_requests
    assert again.run_key != first.run_key


def test_it_waits_for_ingest_but_not_for_ever(instance: dg.DagsterInstance, trained: Config, clock: Clock) -> None:
    ticks = asks(instance, trained, clock)
    grow(trained, 12, 17)
    ticks.begin("ingest_job")
    assert "waits for ingest runs: 1" in ticks.tick().skip_message
    clock.seconds += HOURS * SECONDS_PER_HOUR - 1
    assert "waits for ingest runs: 1" in ticks.tick().skip_message
    clock.seconds += 1
    assert len(ticks.tick().run_requests) == 1


def test_few_titles_that_drifted_are_reason_enough_and_are_looked_at_once(
    instance: dg.DagsterInstance, trained: Config, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = {**trained.automation.retrain.model_dump(), "min_titles": 100}
    config = trained.model_copy(update={"automation": trained.automation.model_validate({"retrain": patient})})
    ticks = asks(instance, config, clock)
    grow(config, 12, 22, moved=3.0)
    blocked = ticks.begin("ingest_job")
    found = ticks.tick()
    assert "mean of audio moved by" in found.skip_message
    assert json.loads(str(ticks.cursor))["looked"]["num_grown"] == 10
    monkeypatch.setattr("mediafm.steps.retraining.drift_of", None)  # it is remembered, not measured again
    assert blocked in [run.run_id for run in instance.get_runs()]
    ticks.runs_end()
    (request,) = ticks.tick().run_requests
    assert "audio" in request.tags["mediafm/reason"]


def test_titles_like_the_others_are_no_reason_and_not_looked_at_each_tick(
    instance: dg.DagsterInstance, trained: Config, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = {**trained.automation.retrain.model_dump(), "min_titles": 100}
    config = trained.model_copy(update={"automation": trained.automation.model_validate({"retrain": patient})})
    ticks = asks(instance, config, clock)
    grow(config, 12, 22)
    assert "10 new" in ticks.tick().skip_message
    monkeypatch.setattr("mediafm.steps.retraining.drift_of", None)
    grow(config, 22, 24)
    assert "12 new" in ticks.tick().skip_message, "too few more for another look"


def test_one_training_is_begun_at_a_time_whoever_asks(config: Config) -> None:
    """The queue holds back runs of one value of this tag."""
    key = "mediafm/exclusive"
    assert build_defs(config).resolve_job_def("retrain_job").tags[key] == "training"
    (limit,) = instance_settings("anywhere", 2)["concurrency"]["runs"]["tag_concurrency_limits"]
    assert limit == {"key": key, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}


def test_the_schedule_asks_unless_a_training_is_under_way(config: Config, tmp_path: Path) -> None:
    instance = dg.DagsterInstance.local_temp(str(tmp_path))  # a schedule opens its instance anew
    definitions = build_defs(config)
    schedule = definitions.resolve_schedule_def("weekly_retrain")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED

    def evaluate() -> Any:
        context = dg.build_schedule_context(instance, scheduled_execution_time=datetime(2030, 1, 6, 3, tzinfo=UTC))
        return schedule.evaluate_tick(context)

    (request,) = evaluate().run_requests
    assert request.tags["mediafm/requested_by"] == "weekly_retrain"
    instance.create_run_for_job(definitions.resolve_job_def("retrain_job"), status=dg.DagsterRunStatus.STARTED)
    assert "trains" in evaluate().skip_message

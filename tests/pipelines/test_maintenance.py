"""The jobs that look after a root, each run in this process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mediafm.automation import AutomationSettings, UpkeepSettings
from mediafm.config import Config
from mediafm.store.ledger import LedgerWriter
from mediafm.store.ledger_files import ledger_keys
from mediafm.store.store import Store
from mediafm.store.views import newest_rows
from mediafm.testing.stored_titles import RUN, make, point
from mediafm_pipelines.definitions import build_defs
from mediafm_pipelines.execution import QUIET_LOGGERS
from mediafm_pipelines.maintenance import part_of_the_day

TITLES = ("a", "b", "c")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = Config(root=str(tmp_path / "root"))
    store = Store(made.root_path)
    for title_id in TITLES:
        with LedgerWriter(store, RUN) as ledger:
            make(store, ledger, title_id)
    point(store)
    return made


def run(
    instance: dg.DagsterInstance, config: Config, job: str, **settings: int
) -> tuple[dict[str, Any], dg.DagsterRun]:
    """The output metadata of the job's one op, and its run."""
    op = job.removesuffix("_job")
    ops = {"ops": {op: {"config": settings}}} if settings else {}
    result = (
        build_defs(config)
        .resolve_job_def(job)
        .execute_in_process(instance=instance, run_config={**ops, **QUIET_LOGGERS})
    )
    (output,) = [event for event in result.all_events if event.is_step_success or event.is_successful_output][:1]
    found = output.step_output_data.metadata
    stored = instance.get_run_by_id(result.run_id)
    assert stored is not None
    return {name: value.value for name, value in found.items()}, stored


def test_the_ledger_is_merged_and_says_the_same(instance: dg.DagsterInstance, config: Config) -> None:
    store = Store(config.root_path)
    before = newest_rows(store, "titles")
    found, _ = run(instance, config, "compact_ledger_job")
    assert found["files_before"] > found["files_after"] == 1
    assert found["merged"]
    assert len(ledger_keys(store.files)) == 1
    assert newest_rows(store, "titles") == before
    again, _ = run(instance, config, "compact_ledger_job")
    assert not again["merged"]


def test_a_damaged_file_is_told_and_the_run_ends_well(instance: dg.DagsterInstance, config: Config) -> None:
    sound, _ = run(instance, config, "verify_store_job")
    assert (sound["found"], "first" in sound) == (0, False)
    store = Store(config.root_path)
    key = store.files.list_keys("store/spans")[0]
    with store.files.local_path(key).open("r+b") as file:
        file.write(b"X")
    found, stored = run(instance, config, "verify_store_job")
    assert found["found"] == 1
    assert key in found["first"]
    assert stored.status is dg.DagsterRunStatus.SUCCESS
    assert stored.tags["mediafm/found"] == "1"
    parts = [run(instance, config, "verify_store_job", parts=4, part=part)[0] for part in range(4)]
    assert sum(part["files"] for part in parts) == found["files"]
    assert sum(part["found"] for part in parts) == 1


def test_a_part_a_day_reads_everything_in_turn() -> None:
    days = [part_of_the_day(86_400.0 * day + 3_600, 7) for day in range(14)]
    assert sorted(days[:7]) == list(range(7))
    assert days[7:] == days[:7]


def test_a_lost_ledger_is_made_again_from_the_files(instance: dg.DagsterInstance, config: Config) -> None:
    store = Store(config.root_path)
    before = {row.title_id: row.fingerprint for row in newest_rows(store, "titles")}
    shutil.rmtree(config.root_path / "ledger")
    found, _ = run(instance, config, "rebuild_ledger_job")
    assert found["records_added"] > 0
    assert (found["damaged"], found["ambiguous_titles"]) == (0, 0)
    assert {row.title_id: row.fingerprint for row in newest_rows(store, "titles")} == before
    assert run(instance, config, "rebuild_ledger_job")[0]["records_added"] == 0


def test_the_daily_verification_reads_a_part(config: Config) -> None:
    settings = config.model_copy(update={"automation": AutomationSettings(upkeep=UpkeepSettings(verify_parts=3))})
    schedule = build_defs(settings).resolve_schedule_def("daily_verify")
    with dg.DagsterInstance.ephemeral() as instance:
        (request,) = schedule.evaluate_tick(dg.build_schedule_context(instance)).run_requests
        job = build_defs(settings).resolve_job_def("verify_store_job")
        result = job.execute_in_process(instance=instance, run_config={**request.run_config, **QUIET_LOGGERS})
    assert result.success
    (output,) = [event for event in result.all_events if event.is_successful_output]
    assert output.step_output_data.metadata["part"].value.endswith("of 3")

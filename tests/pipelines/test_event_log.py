"""Events in batches: what Dagster then says is what it says of events that were stored one by one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.events.log import EventLogEntry

from mediafm_pipelines import event_log
from mediafm_pipelines.event_log import BATCH_VARIABLE, BatchedEventLogStorage
from mediafm_pipelines.instance import instance_settings

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning", "ignore::dagster.BetaWarning"
)

TITLES = tuple(f"t{number}" for number in range(7))
KEYS = [dg.AssetKey("pictures"), dg.AssetKey("vectors")]


def graph() -> dg.Definitions:
    """Two assets over titles, and a check."""
    films = dg.DynamicPartitionsDefinition(name="titles")
    policy = dg.BackfillPolicy.single_run()

    @dg.asset(partitions_def=films, backfill_policy=policy)
    def pictures() -> dg.MaterializeResult:  # type: ignore[type-arg]
        return dg.MaterializeResult(data_version=dg.DataVersion("v1"), metadata={"titles": len(TITLES)})

    @dg.asset(partitions_def=films, backfill_policy=policy, deps=[pictures])
    def vectors() -> dg.MaterializeResult:  # type: ignore[type-arg]
        return dg.MaterializeResult(data_version=dg.DataVersion("v2"))

    @dg.asset_check(asset=vectors)
    def are_sound() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return dg.Definitions(assets=[pictures, vectors], asset_checks=[are_sound])


@pytest.fixture(autouse=True)
def variable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What instances put into the environment is taken out again."""
    monkeypatch.setenv(BATCH_VARIABLE, "0")
    monkeypatch.delenv(BATCH_VARIABLE)
    yield
    os.environ.pop(BATCH_VARIABLE, None)


def run_at(folder: Path) -> tuple[dg.DagsterInstance, str]:
    """The graph over all titles, on an instance of its own."""
    folder.mkdir()
    (folder / "dagster.yaml").write_text(yaml.safe_dump(instance_settings(str(folder), 1)))
    instance = dg.DagsterInstance.from_config(str(folder))
    instance.add_dynamic_partitions("titles", list(TITLES))
    tags = {"dagster/asset_partition_range_start": TITLES[0], "dagster/asset_partition_range_end": TITLES[-1]}
    job = graph().resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=instance, tags=tags)
    assert result.success
    return instance, result.run_id


def told(instance: dg.DagsterInstance, run_id: str) -> dict[str, Any]:
    """Everything that the UI asks of a run and its assets, without times and numbers."""
    storage = instance.event_log_storage
    kinds = Counter(str(entry.dagster_event_type) for entry in instance.all_logs(run_id))
    record = storage.get_asset_check_execution_history(dg.AssetCheckKey(dg.AssetKey("vectors"), "are_sound"), limit=5)
    found: dict[str, Any] = {"kinds": kinds, "checks": [one.status for one in record]}
    for key in KEYS:
        newest = instance.get_latest_materialization_event(key)
        assert newest is not None
        assert newest.dagster_event is not None
        events = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=key), limit=100).records
        found[key.to_user_string()] = {
            "partitions": instance.get_materialized_partitions(key),
            "planned": storage.get_latest_storage_id_by_partition(
                key, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, partitions=None
            ).keys(),
            "versions": storage.get_latest_tags_by_partition(
                key, dg.DagsterEventType.ASSET_MATERIALIZATION, tag_keys=["dagster/data_version"]
            ),
            "newest": newest.dagster_event.partition,
            "metadata": sorted((str(one.partition_key), sorted(one.asset_materialization.metadata)) for one in events),
            "is_last_run": [one.asset_entry.last_run_id == run_id for one in instance.get_asset_records([key])],
        }
    return found


def test_a_run_in_batches_is_told_as_one_event_by_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_batches = told(*run_at(tmp_path / "batches"))
    assert os.environ[BATCH_VARIABLE] == str(event_log.MAX_BATCH_EVENTS)
    monkeypatch.setenv(BATCH_VARIABLE, "0")
    assert in_batches == told(*run_at(tmp_path / "singly"))
    assert in_batches["kinds"][str(dg.DagsterEventType.ASSET_MATERIALIZATION)] == 2 * len(TITLES)
    assert in_batches["vectors"]["partitions"] == set(TITLES)


def test_the_partitions_of_a_step_are_stored_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[int] = []

    class Counting(BatchedEventLogStorage):
        def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
            stored.append(len(events))
            super().store_event_batch(events)

    monkeypatch.setattr(event_log, "BatchedEventLogStorage", Counting)
    run_at(tmp_path / "counted")
    assert stored == [2 * len(TITLES) + 1, len(TITLES), len(TITLES)], "announced with the check, then each asset's"


def test_an_environment_that_says_otherwise_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BATCH_VARIABLE, "3")
    event_log.write_events_in_batches()
    assert os.environ[BATCH_VARIABLE] == "3"


def test_a_root_of_dagsters_own_storage_goes_on_in_batches(tmp_path: Path) -> None:
    folder = tmp_path / "older"
    folder.mkdir()
    settings = instance_settings(str(folder), 1)
    (folder / "dagster.yaml").write_text(yaml.safe_dump({**settings, "storage": {"sqlite": {"base_dir": str(folder)}}}))
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        instance.add_dynamic_partitions("titles", ["old"])
        instance.report_runless_asset_event(dg.AssetMaterialization("pictures", partition="old"))
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert isinstance(instance.event_log_storage, BatchedEventLogStorage)
        assert instance.get_dynamic_partitions("titles") == ["old"]
        assert instance.get_materialized_partitions(dg.AssetKey("pictures")) == {"old"}

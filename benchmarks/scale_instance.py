"""A Dagster instance as thousands of runs would leave it: partitions, runs and their events, written in bulk.

Each event is made by Dagster's own classes once an asset, and copied for every title, so that a seeded instance reads
as a grown one: each partition was announced and materialised, by a run over a range of titles.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from mediafm_pipelines.jobs import INGEST_JOB
from mediafm_pipelines.partitions import contiguous_ranges

ANY_TITLE = "the-title-whose-event-is-copied"
ANY_RUN = "00000000-0000-4000-8000-000000000000"
TITLES_PER_RUN = 64
ROWS_AT_ONCE = 5000
METADATA = {"titles_ok": TITLES_PER_RUN, "titles_made": TITLES_PER_RUN, "coverage": "| title | shots |\n" * 20}


def seed_instance(instance: dg.DagsterInstance, title_ids: Sequence[str], versions: Mapping[str, str]) -> int:
    """Makes `title_ids` partitions, announced and materialised for each asset; how many events that were.

    Args:
        versions: the data version of each asset.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"{type(storage).__name__} is no SQL storage")
    instance.add_dynamic_partitions("titles", list(title_ids))
    run_of = _add_runs(instance, title_ids, list(versions))
    num_events = 0
    for asset, version in versions.items():
        for event in (_planned(asset), _materialized(asset, version)):
            num_events += len(title_ids)
            _copy(storage, event, title_ids, run_of)
        storage.store_event(_for_title(_materialized(asset, version), title_ids[-1], run_of[title_ids[-1]]))
    return num_events


def _add_runs(instance: dg.DagsterInstance, title_ids: Sequence[str], assets: Sequence[str]) -> dict[str, str]:
    """A finished run over each range of titles; the run of each title."""
    run_of = {}
    for titles in contiguous_ranges(title_ids, title_ids, TITLES_PER_RUN):
        run = dg.DagsterRun(
            job_name=INGEST_JOB,
            status=dg.DagsterRunStatus.SUCCESS,
            tags=titles.tags,
            asset_selection=frozenset(dg.AssetKey(asset) for asset in assets),
        )
        instance.add_run(run)
        run_of.update(dict.fromkeys(titles.title_ids, run.run_id))
    return run_of


def _copy(
    storage: SqlEventLogStorage, event: EventLogEntry, title_ids: Sequence[str], run_of: Mapping[str, str]
) -> None:
    """The event for every title, in the index of all runs, with its tags."""
    template = storage._event_to_row(event)
    tags = storage._tags_for_asset_event(event)
    with storage.index_transaction() as connection:
        for rows in _chunks([_row(template, title_id, run_of[title_id]) for title_id in title_ids]):
            connection.execute(SqlEventLogStorageTable.insert(), rows)
        if tags:
            found = connection.execute(
                SqlEventLogStorageTable.select()
                .with_only_columns(SqlEventLogStorageTable.c.id, SqlEventLogStorageTable.c.timestamp)
                .where(SqlEventLogStorageTable.c.asset_key == template["asset_key"])
                .where(SqlEventLogStorageTable.c.dagster_event_type == template["dagster_event_type"])
            ).fetchall()
            of_event = {"asset_key": template["asset_key"]}
            told = [
                {**of_event, "event_id": event_id, "event_timestamp": moment, "key": key, "value": value}
                for event_id, moment in found
                for key, value in tags.items()
            ]
            for rows in _chunks(told):
                connection.execute(AssetEventTagsTable.insert(), rows)


def _row(template: Mapping[str, Any], title_id: str, run_id: str) -> dict[str, Any]:
    event = template["event"].replace(ANY_TITLE, title_id).replace(ANY_RUN, run_id)
    return {**template, "event": event, "partition": title_id, "run_id": run_id}


def _chunks(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]


def _planned(asset: str) -> EventLogEntry:
    data = AssetMaterializationPlannedData(dg.AssetKey(asset), partition=ANY_TITLE)
    return _entry(asset, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, data)


def _materialized(asset: str, version: str) -> EventLogEntry:
    made = dg.AssetMaterialization(
        asset, partition=ANY_TITLE, tags={"dagster/data_version": version}, metadata=METADATA
    )
    return _entry(asset, dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(made, []))


def _entry(asset: str, kind: dg.DagsterEventType, data: Any) -> EventLogEntry:
    event = DagsterEvent(kind.value, job_name=INGEST_JOB, step_key=asset, event_specific_data=data, message="seeded")
    return EventLogEntry(
        error_info=None,
        level=20,
        user_message="",
        run_id=ANY_RUN,
        timestamp=time.time(),
        step_key=asset,
        job_name=INGEST_JOB,
        dagster_event=event,
    )


def _for_title(event: EventLogEntry, title_id: str, run_id: str) -> EventLogEntry:
    text = dg.serialize_value(event).replace(ANY_TITLE, title_id).replace(ANY_RUN, run_id)
    return dg.deserialize_value(text, EventLogEntry)

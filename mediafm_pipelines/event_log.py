"""Dagster's SQLite storage, with the events of a whole step written at once.

Belongs here: how events reach SQLite. Does not belong here: which events there are, or where the files lie.

A step over a range of titles announces and materialises one partition a title. Dagster's own SQLite storage writes
each of these events in three transactions, each of which waits for the disk: a run of 64 titles spent most of its time
in them. Here a batch is two transactions, one in the run's file and one in the index. Files and tables are Dagster's
own, so that a root may be opened by either.
"""

import os
from collections.abc import Sequence

import dagster as dg
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, BATCH_WRITABLE_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

BATCH_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
"""By which Dagster is told, in each process of its own, to hand events to its storage in batches."""
MAX_BATCH_EVENTS = 2000
"""More than the events that a run of the usual 64 titles announces; a larger run's come in several batches."""


def write_events_in_batches() -> None:
    """From here on in this process and those that it starts, unless the environment says otherwise."""
    os.environ.setdefault(BATCH_VARIABLE, str(MAX_BATCH_EVENTS))


class BatchedEventLogStorage(SqliteEventLogStorage):
    """Stores a batch of partitions' events in two transactions."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Stores what Dagster hands over together: events of one run that it allows in batches.

        If it raises, Dagster stores each event alone; those in the run's file may then stand there twice.
        """
        kinds = [event.dagster_event_type for event in events]
        if len({event.run_id for event in events}) != 1 or not set(kinds) <= BATCH_WRITABLE_EVENTS:
            super().store_event_batch(events)
            return
        with self.run_connection(events[0].run_id) as connection:
            connection.execute(SqlEventLogStorageTable.insert(), [self._event_to_row(event) for event in events])
        self._index_assets([event for event, kind in zip(events, kinds, strict=True) if kind in ASSET_EVENTS])
        for event, kind in zip(events, kinds, strict=True):
            if kind in ASSET_CHECK_EVENTS:
                self._index_check(event)

    def _index_assets(self, events: Sequence[EventLogEntry]) -> None:
        """The events in the index of all runs; the table of assets keeps the last of each asset and kind alone."""
        if not events:
            return
        with self.index_transaction() as connection:
            rows = [self._event_to_row(event) for event in events]
            insert = SqlEventLogStorageTable.insert()
            ids = [int(connection.execute(insert, row).inserted_primary_key[0]) for row in rows]
            self._store_asset_event_tags(connection, events, ids)
            last = {}
            for event, event_id in zip(events, ids, strict=True):
                last[(_asset_key(event), event.dagster_event_type)] = (event, event_id)
            for event, event_id in last.values():
                self._store_asset_event(connection, event, event_id)

    def _index_check(self, event: EventLogEntry) -> None:
        with self.index_connection() as connection:
            event_id = connection.execute(self.prepare_insert_event(event)).inserted_primary_key[0]
        self.store_asset_check_event(event, event_id)


class BatchedSqliteStorage(DagsterSqliteStorage):
    """`DagsterSqliteStorage` whose event log is a `BatchedEventLogStorage`; named in `dagster.yaml`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None):
        super().__init__(base_dir, inst_data)
        self._event_log_storage = BatchedEventLogStorage(os.path.join(base_dir, "history", "runs", ""))
        write_events_in_batches()

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: dict[str, str]
    ) -> "BatchedSqliteStorage":
        return cls.from_local(inst_data=inst_data, **config_value)


def _asset_key(event: EventLogEntry) -> dg.AssetKey | None:
    return event.dagster_event.asset_key if event.dagster_event is not None else None

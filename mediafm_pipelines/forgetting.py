"""Forgetting a title where Dagster keeps something of it: its partition, and the metadata of its events.

Belongs here: Dagster's part of `mediafm forget`. Does not belong here: the root's files (`mediafm.steps.forgetting`).

Dagster has no call that deletes one partition's events from SQLite, so their rows are rewritten in its tables: the
events stay, with their times and data versions, and their metadata goes (pictures of shots, numbers, reasons).
"""

import json
from dataclasses import dataclass
from typing import Any

import dagster as dg
from sqlalchemy import literal, select, text
from sqlalchemy.engine import Connection

from mediafm.config import Config
from mediafm_pipelines.instance import open_instance

PARTITIONS = "titles"


def forget_title(config: Config, title_id: str, *, reason: str = "", override_hold: bool = False) -> Any:
    """The `mediafm.steps.forgetting.Forgotten` of a title. Raises as `forget` does."""
    from mediafm.steps.forgetting import forget
    from mediafm.steps.workspace import Workspace

    def elsewhere(name: str) -> list[str]:
        with open_instance(config) as instance:
            return forget_in_dagster(instance, name)

    with Workspace.open(config) as work:
        return forget(work, title_id, reason=reason, override_hold=override_hold, elsewhere=elsewhere)


def forget_in_dagster(instance: dg.DagsterInstance, title_id: str) -> list[str]:
    """Deletes the partition, and the metadata of its events; one sentence about each. May be done twice."""
    done = []
    if title_id in instance.get_dynamic_partitions(PARTITIONS):
        instance.delete_dynamic_partition(PARTITIONS, title_id)
        done.append("the partition in Dagster")
    storage: Any = instance.event_log_storage  # the SQL ones alone have these connections, and we configure no other
    with storage.index_connection() as connection:
        run_ids = _runs_about(connection, title_id)
        num_events = _rewrite(connection, _events(), title_id)
        num_events += _rewrite(connection, _last_events(), title_id)
    for run_id in run_ids:
        with storage.run_connection(run_id) as connection:
            num_events += _rewrite(connection, _events(), title_id)
    if num_events:
        done.append(f"the metadata of {num_events} events in Dagster")
    return done


@dataclass(frozen=True)
class _Events:
    """Where events stand as JSON: rows of a table, in one column. partition: of the event, if the table tells it."""

    table: Any
    key: Any
    event: Any
    partition: Any


def _events() -> _Events:
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

    columns = SqlEventLogStorageTable.c
    return _Events(SqlEventLogStorageTable, columns.id, columns.event, columns.partition)


def _last_events() -> _Events:
    """The copy of each asset's last materialisation."""
    from dagster._core.storage.event_log.schema import AssetKeyTable

    return _Events(AssetKeyTable, AssetKeyTable.c.id, AssetKeyTable.c.last_materialization, literal(None))


def _runs_about(connection: Connection, title_id: str) -> list[str]:
    """Runs whose own database holds copies of these events; on Postgres the one database holds all."""
    table = _events().table
    found = connection.execute(select(table.c.run_id).where(_mention(_events(), title_id)).distinct())
    return sorted(row[0] for row in found if row[0])


def _rewrite(connection: Connection, events: _Events, title_id: str) -> int:
    """Empties the metadata that concerns the title; how many events that changed."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA secure_delete = ON"))  # what is replaced is overwritten on disk
    changed = 0
    found = connection.execute(select(events.key, events.event).where(_mention(events, title_id))).fetchall()
    for row_key, event in found:
        parsed = json.loads(event)
        if scrub(parsed, title_id):
            update = events.table.update().where(events.key == row_key)
            connection.execute(update.values({events.event.name: json.dumps(parsed)}))
            changed += 1
    return changed


def _mention(events: _Events, title_id: str) -> Any:
    """The condition that an event may hold metadata of the title: as its partition, or by the name of a label."""
    quoted = f'"partition": "{title_id}"'
    label = f'_{title_id}"'
    by_text = events.event.contains(quoted, autoescape=True) | events.event.contains(label, autoescape=True)
    return by_text | (events.partition == title_id)


def scrub(part: Any, title_id: str) -> bool:
    """Removes from an event's JSON the metadata of the title's partition, and entries labelled `<what>_<title>`.

    Returns:
        Whether anything was removed.
    """
    changed = False
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        changed |= scrub(each, title_id)
    entries = part.get("metadata_entries") if isinstance(part, dict) else None
    if isinstance(entries, list):
        is_own = part.get("partition") == title_id
        kept = [each for each in entries if not (is_own or str(each.get("label")).endswith(f"_{title_id}"))]
        changed |= len(kept) < len(entries)
        part["metadata_entries"] = kept
    return changed

"""Runs whose process is gone: found, marked as failed, their pool slots freed.

Dagster frees the slots of finished runs only, and late, and its monitor leaves runs of our CLI alone: without this a
killed `mediafm run` would show as running, and block the next one, for ever. Of runs that the daemon started the server
of the code location sees the end, unless it ends with them.
"""

import errno
import json
import socket

import dagster as dg
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.tags import GRPC_INFO_TAG

from mediafm_pipelines import tags

UNFINISHED = (
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.CANCELING,
    dg.DagsterRunStatus.NOT_STARTED,
)
ENDED_BADLY = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def is_orphan(run_tags: dict[str, str], host: str, boot_id: str) -> bool:
    """True if the run began in a process of this host that no longer lives. Other hosts' runs are left alone."""
    if tags.PID not in run_tags or run_tags.get(tags.HOST) != host:
        return False
    if run_tags.get(tags.BOOT_ID) != boot_id:
        return True
    return tags.process_start(int(run_tags[tags.PID])) != run_tags.get(tags.PROCESS_START)


def claim_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Tags the run that this process works for with this process, where that was not done when it was created."""
    here = tags.process_tags()
    if _names_process_of(run) and here.items() <= run.tags.items():
        return
    instance.add_run_tags(run.run_id, {**here, tags.PROCESS_OF: run.run_id})


def _names_process_of(run: dg.DagsterRun) -> bool:
    """Whether the tags speak of this run's process: they may be its parent's, which it was made from."""
    return run.parent_run_id is None or run.tags.get(tags.PROCESS_OF) == run.run_id


def _lost_its_server(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run of the daemon ended with the server of its code location before its first step claimed it.

    Asked only where all runs are this machine's, as SQLite's are: the server's socket says nothing of another machine.
    """
    place = json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("socket")
    is_local = isinstance(instance.run_storage, SqliteRunStorage)
    if run.status is not dg.DagsterRunStatus.STARTED or place is None or not is_local:
        return False
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(place) in (errno.ENOENT, errno.ECONNREFUSED)


def fail_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Marks every orphaned run as failed and frees its pool slots; returns the runs' ids.

    Slots that a run left which somebody else marked are freed too: the daemon would after minutes, and nobody without
    one.
    """
    host, boot_id = socket.gethostname(), tags.boot_id()
    found = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=list(UNFINISHED))):
        is_claimed = tags.PID in run.tags and _names_process_of(run)
        if is_claimed and is_orphan(dict(run.tags), host, boot_id):
            reason = f"The process of this run (pid {run.tags[tags.PID]}) is gone: it was killed."
        elif not is_claimed and _lost_its_server(instance, run):
            reason = "The server that began this run is gone, and no step of it had begun."
        else:
            continue
        instance.report_run_failed(run, reason)
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        found.append(run.run_id)
    _free_slots_of_the_dead(instance, host, boot_id)
    return found


def _free_slots_of_the_dead(instance: dg.DagsterInstance, host: str, boot_id: str) -> None:
    """Of runs that ended otherwise than well, and whose process is gone."""
    storage = instance.event_log_storage
    holders = storage.get_concurrency_run_ids() if storage.supports_global_concurrency_limits else set()
    if not holders:
        return
    for run in instance.get_runs(filters=dg.RunsFilter(run_ids=sorted(holders), statuses=list(ENDED_BADLY))):
        if _names_process_of(run) and is_orphan(dict(run.tags), host, boot_id):
            storage.free_concurrency_slots_for_run(run.run_id)

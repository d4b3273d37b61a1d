"""Runs that are queued or under way, and what they are at.

Belongs here: questions to Dagster's instance about unfinished runs. Does not belong here: what follows from them.
"""

from collections.abc import Iterable, Sequence

import dagster as dg

UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
RANGE_START, RANGE_END, PARTITION = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
    "dagster/partition",
)


def unfinished_runs(instance: dg.DagsterInstance) -> Sequence[dg.DagsterRun]:
    """All runs of the instance that did not end, however they began."""
    return instance.get_runs(filters=dg.RunsFilter(statuses=list(UNFINISHED)))


def titles_of(run: dg.DagsterRun, registered: Sequence[str]) -> Sequence[str]:
    """The titles that a run covers; none for a run without partitions."""
    if PARTITION in run.tags:
        return [run.tags[PARTITION]]
    start, end = run.tags.get(RANGE_START), run.tags.get(RANGE_END)
    if start not in registered or end not in registered:
        return []
    return registered[registered.index(start) : registered.index(end) + 1]


def titles_in_flight(runs: Iterable[dg.DagsterRun], registered: Sequence[str]) -> set[str]:
    """Every title that one of these runs covers."""
    return {title_id for run in runs for title_id in titles_of(run, registered)}


def makes(run: dg.DagsterRun, job: str, asset: str) -> bool:
    """Whether the run is one of `job`, or of any other that was asked for `asset` by name."""
    selected = run.asset_selection or ()
    return run.job_name == job or dg.AssetKey(asset) in selected

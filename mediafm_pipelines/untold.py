"""Titles whose values are on record although Dagster was never told: their run died in between.

Belongs here: finding them. Does not belong here: telling it, which a run over them does that has nothing else to do.
"""

from collections.abc import Sequence

import dagster as dg

from mediafm.store.store import Store
from mediafm.types import TitleState

DATA_VERSION = "dagster/data_version"
DEAD = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def untold_titles(
    instance: dg.DagsterInstance, store: Store, asset: str, version: str, title_ids: Sequence[str] | None = None
) -> list[str]:
    """The ids of titles whose newest value of `asset`'s table a dead run of this instance made, unknown to Dagster.

    What runs of another instance made (a root in a bucket that several machines share) is not asked about.

    Args:
        version: the data version that Dagster should know: the producer, of contextual vectors the checkpoint.
        title_ids: who is asked about; all titles unless given.
    """
    from mediafm.store.views import newest_rows

    dead = {run.run_id for run in instance.get_runs(filters=dg.RunsFilter(statuses=list(DEAD)))}
    if not dead:
        return []
    made = [
        row.title_id
        for row in newest_rows(store, asset, title_ids)
        if row.state is TitleState.OK and row.run_id in dead and (row.checkpoint_sha256 or row.producer_id) == version
    ]
    if not made:
        return []
    told = instance.event_log_storage.get_latest_tags_by_partition(
        dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION], asset_partitions=made
    )
    return [title_id for title_id in made if told.get(title_id, {}).get(DATA_VERSION) != version]

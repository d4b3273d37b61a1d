"""What a killed run made and Dagster never heard of is found; everything else is left alone."""

from __future__ import annotations

import dagster as dg
import pytest

from mediafm.store.store import Store
from mediafm.store.views import newest_rows
from mediafm_pipelines.catalog_run import CatalogRun
from mediafm_pipelines.untold import DATA_VERSION, untold_titles

ASSET = "fused_embeddings"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(dg.DagsterRunStatus.FAILURE, True), (dg.DagsterRunStatus.CANCELED, True), (dg.DagsterRunStatus.SUCCESS, False)],
)
def test_values_of_a_dead_run_are_untold_until_dagster_hears_of_them(
    finished: CatalogRun, status: dg.DagsterRunStatus, expected: bool
) -> None:
    store = Store(finished.config.root_path)
    rows = newest_rows(store, ASSET)
    version, made = rows[0].producer_id, [row.title_id for row in rows]

    @dg.job
    def ingest() -> None:
        """What was killed."""

    with dg.DagsterInstance.ephemeral() as instance:
        assert untold_titles(instance, store, ASSET, version) == []
        instance.create_run_for_job(ingest, run_id=rows[0].run_id, status=status)
        assert untold_titles(instance, store, ASSET, version) == (made if expected else [])
        assert untold_titles(instance, store, ASSET, "another producer") == []
        assert untold_titles(instance, store, ASSET, version, made[:2]) == (made[:2] if expected else [])
        for title_id, said in ((made[0], version), (made[1], "an older one")):
            event = dg.AssetMaterialization(ASSET, partition=title_id, tags={DATA_VERSION: said})
            instance.report_runless_asset_event(event)
        assert untold_titles(instance, store, ASSET, version) == (made[1:] if expected else [])

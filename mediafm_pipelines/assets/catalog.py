"""The catalogue's assets: titles taken in.

Belongs here: `raw_titles`. Does not belong here: how a catalogue is read (`mediafm.catalog`) or media probed.
"""

import dagster as dg

from mediafm_pipelines.graph import Graph
from mediafm_pipelines.materialize import title_result
from mediafm_pipelines.resources import WorkspaceResource


def catalog_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    @dg.asset(
        **graph.title_asset("catalog", kinds={"ffmpeg", "parquet"}),
        code_version=graph.code_version("raw_titles"),
        description="Each title's file probed: checksum, streams, duration, metadata, timed-text files; or quarantined "
        "with the reason. An unchanged file is not opened again.",
    )
    def raw_titles(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.catalogs import listed_titles
        from mediafm.steps.titles import take_in

        with workspace.open(context) as work:
            listed, vanished = listed_titles(work, context.partition_keys)
            report = take_in(work, listed, vanished)
            version = work.producer_ids["titles"]
        return title_result(context, report, version)

    return [raw_titles]

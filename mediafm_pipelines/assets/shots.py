"""The shots of each title: spans, kept frames and timed text by shot.

Belongs here: `shots` and its contact sheet. Does not belong here: detectors, decoding.
"""

import dagster as dg

from mediafm_pipelines.graph import Graph
from mediafm_pipelines.materialize import MAX_PICTURED_TITLES, Metadata, picture, title_result
from mediafm_pipelines.resources import WorkspaceResource


def shots_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    @dg.asset(
        **graph.title_asset("shots", kinds={"ffmpeg", "parquet"}),
        deps=["raw_titles"],
        code_version=graph.code_version("shots"),
        description="Each title cut into shots in one decode: `spans`, `frames` (JPEG), `cues` (timed text by shot), "
        "each with its own fingerprint: a corrected SRT moves only the cues.",
    )
    def shots(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.lineage.fingerprint import fingerprint, short
        from mediafm.steps.runner import run_step
        from mediafm.steps.shots import ShotsStep, title_contact_sheet

        with workspace.open(context) as work:
            titles = work.titles(context.partition_keys)
            report = run_step(work, ShotsStep(work), titles)
            version = short(fingerprint([work.producer_ids[table] for table in ShotsStep.tables]))
            sheets: Metadata = {}
            if len(titles) <= MAX_PICTURED_TITLES:
                for title in titles:
                    sheet = title_contact_sheet(work, title)
                    if sheet:
                        sheets[f"contact_sheet_{title.title_id}"] = picture(sheet, f"shots of {title.title_id}")
        return title_result(context, report, version, sheets)

    return [shots]

"""The shots of each title: spans, kept frames and timed text by shot.

Belongs here: `shots` and its contact sheet. Does not belong here: detectors, decoding.
"""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from mediafm_pipelines.graph import Graph
from mediafm_pipelines.materialize import (
    MAX_OBSERVED_TITLES,
    MAX_PICTURED_TITLES,
    Metadata,
    picture,
    title_result,
)
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
        from mediafm.steps.contact_sheets import draw_contact_sheets
        from mediafm.steps.runner import run_step
        from mediafm.steps.shots import ShotsStep

        with workspace.open(context) as work:
            titles = work.titles(context.partition_keys)
            report = run_step(work, ShotsStep(work), titles)
            version = short(fingerprint([work.producer_ids[table] for table in ShotsStep.tables]))
            sheets = draw_contact_sheets(work, titles)
        return title_result(context, report, version, _pictures(context, sheets))

    return [shots]


def _pictures(context: dg.AssetExecutionContext, sheets: Mapping[str, Path]) -> Metadata:
    """Contact sheets: in the result of a run of a few titles, else each on its own partition, else their folder."""
    if len(sheets) > MAX_OBSERVED_TITLES:
        return {"contact_sheets": dg.MetadataValue.path(next(iter(sheets.values())).parent)}
    pictures = {title_id: picture(file.read_bytes(), f"shots of {title_id}") for title_id, file in sheets.items()}
    if len(sheets) <= MAX_PICTURED_TITLES:
        return {f"contact_sheet_{title_id}": sheet for title_id, sheet in pictures.items()}
    for title_id, sheet in pictures.items():
        context.log_event(dg.AssetObservation(context.asset_key, partition=title_id, metadata={"contact_sheet": sheet}))
    return {"contact_sheets": dg.MetadataValue.path(next(iter(sheets.values())).parent)}

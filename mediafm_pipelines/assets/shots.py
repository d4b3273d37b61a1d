"""The shots of each title: spans, kept frames and timed text by shot; and what is spoken where nobody wrote it down.

Belongs here: `shots` and its contact sheet, `transcripts`. Does not belong here: detectors, decoding, transcribers.
"""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from mediafm.shots.registry import NETWORKS
from mediafm_pipelines.graph import Graph
from mediafm_pipelines.materialize import (
    MAX_OBSERVED_TITLES,
    Metadata,
    other_spaces_metadata,
    picture,
    title_result,
)
from mediafm_pipelines.resources import WorkspaceResource


def shots_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    @dg.asset(
        **graph.title_asset("shots", kinds={"ffmpeg", "parquet"}, needs_gpu=graph.profile.detector.name in NETWORKS),
        deps=["raw_titles", *(["transcripts"] if graph.profile.transcriber else [])],
        code_version=graph.code_version("shots"),
        description="Each title cut into shots in one decode: `spans`, `frames` (JPEG), `cues` (timed text by shot), "
        "each with its own fingerprint: a corrected SRT moves only the cues.",
    )
    def shots(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.lineage.fingerprint import fingerprint, short
        from mediafm.steps.contact_sheets import draw_contact_sheets, sheets_folder
        from mediafm.steps.shots import ShotsStep, shots_steps
        from mediafm.steps.spaces import run_in_spaces

        with workspace.open(context) as work:
            made = run_in_spaces(work, lambda place: [ShotsStep(place)], context.partition_keys, shots_steps)
            version = short(fingerprint([work.producer_ids[table] for table in ShotsStep.tables]))
            sheets = draw_contact_sheets(work, work.titles(context.partition_keys))
        folder = {"contact_sheets": dg.MetadataValue.path(sheets_folder(work))}
        metadata: Metadata = {**folder, **other_spaces_metadata(made.markdown())}
        return title_result(context, made.report, version, metadata, _pictures(sheets))

    return [*([_transcripts_asset(graph)] if graph.profile.transcriber else []), shots]


def _transcripts_asset(graph: Graph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.title_asset("shots", kinds={"torch", "ffmpeg", "parquet"}, needs_gpu=True),
        deps=["raw_titles"],
        code_version=graph.code_version("transcripts"),
        description="`words` with times and confidences, written down from the sound of titles that have no timed text "
        "of their own (the others have none here). They are a machine's guess, no captions: `source = 'asr'`.",
    )
    def transcripts(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.coverage import transcripts_markdown
        from mediafm.steps.runner import run_step
        from mediafm.steps.transcripts import TranscriptsStep

        with workspace.open(context) as work:
            titles = work.titles(context.partition_keys)
            report = run_step(work, TranscriptsStep(work), titles)
            work.ledger.flush()
            table = transcripts_markdown(work, titles)
            version = work.producer_ids["words"]
        return title_result(context, report, version, {"transcribed": dg.MetadataValue.md(table)})

    return transcripts


def _pictures(sheets: Mapping[str, Path]) -> dict[str, Metadata]:
    """Each title's contact sheet; none in runs of so many titles that they would fill Dagster's database."""
    if len(sheets) > MAX_OBSERVED_TITLES:
        return {}
    return {title: {"contact_sheet": picture(file.read_bytes(), f"shots of {title}")} for title, file in sheets.items()}

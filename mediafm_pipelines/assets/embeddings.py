"""The embeddings of each title: unimodal, metadata, fused, contextual.

Belongs here: the six embedding assets. Does not belong here: encoders, fusion, the model.
"""

from typing import Any

import dagster as dg

from mediafm.types import Modality
from mediafm_pipelines.graph import Graph
from mediafm_pipelines.materialize import title_result
from mediafm_pipelines.resources import WorkspaceResource

UNIMODAL = {
    "video_embeddings": (
        Modality.VIDEO,
        "shots",
        "The kept frames of each shot by the profile's frozen video encoder.",
    ),
    "audio_embeddings": (Modality.AUDIO, "shots", "Each shot's own sound by the profile's frozen audio encoder."),
    "text_embeddings": (Modality.TEXT, "shots", "Each shot's timed text by the profile's frozen text encoder."),
    "metadata_embeddings": (
        Modality.TEXT,
        "raw_titles",
        "Each title's metadata by the profile's text encoder: what [GLOBAL] reads.",
    ),
}
KINDS = {"openai-": "openai", "hf-": "huggingface", "lite-": "numpy", "imported": "file", "none": "file"}
"""What the UI shows on an embedding asset, by the beginning of its encoder's name; others show `python`."""
WITHOUT_GPU = ("openai-", "lite-", "fake-", "imported", "none")
"""Encoders that no GPU would make faster; those of other packages may want one."""


def embedding_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    unimodal = [_unimodal_asset(graph, name, *about) for name, about in UNIMODAL.items()]
    return [*unimodal, _fused_asset(graph), _contextual_asset(graph)]


def _unimodal_asset(graph: Graph, name: str, modality: Modality, parent: str, about: str) -> dg.AssetsDefinition:
    encoder = graph.profile.encoder(modality).name
    kind = next((kind for beginning, kind in KINDS.items() if encoder.startswith(beginning)), "python")

    @dg.asset(
        **graph.title_asset("embeddings", kinds={kind, "parquet"}, needs_gpu=not encoder.startswith(WITHOUT_GPU)),
        name=name,
        deps=[parent],
        code_version=graph.code_version(name),
        description=about,
    )
    def embeddings(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.embeddings import EMBEDDING_STEPS

        return _run(context, workspace, EMBEDDING_STEPS[name])

    return embeddings


def _fused_asset(graph: Graph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.title_asset("embeddings", kinds={"numpy", "parquet"}),
        deps=["video_embeddings", "audio_embeddings", "text_embeddings"],
        code_version=graph.code_version("fused_embeddings"),
        description="One vector a shot: each block L2-normalised and weighted, concatenated, unit normed.",
    )
    def fused_embeddings(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.fused import FusedStep

        return _run(context, workspace, FusedStep)

    return fused_embeddings


def _contextual_asset(graph: Graph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.title_asset("embeddings", kinds={"torch", "parquet"}, needs_gpu=True),
        deps=["fused_embeddings", "metadata_embeddings", "champion"],
        code_version=graph.code_version("contextual_embeddings"),
        description="The product: each shot's vector in the context of its title, and one vector for the title, "
        "by the champion checkpoint.",
    )
    def contextual_embeddings(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.contextual import embed_in_context
        from mediafm_pipelines import tags

        with workspace.open(context) as work:
            report, checkpoint = embed_in_context(work, context.partition_keys)
        context.instance.add_run_tags(context.run.run_id, {tags.CHECKPOINT: (checkpoint or "none")[:16]})
        return title_result(context, report, checkpoint or "none", {"checkpoint": checkpoint or "none yet"})

    return contextual_embeddings


def _run(context: dg.AssetExecutionContext, workspace: WorkspaceResource, step: Any) -> dg.MaterializeResult:
    from mediafm.steps.coverage import coverage_markdown
    from mediafm.steps.runner import run_step

    with workspace.open(context) as work:
        made = step(work)
        titles = work.titles(context.partition_keys)
        report = run_step(work, made, titles)
        work.ledger.flush()
        table = coverage_markdown(work, made.asset, titles)
        version = work.producer_ids[made.tables[0]]
    return title_result(context, report, version, {"coverage": dg.MetadataValue.md(table)})

"""The embeddings of each title: unimodal, metadata, fused, contextual.

Belongs here: the six embedding assets. Does not belong here: encoders, fusion, the model.
"""

from typing import Any

import dagster as dg

from mediafm.types import Modality
from mediafm_pipelines import tags
from mediafm_pipelines.graph import Graph
from mediafm_pipelines.materialize import Metadata, other_spaces_metadata, title_result
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


def needs_gpu(encoder: str) -> bool:
    """Whether an encoder of that name runs a network here."""
    return not encoder.startswith(WITHOUT_GPU)


def embedding_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    unimodal = [_unimodal_asset(graph, name, *about) for name, about in UNIMODAL.items()]
    return [*unimodal, _fused_asset(graph), _contextual_asset(graph)]


def _unimodal_asset(graph: Graph, name: str, modality: Modality, parent: str, about: str) -> dg.AssetsDefinition:
    encoder = graph.profile.encoder(modality).name
    kind = next((kind for beginning, kind in KINDS.items() if encoder.startswith(beginning)), "python")

    @dg.asset(
        **graph.title_asset("embeddings", kinds={kind, "parquet"}, needs_gpu=needs_gpu(encoder)),
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
        "by the champion checkpoint; while a roll-out is under way also by the one that readers get.",
    )
    def contextual_embeddings(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.in_context import embed_in_context

        with workspace.open(context) as work:
            embedded = embed_in_context(work, context.partition_keys)
        checkpoint = embedded.checkpoint_sha256
        context.instance.add_run_tags(context.run.run_id, {tags.CHECKPOINT: (checkpoint or "none")[:16]})
        metadata: Metadata = {"checkpoint": checkpoint or "none yet"}
        if len(embedded.by_checkpoint) > 1:
            metadata["by_checkpoint"] = dg.MetadataValue.md(embedded.markdown())
        return title_result(context, embedded.report, checkpoint or "none", metadata)

    return contextual_embeddings


def _run(context: dg.AssetExecutionContext, workspace: WorkspaceResource, step: Any) -> dg.MaterializeResult:
    from mediafm.steps.coverage import coverage_markdown
    from mediafm.steps.spaces import run_in_spaces

    with workspace.open(context) as work:
        made = run_in_spaces(work, lambda place: [step(place)], context.partition_keys)
        work.ledger.flush()
        table = coverage_markdown(work, made.report.asset, work.titles(context.partition_keys))
        version = work.producer_ids[made.report.asset]
        context.instance.add_run_tags(context.run.run_id, {tags.SPACE: work.space.space_id[:16]})
    coverage = {"coverage": dg.MetadataValue.md(table)}
    return title_result(context, made.report, version, {**coverage, **other_spaces_metadata(made.markdown())})

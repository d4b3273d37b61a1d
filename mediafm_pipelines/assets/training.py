"""Training: the manifest, the checkpoint, and the gate.

Belongs here: `training_manifest`, `mediafm_checkpoint`, `champion`.
Does not belong here: the model, the loop, the rule.
"""

import dagster as dg

from mediafm_pipelines import tags
from mediafm_pipelines.decisions import decision_metadata
from mediafm_pipelines.graph import Graph
from mediafm_pipelines.launch import training_on_ranks
from mediafm_pipelines.materialize import Metadata, picture
from mediafm_pipelines.resources import WorkspaceResource


def training_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    return [_manifest_asset(graph), _checkpoint_asset(graph), _champion_asset(graph)]


def _manifest_asset(graph: Graph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset("training", kinds={"parquet"}),
        deps=["fused_embeddings", "metadata_embeddings"],
        code_version="1",
        description="The exact titles, fingerprints, split, masks and space that a training run sees.",
    )
    def training_manifest(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.fusion import Space
        from mediafm.steps.training import make_manifest

        with workspace.open(context) as work:
            outcome = make_manifest(work)
        if outcome.manifest is None:
            context.log.warning(outcome.reason)
            return dg.MaterializeResult(data_version=dg.DataVersion("none"), metadata={"reason": outcome.reason})
        sha256, space = outcome.manifest.sha256, Space.from_json(outcome.manifest.space).space_id
        named = {tags.MANIFEST: sha256[:16], tags.SPACE: space[:16]}
        context.instance.add_run_tags(context.run.run_id, named)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(sha256),
            metadata={"sha256": sha256, "summary": dict(outcome.manifest.summary()), "is_new": outcome.was_made},
        )

    return training_manifest


def _checkpoint_asset(graph: Graph) -> dg.AssetsDefinition:
    num_processes = graph.config.training.processes

    @dg.asset(
        **graph.asset("training", kinds={"torch", "mlflow"}, needs_gpu=True, num_processes=num_processes),
        deps=["training_manifest"],
        code_version="1",
        description="A MediaFM trained by masked shot modelling on the manifest: safetensors and JSON in the store, "
        "logged to MLflow and registered.",
    )
    def mediafm_checkpoint(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.train_and_log import train_and_log

        with workspace.open(context) as work:
            logged = train_and_log(work, training_on_ranks(context, work.config.training))
        if logged.sha256 is None:
            context.log.warning(logged.reason)
            return dg.MaterializeResult(data_version=dg.DataVersion("none"), metadata={"reason": logged.reason})
        context.instance.add_run_tags(context.run.run_id, {tags.CHECKPOINT: logged.sha256[:16]})
        metadata: Metadata = {
            "sha256": logged.sha256,
            "model_version": logged.model_version,
            "mlflow_run_id": logged.mlflow_run_id,
            "skill": logged.skill_sentence,
            "skill_by_view": dg.MetadataValue.md(logged.skill_markdown),
            "is_new": logged.was_made,
            "model_card": dg.MetadataValue.md(logged.model_card),
        }
        if logged.curve_png:
            metadata["curve"] = picture(logged.curve_png, "loss and skill")
        return dg.MaterializeResult(data_version=dg.DataVersion(logged.sha256), metadata=metadata)

    return mediafm_checkpoint


def _champion_asset(graph: Graph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset("training", kinds={"mlflow"}),
        deps=["mediafm_checkpoint", "checkpoint_probes"],
        code_version="1",
        description="The gate: the newest checkpoint is approved, or the champion stays; with the reason.",
    )
    def champion(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.promotion import run_gate

        with workspace.open(context) as work:
            decision = run_gate(work)
        context.log.info(f"{decision.verdict}: {decision.reason}")
        return dg.MaterializeResult(
            data_version=dg.DataVersion(decision.checkpoint_sha256 or "none"), metadata=decision_metadata(decision)
        )

    return champion

"""Evaluation: labels, what a candidate is worth, what is served, and the probes over what is served.

Belongs here: `labels`, `checkpoint_probes`, `served_manifest`, `probe_metrics`.
Does not belong here: how a probe works.
"""

import dagster as dg

from mediafm_pipelines import tags
from mediafm_pipelines.graph import Graph
from mediafm_pipelines.materialize import Metadata, picture
from mediafm_pipelines.resources import WorkspaceResource


def evaluation_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    return [_labels_asset(graph), _probes_asset(graph), _served_asset(graph), _metrics_asset(graph)]


def _labels_asset(graph: Graph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset("evaluation", kinds={"json"}),
        code_version="1",
        description="What people said of titles and clips: the label files, read and checked row by row.",
    )
    def labels(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.evaluation import root_labels

        with workspace.open(context) as work:
            found = root_labels(work)
        if found is None:
            return dg.MaterializeResult(data_version=dg.DataVersion("none"), metadata={"reason": "no label files"})
        context.instance.add_run_tags(context.run.run_id, {tags.LABELS: found.sha256[:16]})
        refused = "\n".join(f"- {problem.where}: {problem.sentence}" for problem in found.problems[:10])
        return dg.MaterializeResult(
            data_version=dg.DataVersion(found.sha256),
            metadata={
                "sha256": found.sha256,
                **{f"rows_{each.task}": len(each.rows) for each in found.sets},
                "rows_refused": len(found.problems),
                "refused": dg.MetadataValue.md(refused or "none"),
            },
        )

    return labels


def _probes_asset(graph: Graph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset("evaluation", kinds={"scikitlearn", "torch"}),
        deps=["mediafm_checkpoint", "training_manifest", "labels"],
        code_version="1",
        description="The newest checkpoint against the champion and against vectors that need no model.",
    )
    def checkpoint_probes(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.promotion import evaluate_newest

        with workspace.open(context) as work:
            evaluated = evaluate_newest(work)
        if evaluated is None:
            return dg.MaterializeResult(data_version=dg.DataVersion("none"), metadata={"reason": "no checkpoint yet"})
        context.instance.add_run_tags(context.run.run_id, {tags.CHECKPOINT: evaluated.evaluation.subject[:16]})
        return _evaluation_result(evaluated.evaluation.subject, evaluated)

    return checkpoint_probes


def _served_asset(graph: Graph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset("evaluation", kinds={"parquet"}),
        deps=["contextual_embeddings"],
        code_version="1",
        description="The titles and fingerprints that readers see now; moves the `serving` pointer when nobody loses "
        "a title by it, or on request: `mediafm serve --allow-missing`, the tag mediafm/allow_missing=true.",
    )
    def served_manifest(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.promotion import serve_champion

        with workspace.open(context) as work:
            served = serve_champion(work, allow_missing=context.run.tags.get(tags.ALLOW_MISSING) == "true")
        context.instance.add_run_tags(context.run.run_id, {tags.CHECKPOINT: (served.checkpoint_sha256 or "none")[:16]})
        return dg.MaterializeResult(
            data_version=dg.DataVersion(served.sha256),
            metadata={
                "checkpoint": served.checkpoint_sha256 or "none yet",
                "titles": len(served.served),
                "missing": len(served.missing),
                "first_missing": ", ".join(served.missing[:10]) or "none",
                "pointer_moved": served.was_moved,
                "reason": served.reason,
                "lost": len(served.lost),
                "served": dg.MetadataValue.json(served.as_json()),
            },
        )

    return served_manifest


def _metrics_asset(graph: Graph) -> dg.AssetsDefinition:
    @dg.asset(
        **graph.asset("evaluation", kinds={"scikitlearn"}),
        deps=["served_manifest", "labels"],
        code_version="1",
        description="Neighbours and probes over the served catalogue, and a map of it.",
    )
    def probe_metrics(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        from mediafm.steps.promotion import evaluate_serving

        with workspace.open(context) as work:
            evaluated = evaluate_serving(work)
        if evaluated is None:
            return dg.MaterializeResult(data_version=dg.DataVersion("none"), metadata={"reason": "nothing is served"})
        return _evaluation_result(evaluated.evaluation.subject, evaluated)

    return probe_metrics


def _evaluation_result(data_version: str, evaluated) -> dg.MaterializeResult:  # type: ignore[no-untyped-def]
    evaluation = evaluated.evaluation
    metadata: Metadata = {
        "checkpoint": evaluation.subject,
        "titles": evaluation.num_titles,
        "scores": dg.MetadataValue.md(evaluation.scores or "no labels"),
        "context_bought": dg.MetadataValue.md("\n".join(f"- {line}" for line in evaluation.bought) or "no labels"),
        "report": dg.MetadataValue.md(evaluation.markdown),
    }
    for name, png in evaluated.pictures.items():
        metadata[name] = picture(png, name)
    return dg.MaterializeResult(data_version=dg.DataVersion(data_version), metadata=metadata)

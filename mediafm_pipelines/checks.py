"""Asset checks: counts agree, spans cover the title, vectors are finite and unit norm, lineage is consistent.

Belongs here: questions to the ledger and the store, and their answers with counts and the first ten findings.
Does not belong here: the questions' SQL (`mediafm.steps.checks`). They are not partitioned and never block.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from mediafm_pipelines.graph import Graph
from mediafm_pipelines.resources import WorkspaceResource

MAX_FINDINGS = 10
VECTOR_ASSETS = (
    "video_embeddings",
    "audio_embeddings",
    "text_embeddings",
    "metadata_embeddings",
    "fused_embeddings",
    "contextual_embeddings",
)


def asset_checks(graph: Graph) -> list[Any]:
    about = "Words that the transcriber itself is unsure of."
    transcribed = [_check("transcripts", "transcripts_are_sure", about, "unsure_words")]
    return [
        *(transcribed if graph.profile.transcriber else []),
        _check("raw_titles", "no_title_left_out", "Titles that are quarantined, failed or vanished.", "left_out"),
        _check("shots", "spans_cover_the_title", "Spans are ordered, disjoint and cover the picture.", "span_gaps"),
        _check("fused_embeddings", "counts_agree", "Each table has a row for each shot.", "count_mismatches"),
        *(
            _check(
                asset, "vectors_are_sound", "Vectors are finite; fused and contextual ones have unit norm.", "vectors"
            )
            for asset in VECTOR_ASSETS
        ),
        _check("contextual_embeddings", "lineage_is_consistent", "Ledger, file and header say the same.", "lineage"),
        _agreement_check(),
    ]


def _agreement_check() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="served_manifest",
        name="places_agree",
        description="Of a sample of titles and every checkpoint the ledger, the files with their headers, Dagster and "
        "MLflow say the same. `mediafm audit --check` asks the same.",
    )
    def check(context: dg.AssetCheckExecutionContext, workspace: WorkspaceResource) -> dg.AssetCheckResult:
        from mediafm.steps.agreement import compare
        from mediafm_pipelines.agreement import disagreements

        with workspace.open(context) as work:
            store = work.store
            found = compare(work.config, others={"Dagster": lambda _, of: disagreements(context.instance, store, of)})
        return dg.AssetCheckResult(
            passed=not found.findings,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "looked_at": found.num_values,
                "titles": found.num_titles,
                "checkpoints": found.num_checkpoints,
                "found": len(found.findings),
                **_first(found.findings[:MAX_FINDINGS]),
            },
        )

    return check


def _first(findings: Sequence[str]) -> dict[str, dg.MarkdownMetadataValue]:
    """The first findings, where there are any."""
    return {"first": dg.MetadataValue.md("\n".join(f"- {finding}" for finding in findings))} if findings else {}


def _check(asset: str, name: str, description: str, question: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name=name, description=description)
    def check(context: dg.AssetCheckExecutionContext, workspace: WorkspaceResource) -> dg.AssetCheckResult:
        from mediafm.steps.checks import QUESTIONS

        with workspace.open(context) as work:
            answer = QUESTIONS[question](work, asset)
        return dg.AssetCheckResult(
            passed=not answer.findings,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"looked_at": answer.num_looked_at, "found": answer.num_found, **_first(answer.findings)},
        )

    return check

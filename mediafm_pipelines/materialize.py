"""How a step's report becomes Dagster's events.

Belongs here: the one way from `StepReport` to `MaterializeResult` or `Failure`. Does not belong here: any work.
"""

import base64
from collections.abc import Mapping

import dagster as dg

from mediafm.steps.outcome import StepReport
from mediafm.types import TitleState

MAX_PICTURED_TITLES = 4
"""Metadata is copied into every partition's event: pictures go along only in runs of a few titles."""
TITLES_FAILED = " titles failed: "
"""Between the numbers and the titles' sentences in the description of a step's failure."""
MAX_OBSERVED_TITLES = 32
"""In runs of more titles, pictures are named by their folder only: each observed one stands in Dagster's database."""

Metadata = dict[str, dg.MetadataValue | str | int | float | bool]


def title_result(
    context: dg.AssetExecutionContext,
    report: StepReport,
    data_version: str,
    metadata: Metadata | None = None,
    by_title: Mapping[str, Metadata] | None = None,
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The result of a step over titles; titles that failed end the step, after the others' success is on record.

    Args:
        metadata: of the whole step; copied into every partition's event, so small.
        by_title: of single titles. In a run of a few titles it stands in the result, else on the title's own partition.

    Raises:
        dagster.Failure: titles failed. The others are materialised all the same.
    """
    everything: Metadata = {**_counts(report), **(metadata or {})}
    own = by_title or {}
    _observe_left_out(context, report)
    failed = report.titles(TitleState.FAILED)
    if not failed:
        if len(own) <= MAX_PICTURED_TITLES:
            everything |= {f"{name}_{title}": value for title, each in own.items() for name, value in each.items()}
        else:
            _observe(context, {title_id: {**_own_rows(report, title_id), **each} for title_id, each in own.items()})
        return dg.MaterializeResult(data_version=dg.DataVersion(data_version), metadata=everything)
    for outcome in report.outcomes:
        if outcome.state is not TitleState.FAILED:
            context.log_event(
                dg.AssetMaterialization(
                    context.asset_key,
                    partition=outcome.title_id,
                    metadata={
                        "state": str(outcome.state),
                        "reason": outcome.reason,
                        **{f"rows_{table}": count for table, count in outcome.rows.items()},
                        **own.get(outcome.title_id, {}),
                    },
                    tags={"dagster/data_version": data_version},
                )
            )
    raise dg.Failure(
        description=f"{len(failed)} of {len(report.outcomes)}{TITLES_FAILED}"
        + "; ".join(report.reasons([TitleState.FAILED])),
        metadata=everything,
        allow_retries=False,
    )


def other_spaces_metadata(markdown: str) -> Metadata:
    """What a step did in the spaces of checkpoints in use beside the configured one; nothing where there is none."""
    return {"other_spaces": dg.MetadataValue.md(markdown)} if markdown else {}


def _observe_left_out(context: dg.AssetExecutionContext, report: StepReport) -> None:
    """Each title without a value says why, on its own partition."""
    left_out = [each for each in report.outcomes if each.state not in (TitleState.OK, TitleState.FAILED)]
    _observe(context, {each.title_id: {"state": str(each.state), "reason": each.reason} for each in left_out})


def _observe(context: dg.AssetExecutionContext, by_title: Mapping[str, Metadata]) -> None:
    for title_id, metadata in by_title.items():
        context.log_event(dg.AssetObservation(context.asset_key, partition=title_id, metadata=metadata))


def _own_rows(report: StepReport, title_id: str) -> Metadata:
    """A title's own numbers of rows: the materialisation on its partition has those of the whole run."""
    own = next((each for each in report.outcomes if each.title_id == title_id), None)
    return {f"rows_{table}": count for table, count in own.rows.items()} if own else {}


def _counts(report: StepReport) -> Metadata:
    """Numbers of the whole run, and named so: they are copied into the event of each of its titles."""
    rows: dict[str, int] = {}
    for outcome in report.outcomes:
        for table, count in outcome.rows.items():
            rows[table] = rows.get(table, 0) + count
    left_out = report.reasons([TitleState.QUARANTINED, TitleState.WAITING, TitleState.VANISHED])
    metadata: Metadata = {f"run_titles_{state}": count for state, count in report.counts().items()}
    metadata.update({f"run_rows_{table}": count for table, count in rows.items()})
    metadata["run_titles_made"] = report.num_made
    if report.num_tokens is not None:
        metadata |= {"run_tokens_bought": report.num_tokens, "run_cost_usd": round(report.cost_usd, 6)}
    if left_out:
        metadata["left_out"] = dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in left_out))
    return metadata


def picture(png: bytes, caption: str) -> dg.MarkdownMetadataValue:
    """A small picture inside an event's metadata: Markdown with the bytes in it, so that no file must be served."""
    encoded = base64.b64encode(png).decode()
    kind = "png" if png.startswith(b"\x89PNG") else "jpeg"
    return dg.MetadataValue.md(f"![{caption}](data:image/{kind};base64,{encoded})")

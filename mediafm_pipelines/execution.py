"""Running parts of the graph in this process, on a root's own instance.

Belongs here: one run of some assets over some titles, and what came of it. Does not belong here: what to run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from mediafm_pipelines import tags
from mediafm_pipelines.failures import reason_of
from mediafm_pipelines.partitions import TitleRange

QUIET_LOGGERS = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class RunResult:
    """What came of a run.

    failed_assets: the assets whose step failed, with the reason.
    skipped_assets: those that did not run because of them.
    """

    run_id: str
    failed_assets: Mapping[str, str]
    skipped_assets: tuple[str, ...]


def run_assets(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    assets: Sequence[str],
    titles: TitleRange | None,
    run_tags: Mapping[str, str],
) -> list[RunResult]:
    """Materialises `assets` (in the order of the graph) for `titles`, in this process.

    Where a step ends in failure because some titles failed, the assets behind it are run all the same in a run of
    their own: the titles that did not fail go on.

    Raises:
        KeyboardInterrupt: the run was interrupted (Ctrl-C, SIGTERM); Dagster has noted it, and nothing more is begun.
    """
    results = []
    remaining = list(assets)
    while remaining:
        result = _one_run(definitions, instance, remaining, titles, run_tags)
        results.append(result)
        remaining = [asset for asset in remaining if asset in result.skipped_assets]
    return results


def _one_run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    assets: Sequence[str],
    titles: TitleRange | None,
    run_tags: Mapping[str, str],
) -> RunResult:
    job = definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(asset) for asset in assets],
        tags={**tags.process_tags(), **run_tags, **(titles.tags if titles else {})},
        run_config=QUIET_LOGGERS,
        raise_on_error=False,
    )
    if any(_is_interruption(event) for event in result.all_events):
        raise KeyboardInterrupt(f"run {result.run_id} was interrupted")
    failed = {event.step_key or "": reason_of(event) for event in result.get_step_failure_events()}
    succeeded = {event.step_key for event in result.get_step_success_events()}
    skipped = tuple(asset for asset in assets if asset not in succeeded and asset not in failed)
    if len(skipped) == len(assets):
        reason = f"Dagster ran none of {', '.join(assets)}; the log of run {result.run_id} in `mediafm ui` says why"
        return RunResult(result.run_id, {**failed, assets[0]: reason}, ())
    return RunResult(result.run_id, failed, skipped)


def _is_interruption(event: dg.DagsterEvent) -> bool:
    """Whether Dagster caught an interrupt, which it takes for the failure of that one run."""
    if event.event_type is dg.DagsterEventType.RUN_CANCELED:
        return True
    if event.event_type is not dg.DagsterEventType.RUN_FAILURE:
        return False
    reason = event.job_failure_data.failure_reason
    return reason is not None and reason.value == "UNEXPECTED_TERMINATION"

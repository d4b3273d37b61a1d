"""`reembed_sensor`: a new champion rolled out in chunks, then handed to readers.

Belongs here: which runs of `reembed_job` and `serve_job` are asked for. Does not belong here: which titles lack
vectors (`mediafm.steps.in_context`), or whether readers may be moved (`mediafm.steps.serving`).

The cursor: `began` (when there was none; sets run keys apart from those of a cursor that was reset), `champion` (the
checkpoint that it counts for), `tried` (title -> runs asked for over it that left it without vectors), `idle` (the
state of ledger and pointers in which nothing was to be done: that one is not looked into again), `serves` (how often in
a row it asked for serving and found readers waiting all the same).
"""

import time
from collections.abc import Sequence
from typing import Any

import dagster as dg

from mediafm.config import Config
from mediafm.lineage.fingerprint import fingerprint, short
from mediafm_pipelines import tags
from mediafm_pipelines.in_flight import makes, titles_in_flight, unfinished_runs
from mediafm_pipelines.jobs import REEMBED_JOB, SERVE_JOB
from mediafm_pipelines.partitions import TitleRange, contiguous_ranges, titles_partitions
from mediafm_pipelines.resources import WorkspaceResource
from mediafm_pipelines.switched import read_cursor, sensor_status, written_cursor

NAME = "reembed_sensor"
MAX_REMEMBERED = 1000
"""Titles that were tried in vain; with so many nothing more is asked for until a person has looked."""


def reembed_sensor(config: Config, jobs: Sequence[Any]) -> dg.SensorDefinition:
    settings = config.automation.reembed

    @dg.sensor(
        name=NAME,
        jobs=[job for job in jobs if job.name in (REEMBED_JOB, SERVE_JOB)],
        minimum_interval_seconds=settings.interval_seconds,
        default_status=sensor_status(config.automation, "reembed"),
        description="Asks for vectors by the champion (and by what readers get, while a roll-out is under way), a few "
        "chunks at a time, and for serving when no title is left.",
    )
    def look_at_rollout(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult:
        from mediafm.steps.contextual import champion_sha256
        from mediafm.steps.in_context import titles_to_embed
        from mediafm.steps.promotion import needs_serving

        begun = {"began": int(time.time()), "champion": "", "tried": {}, "idle": "", "serves": 0}
        cursor = {**begun, **(read_cursor(context.cursor) or {})}
        runs = unfinished_runs(context.instance)
        if serving := [run for run in runs if makes(run, SERVE_JOB, "served_manifest")]:
            return _nothing(f"run {serving[0].run_id} serves", cursor)
        with workspace.open_outside_runs(NAME) as work:
            champion = champion_sha256(work)
            if champion is None:
                return _nothing("there is no champion yet", cursor)
            state = _state(work)
            if cursor["idle"] == state:
                return _nothing("nothing has changed since nothing was to be done", cursor)
            lacking = titles_to_embed(work)
            readers_wait = needs_serving(work)
        serves = cursor["serves"] if cursor["champion"] == champion and readers_wait else 0
        tried = cursor["tried"] if cursor["champion"] == champion else {}
        tried = {title_id: count for title_id, count in tried.items() if title_id in set(lacking)}
        cursor = {**cursor, "champion": champion, "tried": tried, "idle": "", "serves": serves}
        in_flight = titles_in_flight(runs, context.instance.get_dynamic_partitions("titles"))
        wanted = [one for one in lacking if one not in in_flight and tried.get(one, 0) < settings.max_attempts]
        if wanted and len(tried) < MAX_REMEMBERED:
            return _embed(context, config, cursor, wanted, runs)
        if in_flight & set(lacking):
            return _nothing(f"{len(in_flight & set(lacking))} titles are being embedded", cursor)
        if readers_wait:
            return _serve(cursor, state, settings.max_attempts)
        said = f"; {len(lacking)} titles have no vectors after all, and wait for `mediafm run`" if lacking else ""
        return _nothing(f"every title has its vectors by {champion[:16]}{said}", {**cursor, "idle": state})

    return look_at_rollout


def _embed(
    context: dg.SensorEvaluationContext,
    config: Config,
    cursor: dict[str, Any],
    wanted: Sequence[str],
    runs: Sequence[dg.DagsterRun],
) -> dg.SensorResult:
    """The next chunks, if fewer than a tick's worth are under way."""
    settings = config.automation.reembed
    registered = context.instance.get_dynamic_partitions("titles")
    known = set(registered)
    new = [title_id for title_id in wanted if title_id not in known]
    num_under_way = sum(makes(run, REEMBED_JOB, "contextual_embeddings") for run in runs)
    ranges = contiguous_ranges([*registered, *new], wanted, config.orchestration.titles_per_run)
    ranges = ranges[: max(0, settings.max_runs_per_tick - num_under_way)]
    if not ranges:
        return _nothing(f"{len(wanted)} titles wait for {num_under_way} runs", cursor)
    asked = [title_id for each in ranges for title_id in each.title_ids]
    tried = {**cursor["tried"], **{title_id: cursor["tried"].get(title_id, 0) + 1 for title_id in asked}}
    added = [title_id for title_id in new if title_id in set(asked)]
    return dg.SensorResult(
        run_requests=[_request(each, cursor, tried) for each in ranges],
        dynamic_partitions_requests=[titles_partitions.build_add_request(added)] if added else [],
        cursor=written_cursor({**cursor, "tried": tried, "serves": 0}),
    )


def _serve(cursor: dict[str, Any], state: str, max_attempts: int) -> dg.SensorResult:
    """Asks for serving; a few times in a row at most, or a run that does not bring it about would be asked for ever."""
    cursor = {**cursor, "idle": state, "serves": cursor["serves"] + 1}
    if cursor["serves"] > max_attempts:
        why = f"{max_attempts} runs of {SERVE_JOB} changed nothing: look at them, and reload the code location if "
        return _nothing(f"{why}mediafm.toml was changed", {**cursor, "serves": max_attempts})
    request = dg.RunRequest(
        run_key=f"serve:{cursor['champion'][:16]}:{state}:{cursor['began']}",
        job_name=SERVE_JOB,
        tags={tags.REQUESTED_BY: NAME},
    )
    return dg.SensorResult(run_requests=[request], cursor=written_cursor(cursor))


def _request(titles: TitleRange, cursor: dict[str, Any], tried: dict[str, int]) -> dg.RunRequest:
    times = short(fingerprint([cursor["began"], *([title_id, tried[title_id]] for title_id in titles.title_ids)]))
    return dg.RunRequest(
        run_key=f"{cursor['champion'][:16]}:{titles.title_ids[0]}..{titles.title_ids[-1]}:{times}",
        job_name=REEMBED_JOB,
        tags={**titles.tags, tags.REQUESTED_BY: NAME},
    )


def _state(work: Any) -> str:
    """Moves whenever the ledger or a pointer does; reads names of files alone."""
    from mediafm.store.ledger_files import ledger_keys
    from mediafm.store.pointers import POINTER_FOLDER

    files = work.store.files
    return short(fingerprint([*ledger_keys(files), *files.list_keys(POINTER_FOLDER)]))


def _nothing(why: str, cursor: dict[str, Any]) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=why, cursor=written_cursor(cursor))

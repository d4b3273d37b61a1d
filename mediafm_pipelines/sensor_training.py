"""`retrain_sensor` and `weekly_retrain`: when the model is trained again; one training at a time.

Belongs here: when `retrain_job` is asked for. Does not belong here: what counts as enough (`mediafm.steps.retraining`).

The cursor of the sensor: `requested_at` (when it last asked, seconds since 1970), `due_since` (since when it would have
asked and waits for ingest runs), `looked` (`{"baseline", "num_grown", "reason"}`: at which growth it last looked for a
drift, and what it found; "" for none).
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from mediafm.automation import AutomationSettings
from mediafm.config import Config
from mediafm_pipelines import tags
from mediafm_pipelines.in_flight import makes, unfinished_runs
from mediafm_pipelines.jobs import INGEST_JOB, RETRAIN_JOB
from mediafm_pipelines.resources import WorkspaceResource
from mediafm_pipelines.switched import read_cursor, schedule_status, sensor_status, written_cursor

NAME, SCHEDULE = "retrain_sensor", "weekly_retrain"
LOOK_AGAIN = 1.25
"""A drift is looked for again when so much more has come: few looks, so few false alarms (our choice)."""
SECONDS_PER_HOUR = 3600.0


def retrain_sensor(config: Config, clock: Callable[[], float] = time.time) -> dg.SensorDefinition:
    settings = config.automation.retrain

    @dg.sensor(
        name=NAME,
        job_name=RETRAIN_JOB,
        minimum_interval_seconds=settings.interval_seconds,
        default_status=sensor_status(config.automation, "retrain"),
        description="Asks for a training when enough titles are new or changed since those that were trained on, or "
        "when they are not like those any more. The gate decides what becomes of the checkpoint.",
    )
    def look_at_growth(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult:
        from mediafm.steps.retraining import growth

        cursor = {"requested_at": 0.0, "due_since": None, "looked": None, **(read_cursor(context.cursor) or {})}
        runs = unfinished_runs(context.instance)
        if under_way := _trainings(runs):
            return _nothing(f"run {under_way[0].run_id} trains", cursor)
        with workspace.open_outside_runs(NAME) as work:
            grown = growth(work)
            reason = _reason(work, grown, config, cursor)
        if not reason:
            return _nothing(grown.sentence, {**cursor, "due_since": None})
        now, patience = clock(), settings.min_hours_between * SECONDS_PER_HOUR
        cursor["due_since"] = cursor["due_since"] or now
        if now - cursor["requested_at"] < patience:
            hours = (now - cursor["requested_at"]) / SECONDS_PER_HOUR
            return _nothing(f"{reason}; but the last training was asked for {hours:.1f} hours ago", cursor)
        ingests = [run for run in runs if makes(run, INGEST_JOB, "fused_embeddings")]
        if ingests and now - cursor["due_since"] < patience:
            return _nothing(f"{reason}; it waits for ingest runs: {len(ingests)}", cursor)
        request = dg.RunRequest(
            run_key=f"retrain:{grown.state_sha256[:16]}:{int(now)}",
            tags={tags.REQUESTED_BY: NAME, tags.REASON: reason},
        )
        return dg.SensorResult(
            run_requests=[request], cursor=written_cursor({**cursor, "requested_at": now, "due_since": None})
        )

    return look_at_growth


def weekly_retrain(settings: AutomationSettings) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=SCHEDULE,
        job_name=RETRAIN_JOB,
        cron_schedule=settings.retrain.cron,
        execution_timezone=settings.retrain.timezone,
        default_status=schedule_status(settings, "weekly_retrain"),
        description="Trains on all titles that there are; where nothing changed, the step finds its checkpoint there.",
    )
    def ask(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if under_way := _trainings(unfinished_runs(context.instance)):
            return dg.SkipReason(f"run {under_way[0].run_id} trains")
        return dg.RunRequest(tags={tags.REQUESTED_BY: SCHEDULE, tags.REASON: "the schedule"})

    return ask  # type: ignore[return-value]


def _reason(work: Any, grown: Any, config: Config, cursor: dict[str, Any]) -> str:
    """Why it is time to train; a look for a drift is noted in the cursor."""
    from mediafm.steps.retraining import drift_of, reason_to_train

    settings = config.automation.retrain
    reason = reason_to_train(work, grown, settings)
    if reason or not settings.drift.is_watched or grown.baseline is None:
        return reason
    baseline, looked = grown.baseline.sha256, cursor["looked"] or {"baseline": ""}
    if looked["baseline"] != baseline:
        looked = {"baseline": baseline, "num_grown": 0, "reason": ""}
    if not looked["reason"] and grown.num_grown >= max(settings.drift.min_groups, LOOK_AGAIN * looked["num_grown"]):
        drift = drift_of(work, grown, settings.drift)
        found = drift.reason(settings.drift) if drift else ""
        looked = {"baseline": baseline, "num_grown": grown.num_grown, "reason": found}
    cursor["looked"] = looked
    return str(looked["reason"])


def _trainings(runs: Sequence[dg.DagsterRun]) -> list[dg.DagsterRun]:
    return [run for run in runs if makes(run, RETRAIN_JOB, "mediafm_checkpoint")]


def _nothing(why: str, cursor: dict[str, Any]) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=why, cursor=written_cursor(cursor))

"""`failure_sensor`: each run that failed is told of: in the log, to a webhook, to a command.

Belongs here: a failed run's facts. Does not belong here: how they leave this process (`hooks`).
"""

from typing import Any

import dagster as dg

from mediafm.config import Config
from mediafm_pipelines import tags
from mediafm_pipelines.failures import reason_of
from mediafm_pipelines.hooks import MAX_TOLD_CHARACTERS, tell
from mediafm_pipelines.in_flight import PARTITION, RANGE_END, RANGE_START
from mediafm_pipelines.switched import sensor_status

NAME = "failure_sensor"


def failure_sensor(config: Config) -> dg.SensorDefinition:
    settings = config.automation.failures

    @dg.run_failure_sensor(
        name=NAME,
        minimum_interval_seconds=settings.interval_seconds,
        default_status=sensor_status(config.automation, "failures"),
        monitor_all_code_locations=True,  # runs of the command line belong to none
        description="Tells of each failed run once. A hook that cannot be told makes the tick fail, and is not tried "
        "again.",
    )
    def tell_of_failure(context: dg.RunFailureSensorContext) -> None:
        facts = failure_facts(context, str(config.root))
        context.log.error(f"run {facts['run_id']} of {facts['job']} failed: {facts['message']}")
        for clause in tell(settings, facts):
            context.log.info(clause)

    return tell_of_failure


def failure_facts(context: dg.RunFailureSensorContext, root: str) -> dict[str, Any]:
    """What is told of a failed run; the same names in every version."""
    run = context.dagster_run
    record = context.instance.get_run_record_by_id(run.run_id)
    failed = context.get_step_failure_events()
    steps = {event.step_key or "": reason_of(event)[:MAX_TOLD_CHARACTERS] for event in failed}
    first, last = run.tags.get(RANGE_START), run.tags.get(RANGE_END)
    alone = run.tags.get(PARTITION)
    return {
        "event": "run_failed",
        "root": root,
        "run_id": run.run_id,
        "job": run.job_name,
        "assets": sorted(key.to_user_string() for key in run.asset_selection or ()),
        "first_title": alone or first,
        "last_title": alone or last,
        "started_at": record.start_time if record else None,
        "ended_at": record.end_time if record else None,
        "message": (context.failure_event.message or "")[:MAX_TOLD_CHARACTERS],
        "steps": steps,
        "requested_by": run.tags.get(tags.REQUESTED_BY) or run.tags.get("dagster/sensor_name"),
        "reason": run.tags.get(tags.REASON),
    }

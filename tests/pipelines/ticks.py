"""Ticks of one sensor as the daemon makes them, without the daemon: each with the cursor that the last one left."""

from __future__ import annotations

from typing import Any

import dagster as dg

from mediafm.config import Config
from mediafm_pipelines.definitions import build_defs

WAITING = dg.DagsterRunStatus.NOT_STARTED
EVENTS = {
    dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.RUN_FAILURE,
}


class Ticks:
    """New partitions are added and requested runs are created, and wait until `runs_end`."""

    def __init__(self, instance: dg.DagsterInstance, config: Config, sensor: str) -> None:
        self.instance, self.config, self.sensor = instance, config, sensor
        self.definitions = build_defs(config)
        self.cursor: str | None = None

    def tick(self) -> Any:
        """One evaluation: Dagster's `SensorExecutionData`."""
        sensor = self.definitions.resolve_sensor_def(self.sensor)
        with dg.build_sensor_context(
            self.instance, self.cursor, definitions=self.definitions, resources=self.definitions.resources
        ) as context:
            found = sensor.evaluate_tick(context)
        self.cursor = found.cursor
        for request in found.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions("titles", list(request.partition_keys))
        for request in found.run_requests:
            self.begin(request.job_name or sensor.job_name, dict(request.tags))
        return found

    def begin(self, job: str, tags: dict[str, str] | None = None) -> str:
        """A run that waits."""
        made = self.instance.create_run_for_job(
            self.definitions.resolve_job_def(job), tags={**(tags or {})}, status=WAITING
        )
        return str(made.run_id)

    def runs_end(self, status: dg.DagsterRunStatus = dg.DagsterRunStatus.FAILURE) -> None:
        """Whatever waits ends like this, and has done nothing."""
        for run in self.instance.get_runs(filters=dg.RunsFilter(statuses=[WAITING])):
            event = dg.DagsterEvent(event_type_value=EVENTS[status].value, job_name=run.job_name)
            self.instance.report_dagster_event(event, run_id=run.run_id)

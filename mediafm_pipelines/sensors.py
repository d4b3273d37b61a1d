"""Sensors and the schedule: what the daemon looks after. All are off unless the configuration or the UI turns them on.

Belongs here: which there are, and what they share. Does not belong here: what one looks at (`sensor_titles`,
`sensor_training`, `sensor_rollout`, `sensor_failures`), or what is done.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from mediafm.automation import AutomationSettings
from mediafm_pipelines.graph import Graph
from mediafm_pipelines.maintenance import upkeep_schedules
from mediafm_pipelines.orphans import fail_orphans
from mediafm_pipelines.sensor_failures import failure_sensor
from mediafm_pipelines.sensor_rollout import reembed_sensor
from mediafm_pipelines.sensor_titles import new_titles_sensor
from mediafm_pipelines.sensor_training import retrain_sensor, weekly_retrain
from mediafm_pipelines.switched import sensor_status


def build_sensors(graph: Graph, jobs: Sequence[Any]) -> list[dg.SensorDefinition]:
    return [
        new_titles_sensor(graph.config),
        retrain_sensor(graph.config),
        reembed_sensor(graph.config, jobs),
        orphan_sensor(graph.config.automation),
        failure_sensor(graph.config),
    ]


def build_schedules(graph: Graph) -> list[dg.ScheduleDefinition]:
    return [weekly_retrain(graph.config.automation), *upkeep_schedules(graph.config.automation)]


def orphan_sensor(settings: AutomationSettings) -> dg.SensorDefinition:
    @dg.sensor(
        name="orphan_sensor",
        minimum_interval_seconds=60,
        default_status=sensor_status(settings, "orphans"),
        description="Marks runs whose process is gone as failed, and frees their pool slots.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        found = fail_orphans(context.instance)
        return dg.SkipReason(f"marked {', '.join(found)} as failed" if found else "no orphaned runs")

    return look

"""Sensors: what the daemon looks after. All are off until turned on.

Belongs here: when something is done. Does not belong here: what is done.
"""

import dagster as dg

from mediafm_pipelines.orphans import fail_orphans


def build_sensors() -> list[dg.SensorDefinition]:
    return [orphan_sensor]


@dg.sensor(
    name="orphan_sensor",
    minimum_interval_seconds=60,
    description="Marks runs of the command line whose process was killed as failed, and frees their pool slots.",
)
def orphan_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    found = fail_orphans(context.instance)
    return dg.SkipReason(f"marked {', '.join(found)} as failed" if found else "no orphaned runs")

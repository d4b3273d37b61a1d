"""What is on: the configuration's word for each sensor and schedule, and their cursors as JSON.

Belongs here: what every sensor needs before it looks. Does not belong here: a sensor.
"""

import json
from typing import Any

import dagster as dg

from mediafm.automation import AutomationSettings, Automaton


def sensor_status(settings: AutomationSettings, name: Automaton) -> dg.DefaultSensorStatus:
    """Running from the start where the configuration says so. What was switched by hand in the UI goes before it."""
    return dg.DefaultSensorStatus.RUNNING if settings.is_on(name) else dg.DefaultSensorStatus.STOPPED


def schedule_status(settings: AutomationSettings, name: Automaton) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if settings.is_on(name) else dg.DefaultScheduleStatus.STOPPED


def read_cursor(cursor: str | None) -> dict[str, Any] | None:
    """A cursor that a sensor wrote; None at its first tick, and where somebody set it to what is no JSON object."""
    try:
        found = json.loads(cursor or "null")
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def written_cursor(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))

"""Why a step failed, in one sentence.

Belongs here: from Dagster's chain of errors to the words that a person needs. Does not belong here: who is told.
"""

import dagster as dg
from dagster._utils.error import SerializableErrorInfo

from mediafm import errors
from mediafm_pipelines.database_errors import remedy_of


def reason_of(event: dg.DagsterEvent) -> str:
    """What a step's failure says of itself; else the first error of ours in the chain, which names place and remedy,
    before what lies beneath it; else the deepest one."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    chain = _chain(data.error)
    ours = next((error for error in chain if _is_ours(error)), None)
    if ours is not None:
        return ours.message.strip().partition(": ")[2]
    return _with_remedy(chain[-1]) if chain else "no reason was given"


def _with_remedy(error: SerializableErrorInfo) -> str:
    """What lies deepest; of a database of the state (Dagster's, MLflow's) also what to do about it."""
    said = error.message.strip()
    return f"{said}. {remedy_of(said)}" if error.cls_name == "OperationalError" else said


def _chain(error: SerializableErrorInfo | None) -> list[SerializableErrorInfo]:
    found = []
    while error is not None:
        found.append(error)
        error = error.cause
    return found


def _is_ours(error: SerializableErrorInfo) -> bool:
    kind = getattr(errors, error.cls_name or "", None)
    return isinstance(kind, type) and issubclass(kind, errors.MediaFMError)

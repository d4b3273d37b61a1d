"""What is said of a failed step is what a person can act on, not what lies beneath it."""

from __future__ import annotations

import sqlite3

import dagster as dg
import pytest

from mediafm.errors import StoreError
from mediafm_pipelines.database_errors import remedy_of
from mediafm_pipelines.failures import reason_of

LOCKED = "database is locked"


def full_disk() -> None:
    try:
        raise OSError(28, "No space left on device")
    except OSError as error:
        raise StoreError("cannot write", rule="there is room", where="store/a", remedy="Free some space.") from error


def foreign_error() -> None:
    try:
        raise KeyError("beneath")
    except KeyError as error:
        raise ValueError("above") from error


def locked_database() -> None:
    raise sqlite3.OperationalError(LOCKED)


def told() -> None:
    raise dg.Failure("two titles failed")


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (full_disk, "store/a: cannot write; there is room. Free some space."),
        (foreign_error, "KeyError: 'beneath'"),
        (
            locked_database,
            f"sqlite3.OperationalError: {LOCKED}. {remedy_of(LOCKED)}",
        ),
        (told, "two titles failed"),
    ],
)
def test_the_sentence_of_a_failed_step(work: object, expected: str) -> None:
    assert callable(work)

    @dg.op
    def an_op() -> None:
        work()

    @dg.job
    def a_job() -> None:
        an_op()

    (event,) = a_job.execute_in_process(raise_on_error=False).get_step_failure_events()
    assert reason_of(event) == expected

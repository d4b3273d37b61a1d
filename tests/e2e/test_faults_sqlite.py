"""Dagster's SQLite held by another process: some seconds are waited for; more are told, and nothing is lost."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.command import Finished
from tests.e2e.faults import Attacked, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SHORT_SECONDS = 5.0
FILES = {"runs": "state/dagster/history/runs.db", "events": "state/dagster/history/runs/index.db"}
MOMENT = "store/titles/*/*/*.parquet"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Nobody else writes meanwhile, as under a backup that takes its time."""
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def test_a_lock_of_some_seconds_is_waited_for(few: Path, few_finished: Finished, tmp_path: Path) -> None:
    attacked = Attacked.of(tmp_path / "attacked")
    process = attacked.start(few)
    wait_for("the first title is there", lambda: any(attacked.root.glob(MOMENT)))
    for name in FILES.values():
        with locked(attacked.root / name):
            time.sleep(SHORT_SECONDS)
    after = attacked.finished(process)
    assert after.summary["titles"] == few_finished.summary["titles"]
    attacked.assert_whole(few_finished.root)
    attacked.assert_recorded_once()


@pytest.mark.parametrize("name", FILES)
def test_a_lock_that_outlasts_the_wait_is_told_and_the_next_run_completes(
    name: str, few: Path, few_finished: Finished, tmp_path: Path
) -> None:
    attacked = Attacked.of(tmp_path / "attacked")
    process = attacked.start(few)
    wait_for("the first title is there", lambda: any(attacked.root.glob(MOMENT)))
    with locked(attacked.root / FILES[name]):
        wait_for("the run gives up", lambda: process.poll() is not None)
    code, told, stderr = attacked.ended(process)
    assert code == 3
    assert "database is locked" in json.dumps(told) + stderr
    assert "run again" in json.dumps(told) + stderr
    after = attacked.run(few)
    assert after.summary["titles"] == few_finished.summary["titles"]
    attacked.assert_whole(few_finished.root)
    attacked.assert_recorded_once()

"""The machine's clock goes back in the middle of a run: what is current follows generations, never times."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.command import PROJECT_ROOT, Finished
from tests.e2e.faults import Attacked, select, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

BACK = timedelta(days=2)
SHIM = '''
"""Loaded by Python at its start: once a file `back` lies beside it, this process lives so many seconds earlier.

Python's `time`, and `datetime` in the modules that stamp records. (The class itself cannot be replaced for all: C code
knows its size.)
"""

import datetime
import importlib.machinery
import pathlib
import sys
import time

_BACK = pathlib.Path(__file__).with_name("back")
_STAMPING = {"mediafm.store.ledger", "mediafm.store.pointers", "mediafm.store.tombstones"}
_time, _time_ns = time.time, time.time_ns


def _seconds():
    return float(_BACK.read_text()) if _BACK.exists() else 0.0


class _Earlier(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.now(tz) - datetime.timedelta(seconds=_seconds())


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in _STAMPING:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.datetime = _Earlier

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _Finder)
time.time = lambda: _time() - _seconds()
time.time_ns = lambda: _time_ns() - int(_seconds() * 1e9)
'''

RECORDED = "SELECT min(recorded_at), max(recorded_at) FROM ledger"
NEWEST = """
SELECT DISTINCT generation, recorded_at FROM ledger WHERE table_name = 'titles' AND title_id = '{title_id}'
ORDER BY generation
"""


class Clock:
    """The clock of all processes that are started with `environment`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SHIM)
        self._back = folder / "back"
        self.environment = {"PYTHONPATH": f"{folder}:{PROJECT_ROOT}"}

    def goes_back(self, by: timedelta) -> None:
        self._back.write_text(str(by.total_seconds()))


def test_the_clock_going_back_changes_nothing_that_is_current(
    few: Path, few_finished: Finished, tmp_path: Path
) -> None:
    clock = Clock(tmp_path / "clock")
    attacked = Attacked.of(tmp_path / "attacked", environment=clock.environment)
    films = Path(shutil.copytree(few, tmp_path / "films"))
    before = datetime.now(UTC)
    process = attacked.start(films)
    wait_for("all are taken in", lambda: any(attacked.root.glob("ledger/raw_titles/*.parquet")))
    clock.goes_back(BACK)
    after = attacked.finished(process)
    ((first, last),) = select(attacked.root, RECORDED)
    assert utc(first) < before - BACK / 2, "it went back for what came later"
    assert utc(last) >= before, "and not for what came before"
    assert after.summary["titles"] == few_finished.summary["titles"]
    attacked.assert_whole(few_finished.root)
    attacked.assert_recorded_once()

    film, other = sorted(films.glob("*.mp4"))[:2]
    shutil.copyfile(other, film)
    attacked.run(films)
    generations = select(attacked.root, NEWEST.format(title_id=film.stem))
    assert [number for number, _ in generations] == [1, 2]
    assert generations[1][1] < generations[0][1], "what is newer bears the earlier time"
    renewed = Attacked.of(tmp_path / "renewed")
    renewed.run(films)
    attacked.assert_whole(renewed.root)

    assert states_as_of(attacked, datetime.now(UTC)) == {"ok": len(after.summary["titles"]["ok"])}
    assert states_as_of(attacked, before - BACK / 2) == {"ok": 1}, "the renewed film, whose record says so"
    assert states_as_of(attacked, before - 2 * BACK) == {}


def states_as_of(attacked: Attacked, moment: datetime) -> dict[str, int]:
    """How many titles an audit knows of at a time, by state; it believes the times that records bear."""
    tree = json.loads(attacked.call("audit", "--as-of", moment.isoformat(), "--json").stdout)["tree"]
    return dict(tree["facts"]["num_titles_by_state"])


def utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

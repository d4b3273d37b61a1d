"""SIGKILL at twenty drawn moments: of the run, of its decoding child, of a run worker of the daemon, of the daemon."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mediafm.extract.reader import CHILD_MODULE
from tests.e2e.command import Finished
from tests.e2e.faults import Attacked, Process, wait_for
from tests.e2e.test_ui import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SEED = 20261121
RUN_KILLS, CHILD_KILLS, WORKER_KILLS, DAEMON_KILLS = 8, 4, 5, 3
KILLS_A_ROOT = 4
SHORT_SECONDS = 3.0
"""Moments in a child or in a run worker of one tiny title are drawn from so long after it was seen."""
DAEMON = "dagster._daemon"
DAEMON_SETTINGS = """
[orchestration]
titles_per_run = 1
max_concurrent_runs = 1

[automation]
on = ["new_titles", "orphans"]

[automation.new_titles]
interval_seconds = 3
max_attempts = 20
"""


def drawn(salt: int) -> random.Random:
    """Printed, so that a failure can be told."""
    print(f"moments drawn with seed {SEED + salt}")
    return random.Random(SEED + salt)


def kill(process: Process) -> bool:
    """Whether it was still there."""
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def is_killed(process: subprocess.Popen[str], seconds: float) -> bool:
    """Kills the process after so long; False if it ended well before."""
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0, stdout + stderr
    return False


@pytest.mark.parametrize("chain", range(RUN_KILLS // KILLS_A_ROOT))
def test_a_run_killed_again_and_again_comes_to_the_undisturbed_values(
    chain: int, catalog: Path, finished: Finished, tmp_path: Path
) -> None:
    """A root that is done before it was killed often enough is looked at, and another one is begun."""
    random_moment, num_killed, num_roots = drawn(chain), 0, 0
    while num_killed < KILLS_A_ROOT:
        attacked = Attacked.of(tmp_path / f"{num_roots}")
        num_roots += 1
        while num_killed < KILLS_A_ROOT:
            moment = random_moment.uniform(0.0, finished.summary["wall_seconds"])
            is_hit = is_killed(attacked.start(catalog), moment)
            print(f"after {moment:.2f} s: {'killed' if is_hit else 'it had ended'}")
            if not is_hit:
                break
            num_killed += 1
            attacked.assert_nobody_is_left()
        after = attacked.run(catalog)
        assert after.summary["titles"] == finished.summary["titles"]
        assert after.summary["checkpoint"]["sha256"] == finished.summary["checkpoint"]["sha256"]
        attacked.assert_whole(finished.root)
        attacked.assert_recorded_once()


def test_decoding_children_are_killed_and_the_run_goes_on(few: Path, few_finished: Finished, tmp_path: Path) -> None:
    """Each child once; the one that takes its place is left alone, as two deaths over one file are quarantine."""
    random_moment, num_killed, num_roots = drawn(100), 0, 0
    while num_killed < CHILD_KILLS:
        attacked = Attacked.of(tmp_path / f"{num_roots}")
        num_roots += 1
        process = attacked.start(few)
        num_killed += kill_children(attacked, process, random_moment)
        after = attacked.finished(process)
        assert after.summary["titles"] == few_finished.summary["titles"]
        attacked.assert_whole(few_finished.root)
        attacked.assert_recorded_once()


def kill_children(attacked: Attacked, process: subprocess.Popen[str], random_moment: random.Random) -> int:
    """Kills every second child of a run until it ends; how many were killed."""
    known: set[int] = set()
    num_killed, is_replacement = 0, False
    while process.poll() is None:
        for child in attacked.processes():
            if CHILD_MODULE not in child.line or child.pid in known:
                continue
            known.add(child.pid)
            if is_replacement:
                is_replacement = False
                continue
            time.sleep(random_moment.uniform(0.0, SHORT_SECONDS))
            is_replacement = kill(child)
            num_killed += is_replacement
        time.sleep(0.1)
    return num_killed


@contextmanager
def servers(attacked: Attacked) -> Iterator[subprocess.Popen[str]]:
    """`mediafm ui`, ended together with all that it started."""
    arguments = ("--port", str(free_port()), "--mlflow-port", "0")
    process = attacked.command.start("ui", *attacked.command.on(attacked.root), *arguments)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=200)
        attacked.assert_nobody_is_left()


def run_workers(attacked: Attacked) -> list[Process]:
    """The processes of the daemon's runs: children of the code location's server, by multiprocessing."""
    found = attacked.processes()
    hosts = {each.pid for each in found if "dagster api grpc" in each.line or "dagster._cli" in each.line}
    return [each for each in found if each.parent in hosts and "spawn_main" in each.line]


def kill_workers(attacked: Attacked, kill_one: Callable[[Process], bool], num_wanted: int) -> None:
    """Kills at a drawn moment of each worker that is seen, until so many were hit."""
    random_moment, num_killed, seen = drawn(200 + num_wanted), 0, set[int]()
    while num_killed < num_wanted:

        def new_worker() -> Process | None:
            return next((each for each in run_workers(attacked) if each.pid not in seen), None)

        worker = wait_for("the daemon starts a run", new_worker)
        seen.add(worker.pid)
        moment = random_moment.uniform(0.0, SHORT_SECONDS)
        time.sleep(moment)
        is_hit = kill_one(worker)
        num_killed += is_hit
        print(f"{moment:.2f} s after it was seen: {'killed' if is_hit else 'it had ended'}")


def test_run_workers_of_the_daemon_are_killed(few: Path, few_finished: Finished, tmp_path: Path) -> None:
    attacked = Attacked.of(tmp_path / "attacked", DAEMON_SETTINGS, f'catalog = "{few}"\n')
    with servers(attacked):
        kill_workers(attacked, kill, WORKER_KILLS)
    after = attacked.run(few)
    assert after.summary["titles"] == few_finished.summary["titles"]
    attacked.assert_whole(few_finished.root)


def test_the_daemon_is_killed(few: Path, few_finished: Finished, tmp_path: Path) -> None:
    attacked = Attacked.of(tmp_path / "attacked", DAEMON_SETTINGS, f'catalog = "{few}"\n')
    random_moment = drawn(300)
    for _ in range(DAEMON_KILLS):
        with servers(attacked) as process:
            daemon = wait_for("there is a daemon", lambda: daemon_of(attacked))
            wait_for("the daemon starts a run", lambda: run_workers(attacked))
            time.sleep(random_moment.uniform(0.0, SHORT_SECONDS))
            assert kill(daemon)
            process.wait(200)
            attacked.assert_nobody_is_left()
    after = attacked.run(few)
    assert after.summary["titles"] == few_finished.summary["titles"]
    attacked.assert_whole(few_finished.root)


def daemon_of(attacked: Attacked) -> Process | None:
    return next((each for each in attacked.processes() if DAEMON in each.line), None)

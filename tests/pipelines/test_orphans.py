"""Runs whose process was killed do not block the next ones; others are left alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import dagster as dg
import pytest

from mediafm_pipelines import tags
from mediafm_pipelines.orphans import fail_orphans, is_orphan


def start_run(instance: dg.DagsterInstance, run_tags: dict[str, str]) -> str:
    @dg.op
    def nothing() -> None:
        """A job needs an op."""

    @dg.job
    def a_job() -> None:
        nothing()

    run = instance.create_run_for_job(a_job, tags=run_tags, status=dg.DagsterRunStatus.STARTED)
    return run.run_id


def tags_of_a_dead_process() -> dict[str, str]:
    code = "import json; from mediafm_pipelines import tags; print(json.dumps(tags.process_tags()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(found.stdout))


def test_a_run_whose_process_is_gone_is_marked_as_failed() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        dead = start_run(instance, tags_of_a_dead_process())
        alive = start_run(instance, tags.process_tags())
        foreign = start_run(instance, {})
        assert fail_orphans(instance) == [dead]
        assert instance.get_run_by_id(dead).status is dg.DagsterRunStatus.FAILURE
        assert instance.get_run_by_id(alive).status is dg.DagsterRunStatus.STARTED
        assert instance.get_run_by_id(foreign).status is dg.DagsterRunStatus.STARTED
        assert fail_orphans(instance) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, False),
        ({tags.HOST: "elsewhere"}, False),
        ({tags.BOOT_ID: "an earlier boot"}, True),
        ({tags.PROCESS_START: "1"}, True),
        ({tags.PID: "999999999"}, True),
    ],
)
def test_who_is_an_orphan(change: dict[str, str], expected: bool) -> None:
    run_tags = {**tags.process_tags(), **change}
    assert is_orphan(run_tags, socket.gethostname(), tags.boot_id()) is expected


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert tags.process_start(child.pid) is None
    child.wait()

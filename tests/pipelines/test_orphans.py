"""Runs whose process was killed do not block the next ones; others are left alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher.default_run_launcher import GRPC_INFO_TAG

from mediafm.config import Config
from mediafm_pipelines import tags
from mediafm_pipelines.instance import open_instance
from mediafm_pipelines.orphans import claim_run, fail_orphans, is_orphan


def start_run(instance: dg.DagsterInstance, run_tags: dict[str, str], parent_id: str | None = None) -> str:
    @dg.op
    def nothing() -> None:
        """A job needs an op."""

    @dg.job
    def a_job() -> None:
        nothing()

    run = instance.create_run_for_job(
        a_job, tags=run_tags, status=dg.DagsterRunStatus.STARTED, parent_run_id=parent_id, root_run_id=parent_id
    )
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


def test_a_run_that_the_daemon_started_bears_its_process_from_its_first_step_on() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = start_run(instance, {})
        claim_run(instance, instance.get_run_by_id(run_id))
        claimed = dict(instance.get_run_by_id(run_id).tags)
        assert claimed.items() >= tags.process_tags().items()
        assert fail_orphans(instance) == []
        instance.add_run_tags(run_id, tags_of_a_dead_process())
        assert fail_orphans(instance) == [run_id]


def test_a_retry_is_not_taken_for_its_parent_whose_tags_it_took_over() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        parent = start_run(instance, {})
        inherited = {**tags_of_a_dead_process(), tags.PROCESS_OF: parent}
        retry = start_run(instance, inherited, parent)
        assert fail_orphans(instance) == []
        claim_run(instance, instance.get_run_by_id(retry))
        assert instance.get_run_by_id(retry).tags.items() >= tags.process_tags().items()
        instance.add_run_tags(retry, tags_of_a_dead_process())
        assert fail_orphans(instance) == [retry]


def test_a_slot_that_a_killed_run_left_is_free_although_somebody_else_marked_the_run(tmp_path: Path) -> None:
    with open_instance(Config(root=str(tmp_path / "root"))) as instance:
        storage = instance.event_log_storage

        def holders() -> set[str]:
            return storage.get_concurrency_run_ids()

        storage.initialize_concurrency_limit_to_default("gpu")
        storage.set_concurrency_slots("gpu", 2)
        dead, alive = (start_run(instance, its) for its in (tags_of_a_dead_process(), tags.process_tags()))
        for run_id in (dead, alive):
            assert storage.claim_concurrency_slot("gpu", run_id, "train").is_claimed
            instance.report_run_failed(instance.get_run_by_id(run_id), "its worker ended")
        assert holders() == {dead, alive}
        assert fail_orphans(instance) == [], "it was marked before"
        assert holders() == {alive}, "who lives frees its slot itself"


def test_a_run_whose_server_ended_before_its_first_step_is_marked_as_failed(tmp_path: Path) -> None:
    gone, alive = str(tmp_path / "gone"), str(tmp_path / "alive")
    with socket.socket(socket.AF_UNIX) as server, dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        server.bind(alive)
        server.listen()
        lost, begun = (
            start_run(instance, {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": place})})
            for place in (gone, alive)
        )
        assert fail_orphans(instance) == [lost]
        assert instance.get_run_by_id(begun).status is dg.DagsterRunStatus.STARTED

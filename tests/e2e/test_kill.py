"""SIGKILL in the middle of a run: the next one starts at once, does what is missing, and comes to the same values."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from mediafm.config import load_config
from mediafm.extract.reader import CHILD_MODULE
from mediafm_pipelines.instance import open_instance
from mediafm_pipelines.orphans import UNFINISHED
from tests.e2e.command import Command, Finished, finish, select

CURRENT = "SELECT table_name, title_id, fingerprint, sha256 FROM current ORDER BY ALL"
REPEATED = """
SELECT table_name, title_id, fingerprint, count(*) FROM ledger WHERE state = 'ok' AND title_id <> ''
GROUP BY ALL HAVING count(*) > 1
"""
MADE_AGAIN = "SELECT object_key FROM ledger WHERE run_id IN ({runs}) AND seconds > 0 AND title_id <> ''"
MOMENTS = {
    "the first shots": "store/spans/*/*/*.parquet",
    "the first embedding": "store/video_embeddings/*/*/*.parquet",
    "training": "cache/corpora/[0-9a-f]*",
    "a state of the training": "cache/training/*/*.safetensors",
}
"""What appears in a root when a run comes to these moments, in their order."""
MORE_MOMENTS = {
    "Dagster's first file": "state/dagster/*",
    "the first raw title": "store/titles/*/*/*.parquet",
    "the first frames": "store/frames/*/*/*.parquet",
    "the last cues": "ledger/shots/*.parquet",
    "the first fused vectors": "store/fused_embeddings/*/*/*.parquet",
    "the manifest": "store/manifests/*/*",
    "the weights": "store/checkpoints/*/*",
    "the whole checkpoint": "store/checkpoints/*/folder.json",
    "a half-made MLflow database": "state/mlflow.making",
    "MLflow's database": "state/mlflow.db",
    "the checkpoint's row": "ledger/mediafm_checkpoint/*.parquet",
    "the champion": "ledger/champion/*.parquet",
    "the first contextual vectors": "store/contextual_embeddings/*/*/*.parquet",
    "serving": "ledger/served_manifest/*.parquet",
}
WAIT_SECONDS = 120.0


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Polls while `process` lives."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert process.poll() is None, "the run ended before the moment came"
        assert time.monotonic() < end, "the moment did not come"
        time.sleep(0.002)


def kill_at(command: Command, catalog: Path, root: Path, pattern: str) -> dict[str, tuple[int, int]]:
    """Starts a run and kills it when `pattern` matches in the root; what the store then holds.

    The children, which nobody killed, end by themselves.
    """
    process = command.start_run(catalog, root)
    wait_until(lambda: any(root.glob(pattern)), process)
    orphaned = [child for child, _ in children(process.pid)]
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    end = time.monotonic() + 10
    while any(is_alive(child) for child in orphaned):
        assert time.monotonic() < end, "a decoding child outlives the run"
        time.sleep(0.01)
    return values(root)


def values(root: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each value that stands in the store."""
    found = {}
    for path in root.glob("store/*/*/*/*.parquet"):
        status = path.stat()
        found[str(path.relative_to(root))] = status.st_ino, status.st_mtime_ns
    return found


def children(pid: int) -> list[tuple[int, str]]:
    """The processes that `pid` started, with their command lines."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found.append((int(folder.name), (folder / "cmdline").read_text()))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def assert_went_on(before: dict[str, tuple[int, int]], after: Finished, undisturbed: Finished) -> None:
    """Nothing waits, what stood stands, nothing is done twice, and readers see what an undisturbed run gives."""
    root, summary = after.root, after.summary
    assert values(root).items() >= before.items(), "a value that was done has been written again"
    assert select(root, CURRENT) == select(undisturbed.root, CURRENT)
    assert set(Counter(row[:2] for row in select(root, CURRENT)).values()) == {1}
    assert select(root, REPEATED) == []
    runs = ", ".join(f"'{run}'" for run in summary["dagster_runs"])
    made = {row[0] for row in select(root, MADE_AGAIN.format(runs=runs))} if runs else set()
    assert {key for key in made & set(before) if not is_redone_by_rule(key, before)} == set()
    assert summary["titles"] == undisturbed.summary["titles"]
    assert summary["checkpoint"] == undisturbed.summary["checkpoint"]
    assert summary["wall_seconds"] < 2 * undisturbed.summary["wall_seconds"] + 5


def is_redone_by_rule(key: str, before: dict[str, tuple[int, int]]) -> bool:
    """Raw titles are probed again until their rows are flushed; frames without spans are no finished cut."""
    _, table, _, title_id, _ = key.split("/")
    has_spans = any(other.split("/")[1:4:2] == ["spans", title_id] for other in before)
    return table == "titles" or (table == "frames" and not has_spans)


def assert_orphan_was_failed(command: Command, after: Finished) -> None:
    with open_instance(load_config(command.settings, {"root": str(after.root)})) as instance:
        assert instance.get_runs(filters=dg.RunsFilter(statuses=list(UNFINISHED))) == []
        for run_id in after.summary["orphans"]:
            assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.FAILURE


def test_a_run_killed_at_each_moment_comes_to_what_an_undisturbed_one_does(
    catalog: Path, command: Command, finished: Finished, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    before: dict[str, tuple[int, int]] = {}
    for pattern in MOMENTS.values():
        standing = kill_at(command, catalog, root, pattern)
        assert standing.items() >= before.items()
        before = standing
    after = command.run(catalog, root)
    assert len(after.summary["orphans"]) == 1
    assert_orphan_was_failed(command, after)
    assert_went_on(before, after, finished)
    ((details,),) = select(root, "SELECT details FROM ledger WHERE table_name = 'checkpoints'")
    assert json.loads(details)["resumed_at_step"] >= 3
    assert not list(root.glob("cache/training/*/*"))


@pytest.mark.slow
@pytest.mark.parametrize("moment", [*MOMENTS, *MORE_MOMENTS])
def test_a_kill_at_any_moment_is_made_good(
    moment: str, catalog: Path, command: Command, finished: Finished, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    before = kill_at(command, catalog, root, {**MOMENTS, **MORE_MOMENTS}[moment])
    after = command.run(catalog, root)
    assert_orphan_was_failed(command, after)
    assert_went_on(before, after, finished)


def test_the_decoding_child_alone_is_killed_and_the_run_goes_on(
    catalog: Path, command: Command, finished: Finished, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    titles = sorted(finished.summary["titles"]["ok"])[:3]
    for title_id in titles:
        for file in catalog.glob(f"{title_id}.*"):
            shutil.copy2(file, few)
    root = tmp_path / "root"
    process = command.start_run(few, root)
    wait_until(lambda: any(root.glob(MOMENTS["the first shots"])), process)
    killed = [pid for pid, line in children(process.pid) if CHILD_MODULE in line]
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    after = finish(process, root)
    assert len(killed) == 1
    assert after.summary["titles"] == {"ok": titles, "quarantined": [], "failed": []}
    assert "a checkpoint needs at least" in after.summary["reason"]
    contextual = {"contextual_embeddings", "title_embeddings"}
    expected = [row for row in select(finished.root, CURRENT) if row[1] in titles and row[0] not in contextual]
    assert select(root, CURRENT) == expected

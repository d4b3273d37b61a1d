"""The scale benchmark: its titles differ, its processes are counted, its table compares each wave with the first."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from benchmarks.processes import ProcessTree
from benchmarks.scale import BOOKKEEPING_GOAL_SECONDS, FLAT_GOAL, table_rows
from benchmarks.scale_daemon import Stage, folder_bytes
from benchmarks.scale_instance import seed_instance
from benchmarks.scale_titles import NUM_SHOTS, write_titles
from mediafm.catalog.scan import scan_catalog
from mediafm.config import Config
from mediafm.media.probe import probe
from mediafm_pipelines.instance import open_instance

BUSY = (
    "import time, sys\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nprint(1, flush=True)\n"
)


def stage(num_before: int, num_titles: int, seconds_a_title: float) -> Stage:
    return Stage(
        num_before=num_before,
        num_titles=num_titles,
        wall_seconds=2 * seconds_a_title * num_titles,
        worker_seconds=seconds_a_title * num_titles,
        other_seconds=1.0,
        worker_bytes=2**30,
        other_bytes=2**28,
        folder_bytes={"store": 1000 * (num_before + num_titles)},
    )


def test_titles_are_media_no_two_alike_and_the_same_again(tmp_path: Path) -> None:
    write_titles(tmp_path / "one", 0, 3)
    write_titles(tmp_path / "two", 1, 2)
    limits = Config().limits
    assert [title.title_id for title in scan_catalog(str(tmp_path / "one"), limits).titles] == [
        "title-000000",
        "title-000001",
        "title-000002",
    ]
    films = sorted((tmp_path / "one").glob("*.mp4"))
    assert len({hashlib.sha256(film.read_bytes()).hexdigest() for film in films}) == 3
    assert films[1].read_bytes() == (tmp_path / "two" / films[1].name).read_bytes()
    assert probe(str(films[0]), limits).duration_seconds == pytest.approx(1.5, abs=0.2)


def test_what_a_child_used_is_seen_after_its_end() -> None:
    child = subprocess.Popen([sys.executable, "-c", BUSY + "sys.stdin.read()"], stdin=-1, stdout=-1, text=True)
    assert child.stdout is not None
    tree = ProcessTree(child.pid)
    child.stdout.readline()
    tree.look()
    child.communicate("")
    tree.look()
    (seen,) = tree.seen.values()
    assert 0.2 < seen.cpu_seconds < 30
    assert seen.peak_bytes > 2**20
    assert tree.below("process_time") == [seen]
    assert tree.below("no such command") == []


def test_each_wave_is_compared_with_the_first() -> None:
    rows = {row.name: row for row in table_rows([stage(0, 100, 0.2), stage(100, 400, 0.3)], (0.05, 0.1))}
    first = rows["scale: run workers' processor, a title, until 100 titles"]
    assert (first.value, first.ratio, first.goal) == (pytest.approx(0.2), None, None)
    later = rows["scale: run workers' processor, a title, until 500 titles"]
    assert (later.ratio, later.goal, later.is_goal_met) == (pytest.approx(1.5), FLAT_GOAL, False)
    kept = rows["scale: bookkeeping a title over all assets, until 500 titles"]
    assert (kept.value, kept.goal) == (pytest.approx(0.25), BOOKKEEPING_GOAL_SECONDS)
    assert rows[f"scale: store/ of the root, a title ({NUM_SHOTS} shots)"].value == 1000


def test_folders_are_measured_with_all_below_them(tmp_path: Path) -> None:
    (tmp_path / "store" / "deep").mkdir(parents=True)
    (tmp_path / "store" / "deep" / "file").write_bytes(b"12345")
    (tmp_path / "state").mkdir()
    assert folder_bytes(tmp_path) == {"state": 0, "store": 5}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_seeded_instance_reads_as_a_grown_one(tmp_path: Path) -> None:
    titles = [f"t{number}" for number in range(130)]
    with open_instance(Config(root=str(tmp_path / "root"))) as instance:
        assert seed_instance(instance, titles, {"raw_titles": "v1", "shots": "v2"}) == 4 * len(titles)
        assert instance.get_dynamic_partitions("titles") == titles
        assert instance.get_runs_count() == 3
        for asset, version in (("raw_titles", "v1"), ("shots", "v2")):
            key = dg.AssetKey(asset)
            assert instance.get_materialized_partitions(key) == set(titles)
            told = instance.event_log_storage.get_latest_tags_by_partition(
                key, dg.DagsterEventType.ASSET_MATERIALIZATION, tag_keys=["dagster/data_version"]
            )
            assert {each["dagster/data_version"] for each in told.values()} == {version}
            newest = instance.get_latest_materialization_event(key)
            assert newest is not None
            assert instance.get_run_by_id(newest.run_id) is not None

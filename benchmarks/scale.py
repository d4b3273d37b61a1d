"""How the daemon's work grows: titles of next to no media through the real daemon, at 100, 500 and 2,000 titles.

Films are dropped into a watched folder in three waves, and `new_titles_sensor` asks for runs over them. What a title
costs in each wave is compared with the first one: flat means that a root of thousands takes a new title in as quickly
as an empty one. What the same titles cost without Dagster is the media's share; the rest is bookkeeping.

Processor seconds are compared rather than wall time: they hold on a machine that others use as well.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.row import Row
from benchmarks.scale_daemon import PROFILE, Stage, as_text, watched_root
from benchmarks.scale_titles import NUM_SHOTS, write_titles
from mediafm.catalog.scan import scan_catalog
from mediafm.config import Config
from mediafm.steps.pipeline import ingest
from mediafm.steps.workspace import Workspace

SIZES = (100, 500, 2000)
NUM_LIBRARY_TITLES = 128
NUM_ASSETS = 7
"""Partitioned assets that an ingest makes."""
FLAT_GOAL = 1.2
BOOKKEEPING_GOAL_SECONDS = 0.3
PATIENCE_SECONDS = 4 * 3600.0
MEBIBYTE = 2**20


def rows(catalog: Path | None, sizes: Sequence[int] = SIZES) -> list[Row]:
    """`catalog` is not used: the titles are made, each with as little media as there can be."""
    with tempfile.TemporaryDirectory() as folder:
        library = library_seconds(Path(folder) / "library", min(NUM_LIBRARY_TITLES, sizes[0]))
        with watched_root(Path(folder) / "daemon") as root:
            stages = []
            for size in sizes:
                stages.append(root.grow(size, PATIENCE_SECONDS))
                print(as_text(stages[-1:]), file=sys.stderr, flush=True)
    return table_rows(stages, library)


def table_rows(stages: Sequence[Stage], library: tuple[float, float]) -> list[Row]:
    """The table of some stages.

    Args:
        library: processor and wall seconds that a title takes without Dagster.
    """
    first, last = stages[0], stages[-1]
    found = []
    for stage in stages:
        until = f"until {stage.num_before + stage.num_titles:,} titles"
        is_first = stage is first
        rival = None if is_first else f"until {first.num_titles:,} titles"
        goal = None if is_first else FLAT_GOAL
        for what, unit, of in (
            ("run workers' processor, a title", "s", lambda one: one.worker_seconds / one.num_titles),
            ("wall, a title", "s", lambda one: one.wall_seconds / one.num_titles),
            ("a run worker's memory at most", "MiB", lambda one: one.worker_bytes / MEBIBYTE),
        ):
            name = f"scale: {what}, {until}"
            before = None if is_first else of(first)
            wanted = None if what.startswith("wall") else goal
            found.append(Row(name=name, value=of(stage), unit=unit, rival=rival, rival_value=before, goal=wanted))
        seconds = stage.worker_seconds / stage.num_titles - library[0]
        found += [
            Row(
                name=f"scale: bookkeeping a title over all assets, {until}",
                value=seconds,
                unit="s",
                goal=BOOKKEEPING_GOAL_SECONDS,
            ),
            Row(name=f"scale: bookkeeping a title and asset, {until}", value=seconds / NUM_ASSETS, unit="s"),
        ]
    total = last.num_before + last.num_titles
    found += [
        Row(name="scale: the same titles without Dagster, processor a title", value=library[0], unit="s"),
        Row(name="scale: the same titles without Dagster, wall a title", value=library[1], unit="s"),
        Row(
            name="scale: webserver, daemon and code server, share of one core",
            value=sum(one.other_seconds for one in stages) / sum(one.wall_seconds for one in stages),
            unit="cores",
        ),
        Row(name="scale: the largest of them", value=last.other_bytes / MEBIBYTE, unit="MiB"),
    ]
    for name, size in last.folder_bytes.items():
        found.append(Row(name=f"scale: {name}/ of the root, a title ({NUM_SHOTS} shots)", value=size / total, unit="B"))
    return found


def library_seconds(folder: Path, num_titles: int) -> tuple[float, float]:
    """Processor and wall seconds a title, without Dagster, in this process and its decoding children."""
    folder.mkdir(parents=True)
    write_titles(folder / "films", 0, num_titles)
    (folder / "scale.toml").write_text(PROFILE)
    config = Config(root=str(folder / "root"), profile=str(folder / "scale.toml"))
    titles = scan_catalog(str(folder / "films"), config.limits).titles
    before, started = _used_seconds(), time.monotonic()
    per_run = config.orchestration.titles_per_run
    for first in range(0, num_titles, per_run):
        with Workspace.open(config) as workspace:
            ingest(workspace, titles[first : first + per_run])
    seconds = (_used_seconds() - before) / num_titles, (time.monotonic() - started) / num_titles
    shutil.rmtree(folder)
    return seconds


def _used_seconds() -> float:
    """Of this process, and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)

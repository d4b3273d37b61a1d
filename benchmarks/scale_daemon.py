"""A root that the real daemon fills: `mediafm ui` with `new_titles_sensor` on, films dropped in, processes watched."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ProcessTree, watched_processes
from benchmarks.scale_titles import write_titles
from mediafm.config import Config, load_config
from mediafm.errors import MediaFMError

RUN_WORKER = "--multiprocessing-fork"
"""In the command of the processes in which Dagster's code server starts runs."""
POLL_SECONDS = 3.0
LAST_ASSET = "fused_embeddings"
PROFILE = """
name = "scale"
[detector]
name = "lite"
[video]
name = "fake-video"
[audio]
name = "fake-audio"
[text]
name = "fake-text"
"""
SETTINGS = """
root = "root"
catalog = "films"
profile = "./scale.toml"
[automation]
on = ["new_titles"]
[automation.new_titles]
interval_seconds = 5
"""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What it cost to take in some titles, from their coming to the end of the last run.

    num_before, num_titles: titles in the root before, and those that came.
    wall_seconds: of waiting, ticks of the sensor included.
    worker_seconds: processor time of the runs' processes and their decoding children.
    other_seconds: processor time of webserver, daemon and code server meanwhile.
    worker_bytes, other_bytes: the most that one such process held in memory.
    folder_bytes: what each folder of the root holds at the end.
    """

    num_before: int
    num_titles: int
    wall_seconds: float
    worker_seconds: float
    other_seconds: float
    worker_bytes: int
    other_bytes: int
    folder_bytes: dict[str, int]


class WatchedRoot:
    """A folder with a configuration, a root and films, and the servers that look after it."""

    def __init__(self, folder: Path, log: Path, top: subprocess.Popen[bytes], tree: ProcessTree) -> None:
        self.folder = folder
        self._log = log
        self._top = top
        self._tree = tree
        self._num_titles = 0

    @property
    def config(self) -> Config:
        return load_config(self.folder / "mediafm.toml")

    def grow(self, num_titles: int, patience_seconds: float) -> Stage:
        """Drops films until there are `num_titles`, and waits until all are taken in.

        Raises:
            RuntimeError: the servers ended, or it took longer than `patience_seconds`.
        """
        before, known = self._used(), set(self._tree.seen)
        num_before, started = self._num_titles, time.monotonic()
        write_titles(self.folder / "films", num_before, num_titles - num_before)
        dropped = time.monotonic()
        self._num_titles = num_titles
        while not self._is_done():
            if self._top.poll() is not None or time.monotonic() - started > patience_seconds:
                raise RuntimeError(f"{num_titles} titles were not taken in: {self._log.read_text()[-3000:]}")
            time.sleep(POLL_SECONDS)
        after = self._used()
        workers = self._tree.below(RUN_WORKER)
        fresh = [one for key, one in self._tree.seen.items() if key not in known and one in workers]
        others = [one for one in self._tree.seen.values() if one not in workers]
        return Stage(
            num_before=num_before,
            num_titles=num_titles - num_before,
            wall_seconds=time.monotonic() - dropped,
            worker_seconds=after[0] - before[0],
            other_seconds=after[1] - before[1],
            worker_bytes=max((one.peak_bytes for one in fresh), default=0),
            other_bytes=max(one.peak_bytes for one in others),
            folder_bytes=folder_bytes(self.folder / "root"),
        )

    def _used(self) -> tuple[float, float]:
        """Processor seconds of runs' processes, and of all others."""
        self._tree.look()
        of_workers = sum(one.cpu_seconds for one in self._tree.below(RUN_WORKER))
        return of_workers, self._tree.cpu_seconds() - of_workers

    def _is_done(self) -> bool:
        import dagster as dg

        from mediafm_pipelines.in_flight import unfinished_runs
        from mediafm_pipelines.instance import open_instance

        try:
            with open_instance(self.config) as instance:
                made = instance.get_materialized_partitions(dg.AssetKey(LAST_ASSET))
                return len(made) >= self._num_titles and not unfinished_runs(instance)
        except (MediaFMError, OSError):
            return False  # the root is being made


@contextmanager
def watched_root(folder: Path) -> Iterator[WatchedRoot]:
    """Starts the servers on an empty root in `folder`, and ends them."""
    (folder / "films").mkdir(parents=True)
    (folder / "mediafm.toml").write_text(SETTINGS)
    (folder / "scale.toml").write_text(PROFILE)
    log = folder / "ui.log"
    command = [sys.executable, "-m", "mediafm_pipelines", "ui", "--config", str(folder / "mediafm.toml")]
    with log.open("wb") as output:
        top = subprocess.Popen(
            [*command, "--port", str(free_port()), "--mlflow-port", "0"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with watched_processes(top.pid) as tree:
            yield WatchedRoot(folder, log, top, tree)
    finally:
        top.send_signal(signal.SIGTERM)
        top.wait(120)


def free_port() -> int:
    """A port of this machine that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def folder_bytes(root: Path) -> dict[str, int]:
    """Bytes of the files below each folder of `root`."""
    sizes = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        sizes[folder.name] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return sizes


def as_text(stages: list[Stage]) -> str:
    """The stages as JSON, for people who want more than the table."""
    return json.dumps([stage.__dict__ for stage in stages], indent=1)

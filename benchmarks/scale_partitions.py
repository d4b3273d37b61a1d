"""A root of 10,000 titles looked at: `mediafm status` in a process of its own, and what the UI's asset page asks.

The root is seeded: a ledger of titles through the whole graph, and Dagster's instance with the events of the runs that
made them. The questions ask for what an asset's page and its tab of partitions ask for (seen in a browser): the newest
materialisation, the numbers by state, staleness, and every partition's key and state.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.lineage_ledger import IDS, PRODUCERS, write_ledger
from benchmarks.processes import ProcessTree
from benchmarks.row import Row
from benchmarks.scale_daemon import free_port
from benchmarks.scale_instance import seed_instance
from mediafm.config import Config
from mediafm.lineage.tables import TABLES
from mediafm.store.compaction import compact
from mediafm.store.store import Store
from mediafm.testing.stored_titles import point
from mediafm_pipelines.instance import open_instance

NUM_TITLES = 10_000
NUM_REPEATS = 3
GOAL_SECONDS = 1.0
"""Of processor time: "about a second" on a machine that does nothing else."""
START_SECONDS = 600.0
SHOWN_ASSETS = ("raw_titles", "metadata_embeddings", "shots")
"""An asset's page asks for the asset and those that hang on it."""
LIVE = """query($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys, loadMaterializations: true) {
    assetKey { path }
    assetMaterializations(limit: 1) { timestamp runId }
    partitionStats { numMaterialized numMaterializing numPartitions numFailed }
  }
  assetsLatestInfo(assetKeys: $keys) { assetKey { path } latestRun { id status } inProgressRunIds unstartedRunIds }
}"""
STALE = "query($keys: [AssetKeyInput!]!) { assetNodes(assetKeys: $keys) { staleStatus staleCauses { reason } } }"
HEALTH = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionKeysByDimension { partitionKeys }
  assetPartitionStatuses { ... on DefaultPartitionStatuses {
    materializedPartitions materializingPartitions failedPartitions } } } } }"""


def rows(catalog: Path | None, num_titles: int = NUM_TITLES) -> list[Row]:
    """`catalog` is not used: the root is seeded."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        num_events = seed_root(root, num_titles)
        name = f"{num_titles:,} titles, {num_events:,} events"
        found = [
            *_both(f"scale: mediafm status, {name}", status_seconds(root)),
            *_both(f"scale: mediafm status --json, {name}", status_seconds(root, "--json")),
        ]
        with webserver(Path(folder), root) as server:
            keys = {"keys": [{"path": [asset]} for asset in SHOWN_ASSETS]}
            key = {"key": {"path": [SHOWN_ASSETS[0]]}}
            for about, query, variables in (
                ("asset page, newest events and numbers of partitions", LIVE, keys),
                ("asset page, staleness", STALE, keys),
                ("asset page, tab of partitions: each key and state", HEALTH, key),
            ):
                found += _both(f"scale: {about}, {name}", server.seconds(query, variables))
        return found


def _both(name: str, seconds: tuple[float, float]) -> list[Row]:
    return [
        Row(name=f"{name}, processor", value=seconds[0], unit="s", goal=GOAL_SECONDS),
        Row(name=f"{name}, wall", value=seconds[1], unit="s"),
    ]


def seed_root(root: Path, num_titles: int) -> int:
    """Titles through the whole graph on record, without files behind them; how many events Dagster has."""
    store = Store(root)
    point(store, PRODUCERS, serving=PRODUCERS)
    write_ledger(store, num_titles)
    compact(store, min_files=1)
    versions = {TABLES[table].asset: producer_id for table, producer_id in IDS.items()}
    with open_instance(Config(root=str(root))) as instance:
        return seed_instance(instance, [f"t{number}" for number in range(num_titles)], versions)


def status_seconds(root: Path, *options: str) -> tuple[float, float]:
    """Processor and wall seconds of `mediafm status` in a process of its own, the least of some."""
    best_used = best_wall = float("inf")
    for _ in range(NUM_REPEATS):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        command = [sys.executable, "-m", "mediafm_pipelines", "status", "--root", str(root), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=root.parent, env=_environment())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best_used, best_wall = min(best_used, used), min(best_wall, time.monotonic() - started)
    return best_used, best_wall


class Webserver:
    """Dagster's webserver on a root."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._tree = ProcessTree(process.pid)
        self._port = port

    def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The answer's data. Raises `RuntimeError` of an answer with errors."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"http://127.0.0.1:{self._port}/graphql"
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
        if found.get("errors"):
            raise RuntimeError(str(found["errors"])[:1000])
        return dict(found["data"])

    def seconds(self, query: str, variables: dict[str, Any]) -> tuple[float, float]:
        """Processor seconds of the server and its code server, and wall seconds; the least of some."""
        best_used = best_wall = float("inf")
        for _ in range(NUM_REPEATS):
            before, started = self._used(), time.monotonic()
            self.ask(query, variables)
            wall = time.monotonic() - started
            best_used, best_wall = min(best_used, self._used() - before), min(best_wall, wall)
        return best_used, best_wall

    def _used(self) -> float:
        self._tree.look()
        return self._tree.cpu_seconds()


@contextmanager
def webserver(folder: Path, root: Path) -> Iterator[Webserver]:
    """Starts the webserver with the graph, in `folder`, and ends it."""
    (folder / "mediafm.toml").write_text(f"root = {json.dumps(str(root))}\n")
    port = free_port()
    with (folder / "webserver.log").open("wb") as log:
        process = subprocess.Popen(
            [*_command(port)],
            cwd=folder,
            env={**_environment(), "DAGSTER_HOME": str(root / "state" / "dagster")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        server = Webserver(process, port)
        _wait_for(server, process, folder / "webserver.log")
        yield server
    finally:
        process.terminate()
        process.wait(60)


def _command(port: int) -> Sequence[str]:
    return (
        sys.executable, "-m", "dagster_webserver",
        "--module-name", "mediafm_pipelines.definitions",
        "--host", "127.0.0.1", "--port", str(port),
    )  # fmt: skip


def _wait_for(server: Webserver, process: subprocess.Popen[bytes], log: Path) -> None:
    started = time.monotonic()
    while True:
        try:
            if server.ask("query { assetNodes { assetKey { path } } }", {})["assetNodes"]:
                return
        except OSError:
            pass  # it does not listen yet
        if process.poll() is not None or time.monotonic() - started > START_SECONDS:
            raise RuntimeError(f"the webserver did not come up: {log.read_text()[-3000:]}")
        time.sleep(0.5)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}

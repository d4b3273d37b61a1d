"""What Dagster's bookkeeping costs: a catalogue ingested through the graph against the same steps without Dagster."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.row import Row, alternate_seconds
from mediafm.catalog.scan import scan_catalog
from mediafm.config import Config
from mediafm.media.synthetic.catalog import write_sample
from mediafm.media.synthetic.settings import TINY
from mediafm.progress import Silent
from mediafm.steps.pipeline import ingest
from mediafm.steps.plan import titles_to_ingest
from mediafm.steps.workspace import Workspace
from mediafm_pipelines.catalog_run import CatalogRun
from mediafm_pipelines.definitions import build_defs
from mediafm_pipelines.execution import run_assets
from mediafm_pipelines.instance import open_instance
from mediafm_pipelines.jobs import INGEST
from mediafm_pipelines.partitions import contiguous_ranges, register_titles

NUM_TITLES = 12
NUM_REPEATS = 2
GOAL_SECONDS = 0.3
"""A title over all assets (our goal)."""


def rows(catalog: Path | None) -> list[Row]:
    """Ingest with and without Dagster, and a run that has nothing to do."""
    with tempfile.TemporaryDirectory() as folder:
        films = catalog or _drawn(Path(folder) / "films")
        num_titles = len(scan_catalog(str(films), Config().limits).titles)
        roots = Path(folder) / "graph", Path(folder) / "library"
        graph, library = alternate_seconds(
            lambda: _through_dagster(films, roots[0]), lambda: _library(films, roots[1]), NUM_REPEATS
        )
        idle = _nothing_to_do(films, roots[0])
        name = f"orchestration: {num_titles} titles to fused vectors"
        share = max(0.0, graph - library) / num_titles
        done = f"orchestration: finding that {num_titles} titles are done"
        return [
            Row(name=name, value=graph, unit="s", rival="the same steps without Dagster", rival_value=library),
            Row(
                name="orchestration: Dagster's share, a title over all assets", value=share, unit="s", goal=GOAL_SECONDS
            ),
            Row(name=done, value=idle, unit="s", rival="making them through the graph", rival_value=graph),
        ]


def _drawn(directory: Path) -> Path:
    write_sample(directory, NUM_TITLES, 0, settings=TINY)
    return directory


def _through_dagster(films: Path, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    config = Config(root=str(root))
    run = CatalogRun(config, Silent())
    listed = [title.title_id for title in run.take_catalog(str(films))]
    with open_instance(config) as instance:
        register_titles(instance, listed)
        definitions = build_defs(config)
        for titles in contiguous_ranges(listed, listed, config.orchestration.titles_per_run):
            run_assets(definitions, instance, INGEST, titles, {})


def _library(films: Path, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    with Workspace.open(Config(root=str(root))) as workspace:
        ingest(workspace, scan_catalog(str(films), workspace.config.limits).titles)


def _nothing_to_do(films: Path, root: Path) -> float:
    """The ingest's part of a second run: what is missing is looked for, and nothing is."""
    started = time.perf_counter()
    with Workspace.open(Config(root=str(root))) as workspace:
        lacking = titles_to_ingest(workspace, scan_catalog(str(films), workspace.config.limits).titles)
    if lacking:
        raise RuntimeError(f"{len(lacking)} titles lack values after their ingest")
    return time.perf_counter() - started

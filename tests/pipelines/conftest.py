"""A tiny real catalogue, drawn once, and runs of it in roots of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mediafm.config import Config
from mediafm.media.synthetic.catalog import write_sample
from mediafm.media.synthetic.settings import TINY
from mediafm.progress import Silent
from mediafm_pipelines.catalog_run import CatalogRun

NUM_TITLES = 8
TRAINING = {"max_steps": 12, "preset": "tiny"}


@pytest.fixture(scope="session")
def drawn_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight tiny films, not to be changed."""
    directory = tmp_path_factory.mktemp("drawn") / "catalog"
    write_sample(directory, NUM_TITLES, 3, settings=TINY, num_workers=1)
    return directory


@pytest.fixture(scope="session")
def finished(drawn_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> CatalogRun:
    """One run of all of it, not to be changed."""
    started = CatalogRun(config_of(tmp_path_factory.mktemp("finished") / "root"), Silent())
    started.execute(str(drawn_catalog), (str(drawn_catalog / "labels"),))
    return started


@pytest.fixture
def root(finished: CatalogRun, tmp_path: Path) -> Path:
    """A copy of the finished root that a test may change; Dagster's and MLflow's state begins anew."""
    return Path(shutil.copytree(finished.config.root_path, tmp_path / "root", ignore=shutil.ignore_patterns("state")))


@pytest.fixture
def catalog(drawn_catalog: Path, tmp_path: Path) -> Path:
    """A copy that a test may change; file times are kept."""
    directory = tmp_path / "catalog"
    shutil.copytree(drawn_catalog, directory)
    return directory


def config_of(root: Path) -> Config:
    return Config.model_validate({"root": str(root), "training": TRAINING, "probes": {"num_bootstrap": 50}})


RunCatalog = Callable[..., CatalogRun]


@pytest.fixture
def run_catalog(tmp_path: Path) -> RunCatalog:
    """Runs a catalogue in this process: `run_catalog(catalog, root="root", **options of CatalogRun)`."""

    def run(catalog: Path | None, root: str = "root", labels: tuple[str, ...] = (), **options: bool) -> CatalogRun:
        started = CatalogRun(config_of(tmp_path / root), Silent(), **options)
        started.execute(str(catalog) if catalog else None, labels)
        return started

    return run

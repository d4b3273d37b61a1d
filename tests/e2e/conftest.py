"""A tiny catalogue, and one undisturbed `mediafm run` of it by a real process, for the whole session."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediafm.media.synthetic.catalog import write_sample
from mediafm.media.synthetic.settings import TINY
from tests.e2e.command import Command, Finished

NUM_TITLES = 6
NUM_FEW = 3
SMALL_DISK_BYTES = 48 * 1024**2
SETTINGS = """
[training]
max_steps = 8
save_every_steps = 3
preset = "tiny"

[probes]
num_bootstrap = 20
"""


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six tiny films, not to be changed."""
    directory = tmp_path_factory.mktemp("drawn") / "catalog"
    write_sample(directory, NUM_TITLES, 3, settings=TINY, num_workers=1)
    return directory


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """`mediafm` with a `mediafm.toml` that keeps training short."""
    file = tmp_path_factory.mktemp("settings") / "mediafm.toml"
    file.write_text(SETTINGS)
    return Command(file)


@pytest.fixture(scope="session")
def finished(catalog: Path, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """An undisturbed run, not to be changed."""
    root = tmp_path_factory.mktemp("finished") / "root"
    return command.run(catalog, root)


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tiny films, too few to train on: a run of them is short. Not to be changed."""
    directory = tmp_path_factory.mktemp("few") / "catalog"
    write_sample(directory, NUM_FEW, 5, settings=TINY, num_workers=1)
    return directory


@pytest.fixture(scope="session")
def few_finished(few: Path, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """An undisturbed run of the few, not to be changed."""
    root = tmp_path_factory.mktemp("few_finished") / "root"
    return command.run(few, root)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room; tests on it are skipped where mounting one is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}"]
    mounted = subprocess.run(["mount", *options, "tmpfs", str(place)], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)

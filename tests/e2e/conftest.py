"""A tiny catalogue, and one undisturbed `mediafm run` of it by a real process, for the whole session."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediafm.media.synthetic.catalog import write_sample
from mediafm.media.synthetic.settings import TINY
from tests.e2e.command import Command, Finished

NUM_TITLES = 6
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

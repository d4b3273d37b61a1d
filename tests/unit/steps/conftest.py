"""A workspace on fake encoders, and titles whose values are written without any media."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mediafm.config import Config
from mediafm.steps.workspace import Workspace

PROFILE = """
name = "fake"
[detector]
name = "lite"
[video]
name = "fake-video"
settings = { width = 4 }
[audio]
name = "fake-audio"
settings = { width = 4 }
[text]
name = "fake-text"
settings = { width = 4 }
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    profile = tmp_path / "fake.toml"
    profile.write_text(PROFILE)
    return Config.model_validate({"root": str(tmp_path / "root"), "profile": str(profile), "device": "cpu"})


@pytest.fixture
def workspace(config: Config) -> Iterator[Workspace]:
    with Workspace.open(config, run_id="run-1") as opened:
        yield opened

"""What every test may ask for. Skips are decided here and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """The folder of real media beside the project; tests on it are skipped where it is absent.

    With MEDIAFM_REQUIRE_MEDIA set, as `.ci/run` does, absence is a failure.
    """
    folder = PROJECT_ROOT.parent / "shared" / "media"
    if not folder.is_dir():
        if os.environ.get("MEDIAFM_REQUIRE_MEDIA"):
            pytest.fail(f"{folder} is absent, and a run that requires real media must not skip its tests")
        pytest.skip("no shared/media beside the project")
    return folder

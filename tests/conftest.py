"""What every test may ask for. Skips are decided here and nowhere else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch

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


@pytest.fixture
def cuda() -> torch.device:
    """A GPU; tests on it are skipped where there is none. With MEDIAFM_REQUIRE_CUDA set, absence is a failure."""
    import torch

    if not torch.cuda.is_available():
        if os.environ.get("MEDIAFM_REQUIRE_CUDA"):
            pytest.fail("no CUDA device, and a run that requires one must not skip its tests")
        pytest.skip("no CUDA device")
    return torch.device("cuda")


@pytest.fixture
def cpp_compiler() -> str:
    """The C++ compiler that `torch.compile` would use on a CPU; tests that compile are skipped where there is none."""
    command = os.environ.get("CXX", "g++")
    if shutil.which(command) is None:
        pytest.skip(f"no C++ compiler ({command})")
    return command

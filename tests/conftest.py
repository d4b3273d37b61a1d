"""What every test may ask for. Skips are decided here and nowhere else."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mediafm.s3.client import open_client
from mediafm.s3.settings import S3Settings
from mediafm.testing.s3_server import S3Proxy, moto_server, s3_proxy

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


FAKE_ACCESS_KEY = "AKIATESTTESTTESTTEST"
FAKE_SECRET_KEY = "fakefakefake/secret+that+must+never+be+shown"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The endpoint URL of a real bucket service, moto's, in a process of its own."""
    with moto_server() as url:
        yield url


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """A proxy in front of it that counts and may fail; credentials stand in the environment, and nowhere else."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", FAKE_ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", FAKE_SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with s3_proxy(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture
def bucket(s3_endpoint: str, s3: S3Proxy) -> str:
    """The name of a bucket that is empty."""
    name = f"films-{uuid.uuid4().hex[:12]}"
    open_client(S3Settings(endpoint_url=s3_endpoint)).create_bucket(Bucket=name)
    return name

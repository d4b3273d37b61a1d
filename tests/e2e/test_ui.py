"""`mediafm ui`: the servers come up on loopback, show the root, and leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from mediafm.config import Config
from mediafm_pipelines.instance import open_instance
from mediafm_pipelines.partitions import register_titles

ROOT = Path(__file__).resolve().parents[2]
QUERY = "{assetNodes {assetKey {path} groupName} }"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asked(port: int, query: str) -> dict[str, object]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer)["data"])


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "the UI ended by itself"
        try:
            asked(port, "{version}")
        except OSError:
            time.sleep(1)
        else:
            return
    pytest.fail(f"nothing answered on port {port} in {seconds} s")


@pytest.mark.slow
def test_the_ui_shows_the_root_and_ends_without_leftovers(tmp_path: Path) -> None:
    config = Config(root=str(tmp_path / "root"))
    with open_instance(config) as instance:
        register_titles(instance, ["a-film"])
    port = free_port()
    command = [sys.executable, "-m", "mediafm_pipelines", "ui", "--root", config.root, "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*command, "--mlflow-port", "0"], cwd=tmp_path, env=environment)
    try:
        wait_for(port, process)
        nodes = asked(port, QUERY)["assetNodes"]
        assert isinstance(nodes, list)
        assert len(nodes) == 15
        children = subprocess.run(["pgrep", "-f", "--", f"--port {port}"], capture_output=True, text=True, check=False)
        assert children.stdout.split()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    left = subprocess.run(["pgrep", "-f", "--", f"--port {port}"], capture_output=True, text=True, check=False)
    assert left.stdout.split() == []


def test_a_wrong_profile_is_told_before_anything_starts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mediafm_pipelines", "ui", "--root", "root", "--profile", "nope"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert found.returncode == 2
    assert found.stderr.startswith("mediafm: profile 'nope'; a profile is one of full, lite")
    assert list(tmp_path.iterdir()) == []

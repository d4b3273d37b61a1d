"""`dagster dev` in a folder as a user starts it, asked through the GraphQL of its own pages."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mediafm.errors import MediaFMError
from tests.e2e.command import PROJECT_ROOT
from tests.e2e.test_ui import free_port, wait_for

STAGE_SECONDS = 1800
"""Of patience, no goal: each stage is some runs, on a machine that may be busy."""
SERVER_FILES = ("dagster.yaml", "workspace.yaml")
REPOSITORY = 'repositoryName: "__repository__", repositoryLocationName: "mediafm"'
TICKS = (
    "{{sensorOrError(sensorSelector: {{" + REPOSITORY + ', sensorName: "{name}"}}) {{ ... on Sensor {{ sensorState {{ '
    "status ticks(limit: {limit}) {{ timestamp status skipReason error {{ message }} }} }} }} }} }}"
)


@dataclass(frozen=True)
class DagsterDev:
    """The servers of a folder: webserver, daemon, code location."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def asked(self, query: str) -> dict[str, Any]:
        """The data of an answer without errors."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": query}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return dict(found["data"])

    def ticks(self, sensor: str, limit: int = 20) -> list[dict[str, Any]]:
        """The newest ticks of a sensor, newest first."""
        state = self.asked(TICKS.format(name=sensor, limit=limit))["sensorOrError"]["sensorState"]
        assert state["status"] == "RUNNING", sensor
        return list(state["ticks"])

    def waits(self, what: str, holds: Callable[[], Any], seconds: float = STAGE_SECONDS, every: float = 1.0) -> Any:
        """What `holds` answers, once that is something."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the servers ended by themselves: {self.log.read_text()[-3000:]}"
            try:
                found = holds()
            except (MediaFMError, OSError):
                found = None  # the root is being made
            if found:
                return found
            time.sleep(every)
        return pytest.fail(f"waited {seconds} s in vain until {what}: {self.log.read_text()[-5000:]}")

    def waits_for_ticks(self, sensor: str, count: int) -> list[dict[str, Any]]:
        """So many ticks that began after this call, and are over."""
        began = time.time()

        def found() -> list[dict[str, Any]]:
            new = [tick for tick in self.ticks(sensor) if tick["timestamp"] >= began and tick["status"] != "STARTED"]
            return new if len(new) >= count else []

        return list(self.waits(f"{sensor} ticked {count} times", found))


@contextmanager
def dagster_dev(folder: Path) -> Iterator[DagsterDev]:
    """Copies the project's two server files beside `mediafm.toml`, and starts `dagster dev` there, no variable set."""
    for name in SERVER_FILES:
        shutil.copy(PROJECT_ROOT / name, folder)
    unset = ("DAGSTER_HOME", "MEDIAFM_FLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    port, log = free_port(), folder / "dagster-dev.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "--port", str(port)],
            cwd=folder,
            env={**environment, "PYTHONPATH": str(PROJECT_ROOT)},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(port, process)
            yield DagsterDev(folder, port, process, log)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

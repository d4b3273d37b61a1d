"""The real command in processes of its own, and what a root holds afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mediafm.store.store import Store
from mediafm.store.views import connect

PROJECT_ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Finished:
    """A `mediafm run --json` that came to its end.

    summary: the one JSON object on stdout.
    """

    root: Path
    summary: dict[str, Any]
    stderr: str


@dataclass(frozen=True)
class Command:
    """`mediafm` as users start it, with one `mediafm.toml`.

    environment: variables beside those of this process.
    """

    settings: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), **self.environment}
        return subprocess.Popen(
            [sys.executable, "-m", "mediafm_pipelines", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.settings.parent,
            env=environment,
        )

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def start_run(self, catalog: Path | str, root: Path) -> subprocess.Popen[str]:
        return self.start("run", str(catalog), *self.on(root), "--json")

    def run(self, catalog: Path, root: Path) -> Finished:
        """A run to its end; all titles ok."""
        return finish(self.start_run(catalog, root), root)

    def on(self, root: Path) -> tuple[str, ...]:
        return "--config", str(self.settings), "--root", str(root)


def finish(process: subprocess.Popen[str], root: Path, timeout_seconds: float = TIMEOUT_SECONDS) -> Finished:
    """Waits for a run that must end well."""
    stdout, stderr = process.communicate(timeout=timeout_seconds)
    assert process.returncode == 0, stdout + stderr
    summary = json.loads(stdout)
    assert summary["faults"] == []
    return Finished(root, summary, stderr)


def select(root: Path, query: str) -> list[tuple[Any, ...]]:
    with connect(Store(root)) as connection:
        return connection.execute(query).fetchall()

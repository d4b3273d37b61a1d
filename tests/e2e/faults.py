"""What the campaign of faults shares: a root under attack, who still works for it, and whether it came out whole."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import dagster as dg

from mediafm.config import load_config
from mediafm.steps.agreement import compare
from mediafm.store.files import SCRATCH_FOLDER, SCRATCH_GRACE_SECONDS
from mediafm.store.store import Store
from mediafm_pipelines.agreement import ask_dagster
from mediafm_pipelines.instance import open_instance
from tests.e2e.command import Command, Finished, finish, select

CURRENT = "SELECT table_name, title_id, fingerprint, sha256 FROM current ORDER BY ALL"
INDEXED = "SELECT object_key FROM ledger WHERE state = 'ok' AND title_id <> '' AND object_key <> ''"
REPEATED = """
SELECT table_name, title_id, fingerprint, count(*) FROM ledger WHERE state = 'ok' AND title_id <> ''
GROUP BY ALL HAVING count(*) > 1
"""
POOL = "gpu"
PROFILE = "pooled.toml"
SETTINGS = f"""
profile = "{PROFILE}"

[training]
max_steps = 8
save_every_steps = 3
preset = "tiny"

[probes]
num_bootstrap = 20
"""
"""Of all attacked roots: those of the undisturbed one; the profile is `lite` in a pool, which gives the same values."""
UNDER_WAY = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
LIBRARIES = "LD_LIBRARY_PATH"
ENDING_SECONDS = 120.0
WAIT_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Process:
    """A live process that works for a root."""

    pid: int
    parent: int
    line: str


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """A root that suffers faults, and the command that works on it.

    root: the folder.
    command: whose processes, and theirs, bear `mark` in their environment.
    mark: a folder that is not there, named last among those where all its processes look for shared libraries, the
        decoding child among them, which is given little else of an environment: by this they are known.
    """

    root: Path
    command: Command
    mark: Path

    @classmethod
    def of(
        cls, folder: Path, tables: str = "", fields: str = "", environment: Mapping[str, str] | None = None
    ) -> Attacked:
        """A root `folder/root`, not there yet, under a `mediafm.toml` of `SETTINGS`, these fields and tables."""
        folder.mkdir(parents=True)
        mark = folder / "mark"
        libraries = ":".join([*os.environ.get(LIBRARIES, "").split(":"), str(mark)]).lstrip(":")
        file = folder / "mediafm.toml"
        file.write_text(fields + SETTINGS + tables)
        write_profile(folder)
        command = Command(file, {LIBRARIES: libraries, **(environment or {})})
        return cls(root=folder / "root", command=command, mark=mark)

    def moved(self, root: Path) -> Attacked:
        """The same with another root."""
        return replace(self, root=root)

    def start(self, catalog: Path | str) -> subprocess.Popen[str]:
        return self.command.start_run(catalog, self.root)

    def run(self, catalog: Path | str) -> Finished:
        return self.finished(self.start(catalog))

    def finished(self, process: subprocess.Popen[str]) -> Finished:
        """Waits for a run that must end well."""
        return finish(process, self.root, WAIT_SECONDS)

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
        """Waits for a run that may end badly: exit code, the JSON object on stdout, and stderr, without a traceback."""
        stdout, stderr = process.communicate(timeout=WAIT_SECONDS)
        assert "Traceback" not in stderr, stderr
        found = process.returncode, json.loads(stdout), stderr
        print(*found)
        return found

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        verb, *others = arguments
        return self.command.call(verb, *self.command.on(self.root), *others)

    def processes(self) -> list[Process]:
        """All live processes that bear the mark."""
        wanted = str(self.mark).encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if wanted not in (folder / "environ").read_bytes():
                    continue
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                line = (folder / "cmdline").read_text().replace("\0", " ")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if state not in {"Z", "X"}:
                found.append(Process(pid=int(folder.name), parent=int(parent), line=line))
        return found

    def unfinished_writes(self) -> list[Path]:
        """Files of the root's areas that no key can name: what writers have not finished."""
        areas = ("store", "ledger", "pointers")
        return [path for area in areas for path in (self.root / area).glob("**/.*/**/*") if path.is_file()]

    def in_instance(self, ask: Callable[[dg.DagsterInstance], Any]) -> Any:
        """What the root's own instance answers."""
        with open_instance(load_config(self.command.settings, {"root": str(self.root)})) as instance:
            return ask(instance)

    def assert_whole(self, undisturbed: Path) -> None:
        """Everything that an undisturbed root has, once, and nothing that a dead process left.

        Only to be asked when a run has ended well.
        """
        self.assert_values(undisturbed)
        self.assert_nobody_is_left()
        self.assert_pool_is_free()
        self.assert_swept()
        config = load_config(self.command.settings, {"root": str(self.root)})
        assert compare(config, 50, {"Dagster": ask_dagster}).findings == (), "as `mediafm audit --check` says"

    def assert_values(self, undisturbed: Path) -> None:
        current = select(self.root, CURRENT)
        assert current == select(undisturbed, CURRENT)
        assert set(Counter(row[:2] for row in current).values()) == {1}
        indexed = [row[0] for row in select(self.root, INDEXED)]
        stored = {str(path.relative_to(self.root)) for path in self.root.glob("store/*/*/*/*.parquet")}
        assert stored == set(indexed), "the ledger is an index of the files"

    def assert_recorded_once(self) -> None:
        assert select(self.root, REPEATED) == []

    def assert_nobody_is_left(self) -> None:
        end = time.monotonic() + ENDING_SECONDS
        while left := self.processes():
            assert time.monotonic() < end, f"processes outlive the command: {left}"
            time.sleep(0.05)

    def assert_pool_is_free(self) -> None:
        """No run is said to be under way, and none holds a slot of the pool. What is queued waits for a daemon."""

        def ask(instance: dg.DagsterInstance) -> tuple[list[str], set[str]]:
            slots = instance.event_log_storage.get_concurrency_info(POOL)
            under_way = instance.get_runs(filters=dg.RunsFilter(statuses=list(UNDER_WAY)))
            return [run.run_id for run in under_way], {*slots.active_run_ids, *slots.pending_run_ids}

        assert self.in_instance(ask) == ([], set())

    def assert_swept(self) -> None:
        """What killed writers left is gone once it is older than the grace that a living one is given."""
        for path in self.unfinished_writes():
            assert path.parent.name == SCRATCH_FOLDER, f"a half-written file outside of {SCRATCH_FOLDER}: {path}"
            old = time.time() - SCRATCH_GRACE_SECONDS - 1
            os.utime(path, (old, old))
        Store(self.root).files.sweep()
        assert self.unfinished_writes() == []


def write_profile(folder: Path) -> None:
    """The profile `lite` with a pool."""
    lite = (resources.files("mediafm") / "profiles" / "lite.toml").read_text()
    (folder / PROFILE).write_text(f'pool = "{POOL}"\n{lite}')


def wait_for(what: str, holds: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Polls; fails when it takes longer than a broken program would need."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain until {what}"
        time.sleep(0.01)
    return found

"""All sensors through the real daemon: films come, are trained on and served; one goes; a run fails; one is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mediafm.config import Config, load_config
from mediafm.errors import MediaFMError
from mediafm.steps.summary import root_status
from mediafm.store.store import Store
from mediafm.store.views import records
from mediafm_pipelines.definitions import build_defs
from mediafm_pipelines.instance import open_instance
from tests.e2e.test_ui import ROOT, free_port
from tests.pipelines.test_orphans import start_run, tags_of_a_dead_process

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

FIRST, LATER = 4, 2
STAGE_SECONDS = 400
"""Of patience, no goal: four stages of some runs each, on a machine that may be busy."""
TOLD = "import sys, pathlib; pathlib.Path(sys.argv[1]).open('a').write(sys.stdin.read() + chr(10))"
SETTINGS = """
root = "root"
catalog = "films"

[training]
max_steps = 4
preset = "tiny"

[probes]
num_bootstrap = 10

[automation]
on = "all"

[automation.new_titles]
interval_seconds = 3

[automation.retrain]
interval_seconds = 3
min_titles = 2
min_hours_between = 0.001

[automation.reembed]
interval_seconds = 3

[automation.failures]
interval_seconds = 3
command = {command}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "mediafm.toml"
    command = [sys.executable, "-c", TOLD, str(tmp_path / "told.jsonl")]
    file.write_text(SETTINGS.format(command=json.dumps(command)))
    (tmp_path / "films").mkdir()
    return file


@pytest.fixture
def daemon(settings: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`mediafm ui` as a user starts it: webserver, daemon, code location."""
    arguments = ["ui", "--config", str(settings), "--port", str(free_port()), "--mlflow-port", "0"]
    with (tmp_path / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mediafm_pipelines", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def drop(catalog: Path, films: Path, first: int, last: int) -> None:
    """Films `first` to `last` of a drawn catalogue, with what lies beside them."""
    names = sorted(path.stem for path in catalog.iterdir() if path.suffix in {".mp4", ".mkv"})[first:last]
    for path in catalog.iterdir():
        if path.is_file() and path.name.split(".")[0] in names:
            shutil.copy(path, films / path.name)


def wait_until(what: str, holds: Callable[[], Any], process: subprocess.Popen[bytes], log: Path) -> Any:
    deadline = time.monotonic() + STAGE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the servers ended by themselves: {log.read_text()[-3000:]}"
        try:
            found = holds()
        except (MediaFMError, OSError):
            found = None  # the root is being made
        if found:
            return found
        time.sleep(1)
    pytest.fail(f"waited {STAGE_SECONDS} s in vain until {what}: {log.read_text()[-5000:]}")


def served(config: Config, num_titles: int) -> bool:
    """Whether readers get the champion's vectors of so many titles."""
    found = root_status(config)
    return bool(
        found["states"].get("ok") == num_titles
        and found["serving"]
        and found["rollout"]
        and not found["rollout"]["is_under_way"]
    )


def runs_of(config: Config, job: str) -> list[dg.DagsterRun]:
    with open_instance(config) as instance:
        return list(instance.get_runs(filters=dg.RunsFilter(job_name=job)))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_evening_of_the_daemon(
    catalog: Path, settings: Path, daemon: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    config, films, log = load_config(settings), tmp_path / "films", tmp_path / "ui.log"
    drop(catalog, films, 0, FIRST)

    def waits(what: str, holds: Callable[[], Any]) -> Any:
        return wait_until(what, holds, daemon, log)

    waits("the first films are served", lambda: served(config, FIRST))
    with open_instance(config) as instance:
        orphan = start_run(instance, tags_of_a_dead_process())
    first = len(runs_of(config, "retrain_job"))
    assert first >= 1
    assert all(run.tags["mediafm/exclusive"] == "training" for run in runs_of(config, "retrain_job"))

    drop(catalog, films, FIRST, FIRST + LATER)
    waits("the later films are served too", lambda: served(config, FIRST + LATER))
    waits("they are trained on", lambda: len(runs_of(config, "retrain_job")) > first)
    assert {run.tags["mediafm/requested_by"] for run in runs_of(config, "ingest_job")} == {"new_titles_sensor"}
    assert len(records(Store(config.root_path), ["checkpoints"])) >= 1

    gone = sorted(path for path in films.iterdir() if path.suffix in {".mp4", ".mkv"})[0]
    gone.unlink()
    waits("the film that went is marked", lambda: root_status(config)["states"].get("vanished") == 1)

    with open_instance(config) as instance:
        failed = (
            build_defs(config)
            .resolve_job_def("rollback_job")
            .execute_in_process(
                instance=instance,
                raise_on_error=False,
                run_config={"ops": {"roll_back": {"config": {"to": "0" * 64, "reason": "nobody has that one"}}}},
            )
        )
        assert not failed.success

    def told() -> dict[str, dict[str, Any]]:
        """Facts by run."""
        lines = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
        assert len(lines) == len({line["run_id"] for line in lines}), "each run once"
        return {line["run_id"]: line for line in lines}

    waits("the failed run was told of", lambda: failed.run_id in told())
    waits("the killed run was found and told of", lambda: orphan in told())
    assert "roll_back" in told()[failed.run_id]["steps"]
    assert "is gone" in told()[orphan]["message"]

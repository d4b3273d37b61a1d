"""Several ranks of this host as children of this process: started, heard, and ended with it.

Of several hosts this one is node 0, whose first rank writes. The others see the same root, and whoever starts processes
there starts what `command_of_others` says; a host that ends early ends them all.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mediafm.config import TrainingSettings
from mediafm.errors import MediaFMError, TrainingError
from mediafm.train.curves import CurvePoint
from mediafm.train.job import TOLD_FILE, TrainingJob, first_error, read_result
from mediafm.train.loop import OnMetrics, Progress, TrainResult

MODULE = "mediafm.train"
LOG_FILE = "ranks.log"
POLL_SECONDS = 0.2
END_SECONDS = 10.0
"""How long `torchrun` may take to end its ranks before it is killed; they then end by themselves."""
LOG_LINES = 20
"""Of the ranks' log, in the error of ranks that could not say what stopped them."""

Hear = Callable[[Mapping[str, Any]], None]
"""Told what the first rank tells: {"num_steps", "max_steps"} or {"point"}."""


def has_ranks(settings: TrainingSettings) -> bool:
    """Whether the configuration asks for more than this process."""
    return settings.processes > 1 or bool(settings.torchrun)


def train_on_ranks(
    settings: TrainingSettings,
    job: TrainingJob,
    progress: Progress | None = None,
    on_metrics: OnMetrics | None = None,
) -> TrainResult:
    """Trains the job on as many ranks as the configuration asks for; raises as `run_ranks`."""
    told = Path(job.output) / TOLD_FILE
    num_read = 0

    def listen() -> None:
        nonlocal num_read
        if told.is_file():
            with told.open("rb") as file:
                file.seek(num_read)
                whole, newline, _ = file.read().rpartition(b"\n")
            num_read += len(whole) + len(newline)
            for line in whole.splitlines():
                hear(json.loads(line), progress, on_metrics)

    return run_ranks(settings, job, MODULE, listen)


def hear(told: Mapping[str, Any], progress: Progress | None, on_metrics: OnMetrics | None) -> None:
    """Hands on what the first rank told."""
    if "point" in told and on_metrics is not None:
        on_metrics(CurvePoint(**told["point"]))
    elif "num_steps" in told and progress is not None:
        progress(told["num_steps"], told["max_steps"])


def run_ranks(
    settings: TrainingSettings,
    job: TrainingJob,
    module: str,
    listen: Callable[[], None],
    variables: Mapping[str, str] | None = None,
) -> TrainResult:
    """Runs `python -m module JOB` on each rank, to its end; whatever ends this wait ends them all.

    Args:
        module: `mediafm.train`, or one that does the same and more.
        listen: called again and again while they run, and once after.
        variables: of the ranks' environment.

    Raises:
        MediaFMError: what stopped the rank that stopped first.
        TrainingError: no rank could say; with the end of their log.
    """
    output = Path(job.output)
    shutil.rmtree(output, ignore_errors=True)
    job.write()
    log = output / LOG_FILE
    command = command_of(settings, module, job.file)
    status = _run(command, log, {**_threads(settings.processes), **(variables or {})}, listen)
    if status != 0:
        raise first_error(output) or _silence(status, log)
    result = read_result(output)
    shutil.rmtree(output)
    return result


def command_of(settings: TrainingSettings, module: str, job_file: Path) -> list[str]:
    """The command line of this host's ranks."""
    return [
        *(sys.executable, "-m", "mediafm.train.agent"),
        *(settings.torchrun or ("--standalone",)),
        *("--nproc-per-node", str(settings.processes), "--max-restarts", "0"),
        *("--shutdown-timeout", str(int(END_SECONDS / 2)), "-m", module, str(job_file)),
    ]


def command_of_others(settings: TrainingSettings, job_file: Path) -> str:
    """What each other host starts once the job is there, K being its number; "" if there is no other."""
    if not settings.torchrun:
        return ""
    words = command_of(settings, MODULE, job_file)
    words[0] = "python"
    if "--node-rank" in words:
        words[words.index("--node-rank") + 1] = "K"
    return " ".join(words)


def _run(command: list[str], log: Path, variables: Mapping[str, str], listen: Callable[[], None]) -> int:
    """In a session of their own, so that Ctrl-C reaches this process alone and ends them in one way."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while True:
                try:
                    status = process.wait(POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    listen()
                    continue
                listen()
                return status
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _threads(num_processes: int) -> dict[str, str]:
    """The CPU's threads, shared out; what the user set stands."""
    if "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // num_processes))}


def _silence(status: int, log: Path) -> MediaFMError:
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    return TrainingError(
        "\n".join([f"the ranks ended with status {status}", *lines, ""]),
        rule="ranks that are stopped say why",
        where="training.processes",
        remedy=f"Look at {log}.",
    )

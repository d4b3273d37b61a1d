"""Training on several ranks: `torchrun` as a child of the step, and Dagster Pipes between them.

Belongs here: starting the ranks, hearing the first one, ending them all. Does not belong here: what a rank does.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from mediafm.errors import MediaFMError, TrainingError

LOG_FILE = "ranks.log"
END_SECONDS = 10.0
"""How long `torchrun` may take to end its ranks before it is killed; they then end by themselves."""
LOG_LINES = 20
"""Of the ranks' log, in the error of ranks that could not say what stopped them."""


def training_on_ranks(context: dg.AssetExecutionContext, num_processes: int) -> Callable[..., Any] | None:
    """How `train_and_log` trains in so many processes of this host; None, in this process, for one."""
    return partial(_train, context, num_processes) if num_processes > 1 else None


def _train(context: dg.AssetExecutionContext, num_processes: int, job: Any, on_metrics: Callable[[Any], None]) -> Any:
    """The `TrainResult` of a `TrainingJob`.

    Raises:
        MediaFMError: what stopped the rank that stopped first.
        TrainingError: no rank could say; with the end of their log.
    """
    from mediafm.train.curves import CurvePoint
    from mediafm.train.job import first_error, read_result

    output = Path(job.output)
    shutil.rmtree(output, ignore_errors=True)
    job.write()
    reader = CustomMessageReader(lambda told: on_metrics(CurvePoint(**told["point"])))
    context.log.info(f"training on {num_processes} ranks; their log until they end well: {output / LOG_FILE}")
    with dg.open_pipes_session(context, dg.PipesTempFileContextInjector(), reader) as session:
        status = _run(command_of(num_processes, job.file), output / LOG_FILE, session.get_bootstrap_env_vars())
    if status != 0:
        raise first_error(output) or _silence(status, output / LOG_FILE)
    result = read_result(output)
    shutil.rmtree(output)
    return result


def command_of(num_processes: int, job_file: Path) -> list[str]:
    """The command line of so many ranks on this host.

    Several hosts take the same module and job file under `torchrun --nnodes`, by whoever starts processes there.
    """
    return [
        *(sys.executable, "-m", "mediafm_pipelines.train_agent"),
        *("--standalone", "--nproc-per-node", str(num_processes), "--max-restarts", "0"),
        *("--shutdown-timeout", str(int(END_SECONDS / 2)), "-m", "mediafm_pipelines.train_ranks", str(job_file)),
    ]


def _run(command: list[str], log: Path, variables: Mapping[str, str]) -> int:
    """Runs the ranks to their end; whatever ends the wait ends them.

    In a session of their own, so that Ctrl-C reaches this process alone and ends them in one way.
    """
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env={**os.environ, **_threads(int(command[command.index("--nproc-per-node") + 1])), **variables},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait()
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


class CustomMessageReader(dg.PipesMessageReader):
    """Dagster's reader of a temporary file, that also hands each custom message on as it comes."""

    def __init__(self, hear: Callable[[Any], None]) -> None:
        self._hear = hear
        self._reader = dg.PipesTempFileMessageReader()

    @contextmanager
    def read_messages(self, handler: Any) -> Iterator[Any]:
        with self._reader.read_messages(_Hearing(handler, self._hear)) as params:
            yield params

    @property
    def expected_writer_count(self) -> int:
        return 1  # the first rank alone

    def no_messages_debug_text(self) -> str:
        return self._reader.no_messages_debug_text()


class _Hearing:
    """A message handler that hands custom messages on and everything to Dagster's."""

    def __init__(self, handler: Any, hear: Callable[[Any], None]) -> None:
        self._handler, self._hear = handler, hear

    def handle_message(self, message: Any) -> None:
        if message["method"] == "report_custom_message":
            self._hear(message["params"]["payload"])
        self._handler.handle_message(message)

    def report_pipes_framework_exception(self, origin: str, exc_info: Any) -> None:
        self._handler.report_pipes_framework_exception(origin, exc_info)

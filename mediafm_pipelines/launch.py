"""Training on several ranks, heard through Dagster Pipes.

Belongs here: the session between the step and its first rank. Does not belong here: starting and ending ranks
(`mediafm.train.launch`), or what a rank does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import dagster as dg

from mediafm.config import TrainingSettings

MODULE = "mediafm_pipelines.train_ranks"


def training_on_ranks(context: dg.AssetExecutionContext, settings: TrainingSettings) -> Callable[..., Any] | None:
    """How `train_and_log` trains on as many ranks as the configuration asks for; None if that is this process alone."""
    from mediafm.train.launch import has_ranks

    return partial(_train, context, settings) if has_ranks(settings) else None


def _train(
    context: dg.AssetExecutionContext, settings: TrainingSettings, job: Any, progress: Any, on_metrics: Any
) -> Any:
    """The `TrainResult` of a `TrainingJob`. What the ranks tell is heard in this thread, so that its errors end them.

    Raises:
        MediaFMError: what stopped the ranks.
    """
    from mediafm.train.launch import LOG_FILE, command_of_others, hear, run_ranks

    told: SimpleQueue[Any] = SimpleQueue()

    def listen() -> None:
        while True:
            try:
                message = told.get_nowait()
            except Empty:
                return
            hear(message, progress, on_metrics)

    log = Path(job.output) / LOG_FILE
    context.log.info(f"training on {settings.processes} ranks of this host; their log until they end well: {log}")
    if others := command_of_others(settings, job.file):
        context.log.info(f"each other host starts: {others}")
    with dg.open_pipes_session(context, dg.PipesTempFileContextInjector(), _Reader(told.put)) as session:
        result = run_ranks(settings, job, MODULE, listen, session.get_bootstrap_env_vars())
    listen()
    return result


class _Reader(dg.PipesMessageReader):
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
    """A message handler that keeps custom messages and hands everything else to Dagster's."""

    def __init__(self, handler: Any, hear: Callable[[Any], None]) -> None:
        self._handler, self._hear = handler, hear

    def handle_message(self, message: Any) -> None:
        if message["method"] == "report_custom_message":
            self._hear(message["params"]["payload"])
        else:
            self._handler.handle_message(message)

    def report_pipes_framework_exception(self, origin: str, exc_info: Any) -> None:
        self._handler.report_pipes_framework_exception(origin, exc_info)

"""Processes that write titles side by side, one for each CPU; `mediafm.media.synthetic.worker` is their program."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from mediafm.errors import MediaFMError
from mediafm.media.synthetic.settings import SampleSettings
from mediafm.types import Json

Worker: TypeAlias = "subprocess.Popen[bytes]"
Progress: TypeAlias = Callable[[int, int], None]
"""Called with titles done and titles in all."""


def write_titles(
    directory: Path,
    num_titles: int,
    seed: int,
    settings: SampleSettings,
    progress: Progress | None,
    num_workers: int | None,
) -> None:
    """Writes titles 0 to `num_titles` - 1 to `directory`; the first error stops them all.

    Args:
        num_workers: None for one for each CPU that this process may use.

    Raises:
        MediaFMError: a title could not be written.
    """
    num_workers = min(num_titles, num_workers or _num_usable_cpus())
    request: dict[str, Json] = {"seed": seed, "settings": settings.as_json(), "directory": str(directory)}
    with ExitStack() as stack:
        idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for _ in range(num_workers):
            idle.put(stack.enter_context(_started_worker()))
        threads = stack.enter_context(ThreadPoolExecutor(num_workers))
        titles = [threads.submit(_ask, idle, {**request, "index": index}) for index in range(num_titles)]
        try:
            for num_done, title in enumerate(as_completed(titles), start=1):
                title.result()
                if progress is not None:
                    progress(num_done, num_titles)
        finally:
            for title in titles:
                title.cancel()


def _ask(idle: queue.SimpleQueue[Worker], job: dict[str, Json]) -> None:
    """Has one title written by a worker that has nothing to do.

    Raises:
        MediaFMError: as the worker met it, or because the worker died.
    """
    worker = idle.get()
    try:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps(job).encode() + b"\n")
        answer = worker.stdout.readline()
    except BrokenPipeError:
        answer = b""
    finally:
        idle.put(worker)
    if not answer:
        raise MediaFMError(
            "the process that draws it ended",
            rule="it draws title after title until it is told to stop",
            where=f"title {job['index']}",
            remedy="Look for its last words above; it may have been killed for want of memory.",
        )
    parts = json.loads(answer)
    if "error" in parts:
        raise MediaFMError.from_dict(parts)


@contextmanager
def _started_worker() -> Iterator[Worker]:
    """A process that draws titles; it ends with its standard input, and at once if something went wrong."""
    command = [sys.executable, "-m", "mediafm.media.synthetic.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as worker:
        try:
            yield worker
        except BaseException:
            worker.terminate()
            raise


def _num_usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

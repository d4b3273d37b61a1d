"""Batches of titles through `benchmarks.fuzz_worker`, each in a process and a root of its own, watched from outside."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fuzz_judge import Facts

STALL_SECONDS = 300.0
"""An ingest that tells nothing for so long hangs: twice the deadline of a clip, and much slack for a busy machine."""
WORKER = ("-m", "benchmarks.fuzz_worker")
_TAIL_CHARACTERS = 2000


@dataclass(kw_only=True)
class Batch:
    """What became of a batch.

    facts: of each title that was told of.
    seconds: that each title took in all steps.
    end: how the process ended, if not well; "hang" if it was ended for telling nothing.
    last: the step and the title that it told of last.
    """

    facts: dict[str, Facts] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    end: str = ""
    last: str = "the start"


def run_batch(
    write: Callable[[Path], None], stall_seconds: float = STALL_SECONDS, worker: Sequence[str] = WORKER
) -> Batch:
    """Takes in the titles that `write` puts into a folder. `worker` is what this interpreter is told to run."""
    work = Path(tempfile.mkdtemp(prefix="mediafm-fuzz-"))
    try:
        (work / "catalog").mkdir()
        write(work / "catalog")
        return _watched(work, stall_seconds, worker)
    finally:
        shutil.rmtree(work)


def _watched(work: Path, stall_seconds: float, worker: Sequence[str]) -> Batch:
    batch = Batch()
    command = [sys.executable, *worker, str(work / "catalog"), str(work / "root")]
    with (work / "stderr").open("w+", encoding="utf-8") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True)
        try:
            told = time.monotonic()
            for line in _lines(process, stall_seconds):
                _take(batch, line, time.monotonic() - told)
                told = time.monotonic()
            code = process.wait(stall_seconds)
            stderr.seek(0)
            if code:
                batch.end = f"exit code {code} after {batch.last}: {stderr.read()[-_TAIL_CHARACTERS:]}"
        except TimeoutError:
            batch.end = f"hang: nothing for {stall_seconds:.0f} s after {batch.last}"
        finally:
            _end(process)
    return batch


def _lines(process: subprocess.Popen[bytes], stall_seconds: float) -> Iterator[Mapping[str, Any]]:
    """JSON lines as they come. Raises `TimeoutError`: none came for `stall_seconds`."""
    assert process.stdout is not None
    rest = b""
    while True:
        ready, _, _ = select.select([process.stdout], [], [], stall_seconds)
        if not ready:
            raise TimeoutError
        data = os.read(process.stdout.fileno(), 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from (json.loads(line) for line in lines)


def _take(batch: Batch, line: Mapping[str, Any], seconds: float) -> None:
    if "found" in line:
        facts = line["found"]
        batch.facts[facts["title_id"]] = facts
    elif "title" in line:
        batch.last = f"{line['step']} of {line['title']}"
        batch.seconds[line["title"]] = batch.seconds.get(line["title"], 0.0) + seconds


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the worker and its decoding child, whatever they do."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()

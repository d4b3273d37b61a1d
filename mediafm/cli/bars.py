"""Progress bars on stderr: shown to people, silent where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from mediafm.progress import Progress as ProgressProtocol
from mediafm.progress import Silent


class Bars:
    """`mediafm.progress.Progress` as bars of a terminal, one for each piece of long work."""

    def __init__(self) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, what: str, total: int) -> None:
        self._task = self._bars.add_task(what, total=total or None, note="")

    def advance(self, note: str = "") -> None:
        if self._task is not None:
            self._bars.update(self._task, advance=1, note=note[:40])

    def end(self) -> None:
        if self._task is not None:
            self._bars.update(self._task, note="")
            self._bars.stop_task(self._task)


@contextmanager
def progress_bar(quiet: bool = False) -> Iterator[ProgressProtocol]:
    """Bars if stderr is a terminal and `quiet` is False; silence otherwise."""
    if quiet or not sys.stderr.isatty():
        yield Silent()
        return
    with Bars() as bars:
        yield bars

"""The bar of a training: steps, and when it will be over if nothing improves from now on."""

from __future__ import annotations

import sys
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mediafm.steps.training_watch import BegunTraining
from mediafm.train.curves import CurvePoint
from mediafm.train.stop_rule import expected_steps, least_steps


class TrainingBar:
    """A `TrainingWatch` as a bar on stderr, shown to people only.

    Its end is the earliest possible one, and moves away with each better validation loss: the rule is patience.

    Args:
        quiet: show nothing.
        console: where to draw; stderr unless given.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ends in"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console or Console(stderr=True),
            disable=quiet or (console is None and not sys.stderr.isatty()),
        )
        self._task: TaskID | None = None
        self._run: BegunTraining | None = None
        self._points: list[CurvePoint] = []

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begins(self, run: BegunTraining) -> None:
        self._run = run
        self._task = self._bars.add_task("training", total=least_steps(run.config), note="unless it improves")

    def step(self, num_steps: int) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=num_steps)

    def point(self, point: CurvePoint) -> None:
        if self._task is None or self._run is None:
            return
        self._points.append(point)
        best = min(self._points, key=lambda each: each.validation_loss)
        note = f"loss {point.validation_loss:.4f}, best {best.validation_loss:.4f} at {best.step}"
        self._bars.update(self._task, total=expected_steps(self._run.config, self._points), note=note)

    def ends(self) -> None:
        if self._task is not None:
            self._bars.update(self._task, note="")
            self._bars.stop_task(self._task)

"""Who is told how a training goes on: the log of a run, MLflow, a bar in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mediafm.data.manifest import TrainingManifest
from mediafm.progress import Progress
from mediafm.train.config import TrainConfig
from mediafm.train.curves import CurvePoint


@dataclass(frozen=True, eq=False, kw_only=True)
class BegunTraining:
    """A training that is about to take its first step, or the next after it was stopped.

    identity: equal for the same manifest, settings and kind of device.
    manifest: what it trains on.
    config: all that it is told.
    device: a torch device.
    """

    identity: str
    manifest: TrainingManifest
    config: TrainConfig
    device: str


class TrainingWatch(Protocol):
    """Told of a training, in this order: `begins`, then `step` and `point` as they come, then `ends`, well or not."""

    def begins(self, run: BegunTraining) -> None: ...

    def step(self, num_steps: int) -> None:
        """So many steps are taken."""

    def point(self, point: CurvePoint) -> None:
        """An evaluation of this process."""

    def ends(self) -> None: ...


class ProgressWatch:
    """Tells `mediafm.progress` of each evaluation."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begins(self, run: BegunTraining) -> None:
        self._progress.begin("training", 0)

    def step(self, num_steps: int) -> None:
        """Nothing: a line a step would be too many."""

    def point(self, point: CurvePoint) -> None:
        self._progress.advance(f"step {point.step}: validation loss {point.validation_loss:.4f}")

    def ends(self) -> None:
        self._progress.end()


class Watches:
    """Several watches as one."""

    def __init__(self, members: Sequence[TrainingWatch]) -> None:
        self._members = members

    def begins(self, run: BegunTraining) -> None:
        for member in self._members:
            member.begins(run)

    def step(self, num_steps: int) -> None:
        for member in self._members:
            member.step(num_steps)

    def point(self, point: CurvePoint) -> None:
        for member in self._members:
            member.point(point)

    def ends(self) -> None:
        for member in self._members:
            member.ends()

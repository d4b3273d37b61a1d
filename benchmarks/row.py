"""One measured line of a benchmark, and how two ways of doing the same thing are timed side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    name: what was measured, with its benchmark ("search: 100k shots").
    value: ours, in `unit`.
    unit: "s", "shots/s", "share", "x real time", ...
    rival: what it is compared with, measured in the same run; None if with nothing.
    rival_value: the rival's figure, in `unit`.
    ratio: ours over the rival's; filled in from the two values unless given.
    goal: what the ratio should reach or, without a rival, the value; None where there is none.
    better: which direction is better, for the value, the ratio and the goal alike.
    """

    name: str
    value: float
    unit: str
    rival: str | None = None
    rival_value: float | None = None
    ratio: float | None = None
    goal: float | None = None
    better: Literal["lower", "higher"] = "lower"

    def __post_init__(self) -> None:
        if self.ratio is None and self.rival_value:
            object.__setattr__(self, "ratio", self.value / self.rival_value)

    @property
    def is_goal_met(self) -> bool | None:
        """Whether the ratio (without a rival, the value) reaches the goal; None without a goal."""
        if self.goal is None:
            return None
        measured = self.value if self.ratio is None else self.ratio
        return measured <= self.goal if self.better == "lower" else measured >= self.goal

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def alternate_seconds(ours: Callable[[], object], rival: Callable[[], object], repeats: int) -> tuple[float, float]:
    """The best of `repeats` wall-clock times of each, run in turns so that a busy machine slows both alike."""
    best_ours = best_rival = float("inf")
    for _ in range(repeats):
        best_ours = min(best_ours, _seconds(ours))
        best_rival = min(best_rival, _seconds(rival))
    return best_ours, best_rival


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def least_cosine_row(name: str, exact: NDArray[np.float32], rounded: NDArray[np.float32], goal: float) -> Row:
    """How far rounding turns vectors [N, width], at worst."""
    cosines = (exact * rounded).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rounded, axis=1)
    return Row(name=name, value=float(cosines.min()), unit="lowest cosine", goal=goal, better="higher")

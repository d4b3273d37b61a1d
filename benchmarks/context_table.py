"""What a judge found: rows of scores, as text and as JSON, and differences between rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from mediafm.probes.intervals import Interval, interval
from mediafm.probes.vectors import Floats
from mediafm.types import Json

NEIGHBOURS = "same-scene neighbour"


@dataclass(frozen=True, eq=False, kw_only=True)
class Score:
    """One measure of one row.

    measured: the value on tested titles, with its 95 % interval over them (groups of them, if they share series).
    chance: what a random ranking, or a random neighbour, would reach.
    on_fit: the same measure inside the fitting titles, by folds; for choosing among rows. None for neighbours.
    replicates: float64 [draws], for paired differences.
    num_groups: that were drawn from.
    """

    measured: Interval
    chance: float
    on_fit: float | None
    replicates: Floats
    num_groups: int

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self.measured), "chance": self.chance, "on_fit": self.on_fit}


@dataclass(frozen=True, eq=False, kw_only=True)
class JudgedRow:
    """scores: task, or `NEIGHBOURS` -> score. vector_seconds, judge_seconds: to make the vectors, and to judge them."""

    name: str
    width: int
    scores: Mapping[str, Score]
    vector_seconds: float
    judge_seconds: float

    def as_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "width": self.width,
            "scores": {task: score.as_json() for task, score in self.scores.items()},
            "vector_seconds": round(self.vector_seconds, 3),
            "judge_seconds": round(self.judge_seconds, 3),
        }

    def on_fit(self, tasks: tuple[str, ...]) -> float:
        """The mean over tasks of what the row scored inside the fitting titles."""
        return sum(self.scores[task].on_fit or 0.0 for task in tasks) / len(tasks)


@dataclass(frozen=True, eq=False, kw_only=True)
class JudgedTable:
    """division: how titles were divided, in words. The counts are of titles and shots after the caps."""

    rows: tuple[JudgedRow, ...]
    division: str
    num_fit_titles: int
    num_fit_shots: int
    num_tested_titles: int
    num_tested_shots: int

    def row(self, name: str) -> JudgedRow:
        return next(row for row in self.rows if row.name == name)

    def as_json(self) -> dict[str, Json]:
        parts = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "rows"}
        return {**parts, "rows": [row.as_json() for row in self.rows]}

    def as_text(self) -> str:
        """One line per row, `value +- half of the 95 % interval` per task, chance on the line before."""
        tasks = list(self.rows[0].scores)
        name_width = max(len(row.name) for row in self.rows)
        lines = [
            (
                f"{self.division}: {self.num_fit_titles} titles ({self.num_fit_shots} shots) fit, "
                f"{self.num_tested_titles} ({self.num_tested_shots}) judge"
            ),
            _line(["", *tasks, "width", "seconds"], name_width, tasks),
            _line(
                ["chance", *(f"{self.rows[0].scores[task].chance:.3f}" for task in tasks), "", ""], name_width, tasks
            ),
        ]
        for row in self.rows:
            cells = [_cell(row.scores[task].measured) for task in tasks]
            seconds = f"{row.vector_seconds:.1f} + {row.judge_seconds:.1f}"
            lines.append(_line([row.name, *cells, str(row.width), seconds], name_width, tasks))
        return "\n".join(lines)


def difference(row: JudgedRow, other: JudgedRow, task: str) -> Interval:
    """row - other on one task, paired: both rows' replicates come from the same draws of titles."""
    one, two = row.scores[task], other.scores[task]
    value = one.measured.value - two.measured.value
    return interval(value, one.replicates - two.replicates, one.num_groups)


def _cell(measured: Interval) -> str:
    if measured.low is None or measured.high is None:
        return f"{measured.value:.3f}"
    return f"{measured.value:.3f} ±{max(measured.high - measured.value, measured.value - measured.low):.3f}"


def _line(cells: list[str], name_width: int, tasks: list[str]) -> str:
    widths = [max(12, len(task)) for task in tasks] + [5, 10]
    first, *others = cells
    return "  ".join(
        [first.ljust(name_width), *(cell.rjust(width) for cell, width in zip(others, widths, strict=True))]
    )

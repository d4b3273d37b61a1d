"""The probe report: every task by every feature set, with intervals, chance, and what was left out; JSON and text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from mediafm.catalog.title import Problem
from mediafm.types import Json

MAX_DROPPED_IN_TEXT = 10
NOT_ABOVE_CHANCE = " †"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeRow:
    """One measure of one feature set on one task.

    value, low, high: averaged over folds, with the 95 % interval over groups; ends None below two groups.
    chance: what a guess by class frequency reaches in the same folds.
    is_above_chance: the lower end, made strict enough for all of the task's feature sets at once, is above chance.
    num_absent_clips: clips of which this feature set has no vector; the probe sees its mean there.
    num_unconverged: fits that ran out of iterations. strengths: the inverse regularisation chosen in each fold.
    seen_by_checkpoint: share of the task's groups that the features' checkpoint was trained on; None without one.
    """

    task: str
    kind: str
    measure: str
    features: str
    value: float
    low: float | None
    high: float | None
    chance: float
    is_above_chance: bool
    num_clips: int
    num_groups: int
    num_classes: int
    num_folds: int
    num_absent_clips: int
    num_unconverged: int
    strengths: tuple[float, ...]
    seen_by_checkpoint: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeDifference:
    """How much better one feature set is than another, paired by clip, fold and drawn group."""

    task: str
    measure: str
    features: str
    against: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class ProbeReport:
    """All of it. `dropped` names rows, clips and classes left out; `not_measured` whole tasks, with the reason."""

    rows: tuple[ProbeRow, ...]
    differences: tuple[ProbeDifference, ...]
    dropped: tuple[Problem, ...]
    not_measured: tuple[Problem, ...]
    labels_sha256: str

    @property
    def tasks(self) -> list[str]:
        """The measured tasks, in the order of the rows."""
        return list(dict.fromkeys(row.task for row in self.rows))

    def as_json(self) -> dict[str, Json]:
        return {
            "labels_sha256": self.labels_sha256,
            "rows": [asdict(row) for row in self.rows],
            "differences": [asdict(row) for row in self.differences],
            "num_dropped": len(self.dropped),
            "dropped": [asdict(problem) for problem in self.dropped],
            "not_measured": [asdict(problem) for problem in self.not_measured],
        }

    def as_markdown(self) -> str:
        """A table per measure (tasks down, feature sets across), the differences, and what was left out."""
        measures = dict.fromkeys((row.task, row.measure) for row in self.rows)
        features = list(dict.fromkeys(row.features for row in self.rows))
        by_place = {(row.task, row.measure, row.features): row for row in self.rows}
        lines = _table_lines(
            ["task", "measure", "clips", "groups", "chance", *features],
            [
                _task_cells([by_place[(task, measure, name)] for name in features if (task, measure, name) in by_place])
                for task, measure in measures
            ],
        )
        if self.differences:
            lines += [
                "",
                *_table_lines(["task", "measure", "difference", "value"], map(_difference_cells, self.differences)),
            ]
        lines += ["", "Bold: the best of a line. †: not above chance. Intervals: 95 %, over groups of titles."]
        lines += [f"- not measured: {problem.where}: {problem.sentence}" for problem in self.not_measured]
        lines += [f"- dropped: {problem.where}: {problem.sentence}" for problem in self.dropped[:MAX_DROPPED_IN_TEXT]]
        if len(self.dropped) > MAX_DROPPED_IN_TEXT:
            lines.append(f"- and {len(self.dropped) - MAX_DROPPED_IN_TEXT} more dropped")
        return "\n".join(lines).strip() + "\n"


def _task_cells(rows: list[ProbeRow]) -> list[str]:
    first = rows[0]
    best = max(row.value for row in rows)
    cells = [first.task, first.measure, str(first.num_clips), str(first.num_groups), f"{first.chance:.3f}"]
    return cells + [_value_cell(row, row.value == best and row.is_above_chance) for row in rows]


def _value_cell(row: ProbeRow, is_best: bool) -> str:
    value = f"**{row.value:.3f}**" if is_best else f"{row.value:.3f}"
    ends = "no interval" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}"
    return f"{value} ({ends}){'' if row.is_above_chance else NOT_ABOVE_CHANCE}"


def _difference_cells(row: ProbeDifference) -> list[str]:
    ends = "no interval" if row.low is None or row.high is None else f"{row.low:+.3f} to {row.high:+.3f}"
    return [row.task, row.measure, f"{row.features} - {row.against}", f"{row.value:+.3f} ({ends})"]


def _table_lines(heading: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Markdown; what people wrote into label files cannot break out of its cell."""
    lines = [heading, ["---"] * len(heading), *rows]
    return ["| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |" for cells in lines]

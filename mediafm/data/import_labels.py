"""Labels that stand beside imported vectors, as rows of a label file (see `mediafm.probes.labels`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm.data.import_layout import Column, ColumnKind
from mediafm.types import Json

MAX_NAME_CHARACTERS = 200


class Way(StrEnum):
    """How a cell becomes a label."""

    TRUTH = "truth"
    NAME = "name"
    NAMES = "names"
    SCORE = "score"


@dataclass(frozen=True, kw_only=True)
class LabelPlan:
    """What is made of one label column.

    tasks: the probe tasks that it gives; several for a column of several scores.
    """

    column: str
    way: Way
    tasks: tuple[str, ...]

    def rows(
        self, title_id: str, cells: Sequence[Any], shot_indexes: Sequence[int | None]
    ) -> Iterator[dict[str, Json]]:
        """The label rows of a title; empty cells give none.

        Args:
            cells: one for each of `shot_indexes`; None there stands for the whole title.
        """
        for cell, shot_index in zip(cells, shot_indexes, strict=True):
            place: dict[str, Json] = {"title_id": title_id}
            if shot_index is not None:
                place["shot_index"] = int(shot_index)
            for task, value in self._values(cell):
                yield {**place, "task": task, **value}

    def _values(self, cell: Any) -> Iterator[tuple[str, dict[str, Json]]]:
        if cell is None:
            return
        if self.way is Way.NAMES:
            yield self.tasks[0], {"labels": [str(name) for name in cell]}
        elif self.way is Way.NAME:
            if str(cell).strip():
                yield self.tasks[0], {"label": str(cell).strip()[:MAX_NAME_CHARACTERS]}
        else:
            numbers = np.atleast_1d(np.asarray(cell, dtype=np.float64)).tolist()
            for task, number in zip(self.tasks, numbers, strict=True):
                if math.isfinite(number):
                    yield task, {"label": bool(number)} if self.way is Way.TRUTH else {"score": number}


def plan_labels(column: Column, stem: str, values: NDArray[Any] | None, score_names: Sequence[str] = ()) -> LabelPlan:
    """What is made of a label column.

    Args:
        stem: the file's name without its suffix: the beginning of the task's name.
        values: all of the column if it holds numbers; None for text.
        score_names: names of a matrix's columns, if the file has as many.
    """
    task = f"{stem}_{column.name}"
    if column.kind is ColumnKind.NAMES:
        return LabelPlan(column=column.name, way=Way.NAMES, tasks=(task,))
    if values is None:
        return LabelPlan(column=column.name, way=Way.NAME, tasks=(task,))
    if column.name == "label" and _are_truths(values):
        return LabelPlan(column=column.name, way=Way.TRUTH, tasks=(task,))
    if column.name == "label" and column.kind is ColumnKind.INTEGER:
        return LabelPlan(column=column.name, way=Way.NAME, tasks=(task,))
    tasks = (task,) if column.kind is not ColumnKind.VECTORS else _score_tasks(stem, column.width, score_names)
    return LabelPlan(column=column.name, way=Way.SCORE, tasks=tasks)


def label_rows(
    plans: Sequence[LabelPlan],
    title_id: str,
    by_shot: Mapping[str, Sequence[Any]],
    of_title: Mapping[str, Any],
) -> tuple[Mapping[str, Json], ...]:
    """All label rows of one title.

    Args:
        by_shot: label column -> a cell a shot, in order of shots.
        of_title: label column -> the title's one cell.
    """
    rows: list[Mapping[str, Json]] = []
    for plan in plans:
        if plan.column in by_shot:
            cells = by_shot[plan.column]
            rows += plan.rows(title_id, cells, range(len(cells)))
        if plan.column in of_title:
            rows += plan.rows(title_id, [of_title[plan.column]], [None])
    return tuple(rows)


def _are_truths(values: NDArray[Any]) -> bool:
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    return bool(np.isin(numbers, (0.0, 1.0)).all())


def _score_tasks(stem: str, width: int, names: Sequence[str]) -> tuple[str, ...]:
    if len(names) == width:
        return tuple(f"{stem}_{name}" for name in names)
    return tuple(f"{stem}_score_{place:02d}" for place in range(width))

"""What people said of titles and clips: label files read, checked row by row, and grouped by task.

A row: `title_id`; `start_seconds` and `end_seconds`, or `shot_index`, or neither for the whole title; one of `labels`
(a list), `label` (a truth value or a name) and `score`; `task` (else the file's name); `annotator` (optional).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from mediafm.catalog.title import Problem
from mediafm.errors import CatalogError, MediaFMError
from mediafm.lineage.fingerprint import fingerprint
from mediafm.probes.label_files import RawRow, label_paths, raw_rows
from mediafm.types import Span

LabelValue: TypeAlias = tuple[str, ...] | bool | str | float
MAX_NAME_CHARACTERS = 200
MAX_LABELS_PER_ROW = 100
MAX_NUMBER = 1e12


class LabelKind(StrEnum):
    """What the rows of a task say, and so how it is measured."""

    MULTI_LABEL = "multi_label"
    BINARY = "binary"
    SINGLE_LABEL = "single_label"
    SCORE = "score"


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelRow:
    """One label of one clip by one annotator.

    span: the clip; None if the row names a shot or the whole title.
    shot_index: the shot; None unless the row names one.
    value: a tuple of names, a truth value, a name or a score, by the task's kind.
    where: file and line.
    """

    title_id: str
    task: str
    span: Span | None
    shot_index: int | None
    value: LabelValue
    annotator: str
    where: str

    @property
    def kind(self) -> LabelKind:
        if isinstance(self.value, bool):
            return LabelKind.BINARY
        if isinstance(self.value, tuple):
            return LabelKind.MULTI_LABEL
        return LabelKind.SINGLE_LABEL if isinstance(self.value, str) else LabelKind.SCORE

    @property
    def clip(self) -> tuple[str, Span | None, int | None]:
        """Which clip the row speaks about; equal for rows about the same one."""
        return (self.title_id, self.span, self.shot_index)


@dataclass(frozen=True, kw_only=True)
class LabelSet:
    """All good rows of one task, in the files' order; at least one."""

    task: str
    kind: LabelKind
    rows: tuple[LabelRow, ...]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What label files hold: the tasks by name, the rows that were refused, and the files' digest."""

    sets: tuple[LabelSet, ...]
    problems: tuple[Problem, ...]
    sha256: str


def read_labels(paths: Sequence[Path]) -> Labels:
    """The labels of all `paths` (files, or folders of files). Bad rows are refused with line and reason.

    The first good row of a task fixes its kind; the digest covers the files' names and bytes.

    Raises:
        CatalogError: a file is missing, of an unknown kind, or not readable as a whole.
    """
    files = label_paths(list(paths))
    by_task: dict[str, list[LabelRow]] = {}
    places: dict[tuple[object, ...], str] = {}
    problems: list[Problem] = []
    for file in files:
        for raw in raw_rows(file):
            try:
                row = _row(raw, default_task=file.stem)
                _refuse_stranger(row, by_task.get(row.task, []), places)
            except MediaFMError as error:
                problems.append(Problem(raw.where, f"{error.seen}; {error.rule}"))
                continue
            by_task.setdefault(row.task, []).append(row)
            places[(row.task, row.clip, row.annotator)] = row.where
    sets = [LabelSet(task=task, kind=rows[0].kind, rows=tuple(rows)) for task, rows in sorted(by_task.items())]
    return Labels(sets=tuple(sets), problems=tuple(problems), sha256=_digest(files))


def _digest(files: list[Path]) -> str:
    hashes = []
    for file in files:
        with file.open("rb") as opened:
            hashes.append([file.name, hashlib.file_digest(opened, "sha256").hexdigest()])
    return fingerprint({"label_files": sorted(hashes)})


def _refuse_stranger(row: LabelRow, rows: list[LabelRow], places: dict[tuple[object, ...], str]) -> None:
    if rows and rows[0].kind != row.kind:
        raise CatalogError(
            f"a {row.kind} label in the task {row.task!r}", rule=f"its first row ({rows[0].where}) is {rows[0].kind}"
        )
    earlier = places.get((row.task, row.clip, row.annotator))
    if earlier:
        raise CatalogError("a clip that was labelled before", rule=f"the same annotator did so at {earlier}")


def _row(raw: RawRow, default_task: str) -> LabelRow:
    if raw.complaint:
        raise CatalogError(raw.complaint, rule="a row is an object with a title and a label")
    cells = raw.cells
    span, shot_index = _place(cells)
    return LabelRow(
        title_id=_name(cells, "title_id"),
        task=_name({"task": default_task, **cells}, "task"),
        span=span,
        shot_index=shot_index,
        value=_value(cells),
        annotator=_name(cells, "annotator") if "annotator" in cells else "",
        where=raw.where,
    )


def _name(cells: dict[str, Any], key: str) -> str:
    value = cells.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARACTERS:
        raise CatalogError(f"{key} = {value!r:.80}", rule=f"it is a text of 1 to {MAX_NAME_CHARACTERS} characters")
    return value


def _number(cells: dict[str, Any], key: str) -> float:
    value = cells.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_NUMBER:
        raise CatalogError(f"{key} = {value!r:.80}", rule=f"it is a number below {MAX_NUMBER:g}")
    return float(value)


def _place(cells: dict[str, Any]) -> tuple[Span | None, int | None]:
    has_times = "start_seconds" in cells or "end_seconds" in cells
    if "shot_index" not in cells:
        return (Span(_number(cells, "start_seconds"), _number(cells, "end_seconds")) if has_times else None), None
    index = cells["shot_index"]
    if isinstance(index, float) and index.is_integer():
        index = int(index)  # Parquet columns that once held a null
    if has_times or isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise CatalogError(
            f"shot_index = {index!r:.80}{' beside times' if has_times else ''}",
            rule="a row has either times or one shot index, a whole number from 0",
        )
    return None, index


def _value(cells: dict[str, Any]) -> LabelValue:
    given = [key for key in ("labels", "label", "score") if key in cells]
    if len(given) != 1:
        raise CatalogError(f"{' and '.join(given) or 'no label'}", rule="a row has one of labels, label and score")
    if given == ["score"]:
        return _number(cells, "score")
    if given == ["label"]:
        label = cells["label"]
        if isinstance(label, bool) or label in (0, 1):
            return bool(label)
        return _name(cells, "label")
    labels = cells["labels"]
    if not isinstance(labels, list) or len(labels) > MAX_LABELS_PER_ROW:
        raise CatalogError(f"labels = {labels!r:.80}", rule=f"it is a list of at most {MAX_LABELS_PER_ROW} names")
    return tuple(sorted({_name({"labels": label}, "labels") for label in labels}))

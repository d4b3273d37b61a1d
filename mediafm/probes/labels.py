"""What people said of titles and clips: label files read, checked row by row, and grouped by task.

A row: `title_id`; `start_seconds` and `end_seconds`, or `shot_index`, or neither for the whole title; one of `labels`
(a list), `label` (a truth value or a name) and `score`; `task` (else the file's name); `annotator` (optional).

Two neighbouring shots: `shot_index` and `next_shot_index` with a truth value as `label` (whether a scene ends between
them). Or only where scenes begin, as `boundary_seconds` or `boundary_shot_index` (the first shots of scenes): one a
row, or a list, "12.5|40" in CSV. Such a title counts as annotated throughout: every pair that is not named is a
negative; see `mediafm.probes.boundaries`.

`[probes.tasks.NAME]` of the configuration says where a team's own file keeps all this (`TaskSettings`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from mediafm.catalog.title import Problem
from mediafm.config import ProbeSettings, TaskSettings
from mediafm.errors import CatalogError, MediaFMError
from mediafm.lineage.fingerprint import fingerprint
from mediafm.probes.label_files import RawRow, RowForm, label_paths, raw_rows
from mediafm.probes.label_rows import LabelValue, name_of, place_of, value_of
from mediafm.types import Span

DEFAULTS = ProbeSettings()


class LabelKind(StrEnum):
    """What the rows of a task say, and so how it is measured."""

    MULTI_LABEL = "multi_label"
    BINARY = "binary"
    SINGLE_LABEL = "single_label"
    SCORE = "score"
    PAIR = "pair"
    """A truth value about two neighbouring shots."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelRow:
    """One label of one clip by one annotator.

    span: the clip; None if the row names a shot, a pair or the whole title.
    shot_index: the shot, or the first of two neighbouring ones; None unless the row names one.
    value: a tuple of names, a truth value, a name or a score, by the task's kind.
    where: file and line.
    is_pair: whether it speaks of `shot_index` and the next shot.
    boundary_seconds, boundary_shot_index: where scenes of the title begin; None unless the row says so.
    """

    title_id: str
    task: str
    span: Span | None
    shot_index: int | None
    value: LabelValue
    annotator: str
    where: str
    is_pair: bool = False
    boundary_seconds: tuple[float, ...] | None = None
    boundary_shot_index: tuple[int, ...] | None = None

    @property
    def has_boundaries(self) -> bool:
        """Whether it says where scenes begin instead of naming one pair."""
        return self.boundary_seconds is not None or self.boundary_shot_index is not None

    @property
    def kind(self) -> LabelKind:
        if self.is_pair or self.has_boundaries:
            return LabelKind.PAIR
        if isinstance(self.value, bool):
            return LabelKind.BINARY
        if isinstance(self.value, tuple):
            return LabelKind.MULTI_LABEL
        return LabelKind.SINGLE_LABEL if isinstance(self.value, str) else LabelKind.SCORE

    @property
    def clip(self) -> tuple[object, ...]:
        """Which clip the row speaks about; equal for rows about the same one."""
        boundaries = (self.boundary_seconds, self.boundary_shot_index)
        return (self.title_id, self.span, self.shot_index, self.is_pair, *boundaries)


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


@dataclass(kw_only=True)
class _Reading:
    """The rows that were taken so far, by task, and where each clip was labelled."""

    settings: ProbeSettings
    by_task: dict[str, list[LabelRow]] = field(default_factory=dict)
    places: dict[tuple[object, ...], str] = field(default_factory=dict)

    def take(self, row: LabelRow) -> None:
        """Adds a row, or refuses what does not go with the rows before it."""
        rows = self.by_task.setdefault(row.task, [])
        wanted = self.settings.task(row.task).kind
        if wanted and row.kind != wanted:
            raise CatalogError(f"a {row.kind} label in the task {row.task!r}", rule=f"it is configured as {wanted}")
        if rows and rows[0].kind != row.kind:
            raise CatalogError(
                f"a {row.kind} label in the task {row.task!r}",
                rule=f"its first row ({rows[0].where}) is {rows[0].kind}; `kind` under [probes.tasks] settles it",
            )
        key = (row.task, row.clip, row.annotator)
        if key in self.places:
            raise CatalogError(
                "a clip that was labelled before", rule=f"the same annotator did so at {self.places[key]}"
            )
        rows.append(row)
        self.places[key] = row.where


def read_labels(paths: Sequence[Path], settings: ProbeSettings = DEFAULTS) -> Labels:
    """The labels of all `paths` (files, or folders of files). Bad rows are refused with line and reason.

    The first good row of a task fixes its kind, unless `settings.tasks` does; a configured task that no row belongs to
    is a problem. The digest covers the files' names and bytes, not the settings.

    Raises:
        CatalogError: a file is missing, of an unknown kind, or not readable as a whole.
    """
    files = label_paths(list(paths))
    reading = _Reading(settings=settings)
    problems: list[Problem] = []
    for file in files:
        for task, is_claimed in _tasks_of(file, settings):
            problems += _read(file, task, is_claimed, reading)
    by_task = {task: rows for task, rows in sorted(reading.by_task.items()) if rows}
    problems += [
        Problem(f"[probes.tasks.{task}]", "no good row of the label files belongs to this task")
        for task in settings.tasks
        if task not in by_task
    ]
    sets = [LabelSet(task=task, kind=rows[0].kind, rows=tuple(rows)) for task, rows in by_task.items()]
    return Labels(sets=tuple(sets), problems=tuple(problems), sha256=_digest(files))


def _digest(files: list[Path]) -> str:
    hashes = []
    for file in files:
        with file.open("rb") as opened:
            hashes.append([file.name, hashlib.file_digest(opened, "sha256").hexdigest()])
    return fingerprint({"label_files": sorted(hashes)})


def _tasks_of(file: Path, settings: ProbeSettings) -> list[tuple[str, bool]]:
    """The tasks that the file is read for, and whether the configuration claims it for them, whatever its rows say."""
    claimed = [(name, True) for name, task in settings.tasks.items() if task.file == file.name]
    return claimed or [(file.stem, False)]


def _read(file: Path, task: str, is_claimed: bool, reading: _Reading) -> Iterator[Problem]:
    """Takes the file's rows for `task`; gives what is wrong with the others."""
    form = _form(reading.settings.task(task))
    for raw in raw_rows(file, form):
        try:
            reading.take(_row(raw, task, is_claimed, reading.settings))
        except MediaFMError as error:
            empty = [f"{ours} = {theirs!r}" for ours, theirs in form.columns.items() if ours not in raw.cells]
            hint = f" (nothing stands in the configured {', '.join(empty)})" if empty and not raw.complaint else ""
            yield Problem(raw.where, f"{error.seen}; {error.rule}{hint}")


def _form(task: TaskSettings) -> RowForm:
    columns = task.columns.model_dump(exclude_none=True)
    is_name = task.kind in {"single_label", "multi_label"}
    return RowForm(columns=columns, separator=task.separator, is_label_a_name=is_name)


def _row(raw: RawRow, default_task: str, is_claimed: bool, settings: ProbeSettings) -> LabelRow:
    if raw.complaint:
        raise CatalogError(raw.complaint, rule="a row is an object with a title and a label")
    cells = raw.cells
    task = default_task if is_claimed else name_of({"task": default_task, **cells}, "task")
    kind = settings.task(task).kind
    place, value = place_of(cells, kind), value_of(cells, kind)
    if place.is_pair and not isinstance(value, bool):
        raise CatalogError(f"{value!r:.80} of a pair of shots", rule="a pair's label is a truth value")
    return LabelRow(
        title_id=name_of(cells, "title_id"),
        task=task,
        span=place.span,
        shot_index=place.shot_index,
        value=value,
        annotator=name_of(cells, "annotator") if "annotator" in cells else "",
        where=raw.where,
        is_pair=place.is_pair,
        boundary_seconds=place.boundary_seconds,
        boundary_shot_index=place.boundary_shot_index,
    )

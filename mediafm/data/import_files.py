"""The door for vectors that were made elsewhere: a Parquet or NPZ file becomes checked titles, one at a time.

Columns or arrays: the vectors (`video`, `audio`, `text`, or as said), `title_id`, `shot_index` or `position`,
`start_seconds` and `end_seconds`, `transcript` or `text`, `group_id`, and labels (`label`, `labels`, `score`, `scores`
with `score_names`). Only the vectors must be there, and `title_id` unless arrays are stacked [titles, steps, width].
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mediafm.data.import_labels import LabelPlan, label_rows, plan_labels
from mediafm.data.import_layout import Column, ColumnKind, Layout, find_layout
from mediafm.data.import_npz import NpzSource
from mediafm.data.import_parquet import ParquetSource
from mediafm.data.import_titles import ImportedTitle, RefusedTitle, TitleRows, checked_title, row_order
from mediafm.errors import CatalogError, ConfigError
from mediafm.store.store import sha256_of
from mediafm.types import Modality

SUFFIXES = (".parquet", ".npz")
_UNFIT = re.compile(r"[^a-z0-9_]+")


class ImportSource(Protocol):
    """A file of one format."""

    columns: Mapping[str, Column]

    def numbers(self, name: str) -> NDArray[Any]:
        """All of a column of numbers."""

    def score_names(self) -> list[str]:
        """What the columns of `scores` are called; [] if the file does not say."""

    def titles(self, layout: Layout, title_prefix: str) -> Iterator[TitleRows | RefusedTitle]:
        """Each title's rows; a title whose rows cannot even be gathered is refused."""


@dataclass(frozen=True, kw_only=True)
class ImportFile:
    """A file whose columns were understood; `titles` reads it.

    stem: its name without the suffix, fit for names of tasks and titles.
    sha256: of its bytes.
    """

    path: Path
    stem: str
    sha256: str
    layout: Layout
    plans: tuple[LabelPlan, ...]
    title_prefix: str
    _source: ImportSource

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not read; sentences."""
        return tuple(self.layout.notes)

    def titles(self) -> Iterator[ImportedTitle | RefusedTitle]:
        """Each title, checked, in the file's order; a title that is not sound is refused alone.

        Raises:
            ConfigError: the file turns out to be damaged on the way.
        """
        seen: dict[str, str] = {}
        for rows in self._source.titles(self.layout, self.title_prefix):
            if isinstance(rows, RefusedTitle):
                yield rows
                continue
            try:
                title = self._checked(rows)
                _refuse_twins(title, seen)
            except CatalogError as error:
                yield RefusedTitle(rows.name, str(error))
            else:
                yield title

    def _checked(self, rows: TitleRows) -> ImportedTitle:
        title = checked_title(rows)
        order = row_order(rows).tolist()
        by_shot = {name: [cells[row] for row in order] for name, cells in rows.shot_labels.items()}
        return replace(title, labels=label_rows(self.plans, title.title_id, by_shot, rows.title_labels))


def open_import(path: Path, asked: Mapping[Modality, str], title_prefix: str | None = None) -> ImportFile:
    """The file with its parts found; no vector is read yet.

    Args:
        asked: modality -> its column, "" for the usual one; empty for every modality that has a column of its name.
        title_prefix: titles of stacked arrays without `title_id` are this and the row's number; the file's name
            unless given.

    Raises:
        ConfigError: no such file, of another kind, damaged, or its columns cannot be used.
    """
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        raise ConfigError(
            f"{path} is no file that ends in {' or '.join(SUFFIXES)}",
            rule="vectors are imported from Parquet or NPZ",
            remedy="Check the path, or write the vectors into one of the two.",
        )
    source: ImportSource = NpzSource(path) if path.suffix.lower() == ".npz" else ParquetSource(path)
    layout = find_layout(source.columns, asked, str(path))
    _refuse_empty(layout, source, path)
    stem = _UNFIT.sub("_", path.stem.lower()).strip("_") or "imported"
    return ImportFile(
        path=path,
        stem=stem,
        sha256=sha256_of(path),
        layout=layout,
        plans=tuple(_plan(source, name, stem) for name in layout.labels),
        title_prefix=f"{stem}-" if title_prefix is None else title_prefix,
        _source=source,
    )


def _plan(source: ImportSource, name: str, stem: str) -> LabelPlan:
    column = source.columns[name]
    has_numbers = column.kind in (ColumnKind.INTEGER, ColumnKind.NUMBER, ColumnKind.TRUTH)
    values = source.numbers(name) if has_numbers else None
    if values is None and column.kind is ColumnKind.VECTORS:
        values = np.zeros((0, column.width))
    return plan_labels(column, stem, values, source.score_names())


def _refuse_empty(layout: Layout, source: ImportSource, path: Path) -> None:
    empty = [name for modality, name in layout.vectors.items() if not layout.widths[modality]]
    if empty or not all(all(source.columns[name].shape) for name in layout.vectors.values()):
        raise ConfigError(
            f"no vector in {', '.join(empty or layout.vectors.values())}",
            rule="a column of vectors has at least one, of at least one number",
            where=str(path),
        )


def _refuse_twins(title: ImportedTitle, seen: dict[str, str]) -> None:
    """Ids that differ in case alone would be one folder on many file systems."""
    other = seen.setdefault(title.title_id.casefold(), title.title_id)
    if other != title.title_id:
        raise CatalogError(
            f"the id {title.title_id!r} beside {other!r}",
            rule="ids of titles differ in more than their case",
            where=f"title {title.name}",
            remedy="Rename one of them.",
        )

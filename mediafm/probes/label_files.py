"""Rows of label files as they stand there: JSONL, CSV or Parquet, each with its place, bad ones with their reason."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mediafm.errors import CatalogError
from mediafm.probes.label_rows import VALUE_KEYS

SUFFIXES = (".jsonl", ".csv", ".parquet")
MAX_FILE_BYTES = 1024**3
LISTS = {"labels": str, "boundary_seconds": float, "boundary_shot_index": int}
NUMBERS = {"start_seconds": float, "end_seconds": float, "score": float, "shot_index": int, "next_shot_index": int}
TRUTH = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True, kw_only=True)
class RowForm:
    """How a file says what a row is to say.

    columns: our name -> the file's. A value that is named here replaces all columns of values that the file has under
        our names: one file may hold several tasks.
    separator: between several values in one CSV cell.
    is_label_a_name: whether `label` is a class's name even where it reads 0, 1, true or false.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    separator: str = "|"
    is_label_a_name: bool = False

    def renamed(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """The cells under our names; those that nobody asks for keep theirs."""
        replaced = {*self.columns, *(VALUE_KEYS if set(VALUE_KEYS) & set(self.columns) else ())}
        own = {key: value for key, value in cells.items() if key not in replaced}
        return own | {ours: cells[theirs] for ours, theirs in self.columns.items() if theirs in cells}


PLAIN_FORM = RowForm()


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row of a file: where it stands, its cells, and why it cannot be read ("" if it can)."""

    where: str
    cells: dict[str, Any] = field(default_factory=dict)
    complaint: str = ""


def label_paths(paths: list[Path]) -> list[Path]:
    """The label files among `paths`; a folder gives those directly in it, by name.

    Raises:
        CatalogError: a path that is not there, of another kind, or too large; a folder without label files.
    """
    found: list[Path] = []
    for path in paths:
        files = sorted(item for item in path.iterdir() if item.suffix in SUFFIXES) if path.is_dir() else [path]
        if not files or any(file.suffix not in SUFFIXES or not file.is_file() for file in files):
            raise CatalogError(
                "no label file there",
                rule=f"labels are files that end in {', '.join(SUFFIXES)}, or a folder of them",
                where=str(path),
                remedy="Check the path in the configuration.",
            )
        found += files
    for file in found:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise CatalogError(
                f"{file.stat().st_size} bytes",
                rule=f"a label file has at most {MAX_FILE_BYTES}",
                where=str(file),
                remedy="Split the file.",
            )
    return found


def raw_rows(path: Path, form: RowForm = PLAIN_FORM) -> Iterator[RawRow]:
    """Every row of one label file, in order, its cells under our names; blank lines are no rows.

    Raises:
        CatalogError: the file as a whole cannot be read (not UTF-8, no Parquet, no header line).
    """
    reader = {".jsonl": _jsonl_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}[path.suffix]
    try:
        yield from reader(path, form)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CatalogError(
            f"cannot be read ({error})",
            rule="label files are readable UTF-8 JSONL or CSV, or Parquet",
            where=str(path),
            remedy="Mend the file.",
        ) from error


def _jsonl_rows(path: Path, form: RowForm) -> Iterator[RawRow]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if not text.strip():
                continue
            where = f"{path.name}:{number}"
            try:
                cells = json.loads(text.decode())
            except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
                yield RawRow(where, complaint=f"the line is not JSON ({error})")
                continue
            if isinstance(cells, dict):
                yield RawRow(where, _said(cells, form))
            else:
                yield RawRow(where, complaint=f"the line holds a {type(cells).__name__}, not an object")


def _csv_rows(path: Path, form: RowForm) -> Iterator[RawRow]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        for cells in reader:
            where = f"{path.name}:{reader.line_num}"
            if None in cells:
                yield RawRow(where, complaint="the row has more cells than the header")
                continue
            named = form.renamed(cells)
            yield RawRow(where, {key: _typed(key, cell, form) for key, cell in named.items() if _is_filled(key, cell)})


def _said(cells: Mapping[str, Any], form: RowForm) -> dict[str, Any]:
    return {key: value for key, value in form.renamed(cells).items() if value is not None}


def _is_filled(key: str, cell: str | None) -> bool:
    # An empty cell of labels says "none of them"; any other empty cell says nothing.
    return cell is not None and (cell.strip() != "" or key == "labels")


def _typed(key: str, cell: str, form: RowForm) -> object:
    """A cell of CSV as JSON would have said it; what cannot be is left as text, for the row's check to refuse."""
    text = cell.strip()
    if key == "label" and not form.is_label_a_name:
        return TRUTH.get(text.lower(), text)
    try:
        if key in LISTS:
            return [LISTS[key](item.strip()) for item in text.split(form.separator) if item.strip()]
        return NUMBERS[key](text) if key in NUMBERS else text
    except ValueError:
        return text


def _parquet_rows(path: Path, form: RowForm) -> Iterator[RawRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            number = 0
            for batch in file.iter_batches():
                for cells in batch.to_pylist():
                    number += 1
                    yield RawRow(f"{path.name}:{number}", _said(cells, form))
    except pa.ArrowException as error:
        raise CatalogError(
            f"no Parquet ({error})", rule="a .parquet file is Parquet", where=str(path), remedy="Mend the file."
        ) from error

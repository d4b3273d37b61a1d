"""Vectors in Parquet: a row a shot, read title by title.

A first pass over the column of title ids counts each title's rows; the second hands a title over as soon as it has all
of them. Memory holds one batch and the titles that are open: one, where a title's rows stand together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mediafm.data.import_layout import Column, ColumnKind, Layout
from mediafm.data.import_titles import Flags, Floats, RefusedTitle, TitleRows
from mediafm.errors import CatalogError, ConfigError
from mediafm.types import Modality

ROWS_AT_ONCE = 1024
NAMED_LISTS = ("labels",)


class ParquetSource:
    """One Parquet file. Raises `ConfigError`: it is none, or is damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _whole(path), pq.ParquetFile(path) as file:
            fields = list(file.schema_arrow)
            self._num_rows = file.metadata.num_rows
        self.columns: Mapping[str, Column] = {field.name: self._column(field) for field in fields}

    def numbers(self, name: str) -> NDArray[Any]:
        """All of a column of numbers, NaN where null."""
        parts = [_float_cells(batch.column(name)) for batch in self._batches([name])]
        return np.concatenate(parts) if parts else np.zeros(0)

    def score_names(self) -> list[str]:
        return []

    def titles(self, layout: Layout, title_prefix: str) -> Iterator[TitleRows | RefusedTitle]:
        """Each title's rows, in the order in which they become whole."""
        assert layout.title is not None
        remaining: Counter[str | None] = Counter()
        for batch in self._batches([layout.title]):
            remaining.update(_names(batch.column(layout.title)))
        waiting: dict[str | None, list[pa.RecordBatch]] = {}
        for batch in self._batches(layout.columns):
            for name, part in _parts(batch, _names(batch.column(layout.title))):
                waiting.setdefault(name, []).append(part)
                remaining[name] -= part.num_rows
                if not remaining[name]:
                    yield _title(name, pa.Table.from_batches(waiting.pop(name)), layout)

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        # Without pre_buffer: with it, pyarrow's default, everything behind the first batch is read into memory at once.
        with _whole(self._path), pq.ParquetFile(self._path, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns)

    def _column(self, field: pa.Field) -> Column:
        kind, width = _kind(field), 0
        if kind is ColumnKind.VECTORS:
            width = field.type.list_size if pa.types.is_fixed_size_list(field.type) else self._width(field.name)
        said = f"a column of {field.type}"
        return Column(name=field.name, kind=kind, shape=(self._num_rows,), width=width, said=said)

    def _width(self, name: str) -> int:
        """How many numbers the first vector has that is there; 0 if none is."""
        for batch in self._batches([name]):
            lengths = pc.list_value_length(batch.column(name)).drop_null()
            if len(lengths):
                return int(lengths[0].as_py())
        return 0


def _kind(field: pa.Field) -> ColumnKind:
    kind = field.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        if _is_text(kind.value_type):
            return ColumnKind.NAMES if field.name in NAMED_LISTS else ColumnKind.OTHER
        is_number = pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
        return ColumnKind.VECTORS if is_number else ColumnKind.OTHER
    if _is_text(kind):
        return ColumnKind.TEXT
    if pa.types.is_boolean(kind):
        return ColumnKind.TRUTH
    if pa.types.is_integer(kind):
        return ColumnKind.INTEGER
    return ColumnKind.NUMBER if pa.types.is_floating(kind) else ColumnKind.OTHER


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _names(column: pa.Array) -> list[str | None]:
    return [None if name is None else str(name) for name in column.to_pylist()]


def _parts(batch: pa.RecordBatch, names: list[str | None]) -> Iterator[tuple[str | None, pa.RecordBatch]]:
    """Runs of rows of one title."""
    start = 0
    for row in range(1, len(names) + 1):
        if row == len(names) or names[row] != names[start]:
            yield names[start], batch.slice(start, row - start)
            start = row


def _title(name: str | None, table: pa.Table, layout: Layout) -> TitleRows | RefusedTitle:
    if name is None or not name.strip():
        return RefusedTitle("", f"{table.num_rows} rows without a title_id; each row says whose it is.")
    try:
        vectors, is_null = {}, {}
        for modality, column in layout.vectors.items():
            vectors[modality], is_null[modality] = _vectors(table, column, layout.widths[modality], name, modality)
    except CatalogError as error:
        return RefusedTitle(name, str(error))
    groups = [] if layout.group is None else [each for each in table.column(layout.group).to_pylist() if each]
    return TitleRows(
        name=name,
        vectors=vectors,
        is_null=is_null,
        order=_floats(table, layout.order),
        order_name=layout.order or "position",
        start_seconds=_floats(table, layout.starts),
        end_seconds=_floats(table, layout.ends),
        texts=table.column(layout.text).to_pylist() if layout.text else None,
        shot_labels={column: table.column(column).to_pylist() for column in layout.labels},
        group_id=groups[0] if groups else "",
    )


def _vectors(table: pa.Table, column: str, width: int, name: str, modality: Modality) -> tuple[NDArray[Any], Flags]:
    cells = table.column(column).combine_chunks()
    cells = cells.chunk(0) if isinstance(cells, pa.ChunkedArray) else cells
    is_null: Flags = np.asarray(cells.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(cells), width).to_numpy(zero_copy_only=False))
    if (lengths != width).any():
        row = int(np.argmax(lengths != width))
        raise CatalogError(
            f"{lengths[row]} numbers in the {modality} vector of row {row}",
            rule=f"the first vector of {column} has {width}, and all have as many",
            where=f"title {name}",
        )
    values = _float_cells(cells.flatten())
    vectors = np.zeros((len(cells), width), dtype=np.float64)
    vectors[~is_null] = values.reshape(-1, width)
    return vectors, is_null


def _floats(table: pa.Table, column: str | None) -> Floats | None:
    return None if column is None else _float_cells(table.column(column).combine_chunks())


def _float_cells(column: pa.Array | pa.ChunkedArray) -> Floats:
    """Numbers as float64, NaN where null."""
    cells = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    return (
        np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
        if (cells.dtype == object)
        else cells.astype(np.float64)
    )


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """One documented conversion: whatever says that the file or a part of it is broken."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(
            f"cannot be read ({error})",
            rule="vectors come in whole Parquet or NPZ files",
            where=str(path),
            remedy="Write the file again.",
        ) from error

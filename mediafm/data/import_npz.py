"""Vectors in NPZ: flat arrays with a row a shot, or stacked ones of [titles, steps, width].

Arrays are loaded one at a time and only if they are read; nothing in the file is ever unpickled. What is loaded stays
in memory as a whole: an NPZ has no parts that could be read alone.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm.data.import_layout import SCORE_NAMES, Column, ColumnKind, Layout
from mediafm.data.import_titles import Floats, RefusedTitle, TitleRows
from mediafm.errors import ConfigError
from mediafm.types import Modality

_SUFFIX = ".npy"
_KINDS = {"U": ColumnKind.TEXT, "i": ColumnKind.INTEGER, "u": ColumnKind.INTEGER, "f": ColumnKind.NUMBER}


class NpzSource:
    """One NPZ file. Raises `ConfigError`: it is none, or an array in it cannot be read without running code."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loaded: dict[str, NDArray[Any]] = {}
        self.columns: Mapping[str, Column] = dict(self._columns())

    def _columns(self) -> Iterator[tuple[str, Column]]:
        with _whole(self._path), zipfile.ZipFile(self._path) as archive:
            for name in archive.namelist():
                if name.endswith(_SUFFIX):
                    with archive.open(name) as opened:
                        shape, dtype = _header(opened)
                    yield name.removesuffix(_SUFFIX), _column(name.removesuffix(_SUFFIX), shape, dtype)

    def numbers(self, name: str) -> NDArray[Any]:
        """All of a column of numbers."""
        return self._array(name)

    def score_names(self) -> list[str]:
        """What the columns of `scores` are called, if the file says so."""
        column = self.columns.get(SCORE_NAMES)
        return [] if column is None or column.kind is not ColumnKind.TEXT else self._array(SCORE_NAMES).tolist()

    def titles(self, layout: Layout, title_prefix: str) -> Iterator[TitleRows | RefusedTitle]:
        """Each title's rows; titles in the order of their first row."""
        if layout.is_stacked:
            yield from self._stacked(layout, title_prefix)
            return
        assert layout.title is not None
        names = self._array(layout.title)
        _, first, member = np.unique(names, return_index=True, return_inverse=True)
        by_title = np.split(np.argsort(member, kind="stable"), np.cumsum(np.bincount(member))[:-1])
        for number in np.argsort(first):
            yield self._flat_title(layout, str(names[first[number]]), by_title[int(number)])

    def _flat_title(self, layout: Layout, name: str, rows: NDArray[np.int64]) -> TitleRows:
        return TitleRows(
            name=name,
            vectors={modality: self._array(column)[rows] for modality, column in layout.vectors.items()},
            is_null={modality: np.zeros(len(rows), np.bool_) for modality in layout.vectors},
            order=self._floats(layout.order, rows),
            order_name=layout.order or "position",
            start_seconds=self._floats(layout.starts, rows),
            end_seconds=self._floats(layout.ends, rows),
            texts=self._array(layout.text)[rows].tolist() if layout.text else None,
            shot_labels={name: list(self._array(name)[rows]) for name in layout.labels},
            group_id=str(self._array(layout.group)[rows[0]]) if layout.group else "",
        )

    def _stacked(self, layout: Layout, title_prefix: str) -> Iterator[TitleRows]:
        num_titles, num_steps = self.columns[next(iter(layout.vectors.values()))].shape
        names = self._array(layout.title) if layout.title else None
        flat = {name for name in layout.labels if len(self.columns[name].shape) == 1}
        for row in range(num_titles):
            vectors: dict[Modality, NDArray[Any]] = {
                modality: self._array(column)[row] for modality, column in layout.vectors.items()
            }
            yield TitleRows(
                name=f"{title_prefix}{row:05d}" if names is None else str(names[row]),
                vectors=vectors,
                is_null={modality: np.zeros(num_steps, np.bool_) for modality in vectors},
                order=self._floats(layout.order, row),
                order_name=layout.order or "position",
                start_seconds=self._floats(layout.starts, row),
                end_seconds=self._floats(layout.ends, row),
                texts=self._array(layout.text)[row].tolist() if layout.text else None,
                shot_labels={name: list(self._array(name)[row]) for name in layout.labels if name not in flat},
                title_labels={name: self._array(name)[row] for name in layout.labels if name in flat},
                group_id=str(self._array(layout.group)[row]) if layout.group else "",
            )

    def _floats(self, name: str | None, rows: NDArray[np.int64] | int) -> Floats | None:
        return None if name is None else self._array(name)[rows].astype(np.float64)

    def _array(self, name: str) -> NDArray[Any]:
        if name not in self._loaded:
            with _whole(self._path), np.load(self._path, allow_pickle=False) as archive:
                self._loaded[name] = archive[name]
        return self._loaded[name]


def _header(opened: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(opened)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f"an array of format {version}, which only structured arrays need")
    shape, _, dtype = read[version](opened)
    return shape, dtype


def _column(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Column:
    said = f"an array of {dtype} [{', '.join(map(str, shape))}]"
    if dtype.hasobject:
        said = "an array of Python objects, which could run code when it is read: save plain numbers or text"
        return Column(name=name, kind=ColumnKind.OTHER, shape=shape, said=said)
    if len(shape) >= 2 and dtype.kind in "fiu" and _is_matrix(name, shape):
        return Column(name=name, kind=ColumnKind.VECTORS, shape=shape[:-1], width=shape[-1], said=said)
    kind = ColumnKind.TRUTH if dtype.kind == "b" else _KINDS.get(dtype.kind, ColumnKind.OTHER)
    return Column(name=name, kind=kind, shape=shape, said=said)


_FLAT_NAMES = {"position", "shot_index", "start_seconds", "end_seconds", "label", "score"}


def _is_matrix(name: str, shape: tuple[int, ...]) -> bool:
    """Whether the last dimension is a width; two dimensions under these names are [titles, steps]."""
    return shape[-1] > 0 and not (len(shape) == 2 and name in _FLAT_NAMES)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """One documented conversion: whatever says that the archive or an array in it is broken."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, KeyError, MemoryError) as error:
        raise ConfigError(
            f"cannot be read ({error})",
            rule="an NPZ is a whole zip archive of plain arrays",
            where=str(path),
            remedy="Save it again with numpy.savez, without object arrays.",
        ) from error

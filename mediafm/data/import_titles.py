"""One title of vectors that were made elsewhere: as it stands in a file, and as it is after every check.

Legend: N shots of a title, W width of a modality's vectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm.catalog.title_id import hashed_id
from mediafm.errors import CatalogError, StoreError
from mediafm.fusion import MIN_BLOCK_NORM
from mediafm.store.store import check_title_id
from mediafm.types import Json, Modality

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Flags = NDArray[np.bool_]

MAX_TEXT_CHARACTERS = 100_000
"""Of one shot's text."""


@dataclass(frozen=True, kw_only=True)
class TitleRows:
    """The rows of one title, in the file's order, not checked yet.

    name: what the file calls the title.
    vectors: float [N, W] by modality; is_null: bool [N], rows that the file leaves empty.
    order: [N], position or shot index, NaN where the file has none; None if the file has no such column.
    order_name: that column's name.
    start_seconds, end_seconds: float64 [N], NaN where not known; None if the file has no such column.
    texts: N entries; None if the file has no such column.
    shot_labels: N entries by label column. title_labels: one entry by label column.
    group_id: the series that the title belongs to; "" where the file does not say.
    """

    name: str
    vectors: Mapping[Modality, NDArray[Any]]
    is_null: Mapping[Modality, Flags]
    order: Floats | None = None
    order_name: str = "position"
    start_seconds: Floats | None = None
    end_seconds: Floats | None = None
    texts: Sequence[str | None] | None = None
    shot_labels: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    title_labels: Mapping[str, Any] = field(default_factory=dict)
    group_id: str = ""


@dataclass(frozen=True, kw_only=True)
class ImportedTitle:
    """A title whose rows are in order and sound; row i is shot i.

    name: what the file calls the title; `title_id` is the same wherever that is a safe id.
    vectors: float32 [N, W] by modality, zeros where absent; is_present: bool [N].
    start_seconds, end_seconds: float64 [N], NaN where not known.
    texts: N entries, None where the shot has none; None as a whole if the file speaks of no text.
    labels: rows of a label file that speak about this title.
    group_id: its series, else its own id.
    """

    title_id: str
    name: str
    vectors: Mapping[Modality, Vectors]
    is_present: Mapping[Modality, Flags]
    start_seconds: Floats
    end_seconds: Floats
    texts: tuple[str | None, ...] | None
    group_id: str
    labels: tuple[Mapping[str, Json], ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(item) for item in (*self.vectors.values(), *self.is_present.values(), self.end_seconds)}
        lengths |= {len(self.texts)} if self.texts is not None else set()
        if lengths != {self.num_shots} or set(self.vectors) != set(self.is_present) or not self.num_shots:
            raise CatalogError(
                f"columns of {sorted(lengths)} rows", rule="a title has at least one shot", where=self.title_id
            )

    @property
    def num_shots(self) -> int:
        return len(self.start_seconds)

    @property
    def has_times(self) -> bool:
        """Whether every shot's span is known."""
        return bool(np.isfinite(self.start_seconds).all())

    @property
    def brings_times(self) -> bool:
        return bool(np.isfinite(self.start_seconds).any())


@dataclass(frozen=True, slots=True)
class RefusedTitle:
    """A title that is left out, alone; `reason` is a sentence. `name` is what the file calls it."""

    name: str
    reason: str


def checked_title(rows: TitleRows) -> ImportedTitle:
    """The title with its rows in order.

    A vector is absent where the file has none, and where it is shorter than `mediafm.fusion.MIN_BLOCK_NORM`: a row of
    zeros says "nothing there".

    Raises:
        CatalogError: positions that repeat or leave one out, numbers that are not finite, spans that are none.
    """
    num_rows = len(next(iter(rows.vectors.values())))
    places, row_order = _ordered(rows, num_rows)
    vectors, is_present = {}, {}
    for modality, values in rows.vectors.items():
        vectors[modality], is_present[modality] = _sound_vectors(
            rows.name, modality, values[row_order], rows.is_null[modality][row_order], places
        )
    starts, ends = _sound_spans(rows, row_order, places)
    title_id = import_title_id(rows.name)
    return ImportedTitle(
        title_id=title_id,
        name=rows.name,
        vectors=vectors,
        is_present=is_present,
        start_seconds=starts,
        end_seconds=ends,
        texts=None if rows.texts is None else tuple(_text(rows, int(row), places) for row in row_order),
        group_id=_group_id(rows, title_id),
    )


def row_order(rows: TitleRows) -> NDArray[np.int64]:
    """Which row of the file holds shot 0, 1, ... Raises `CatalogError` as `checked_title`."""
    return _ordered(rows, len(next(iter(rows.vectors.values()))))[1]


def import_title_id(name: str) -> str:
    """`name` itself where it is a safe file name, else its slug with a hash of the exact name."""
    try:
        return check_title_id(name)
    except StoreError:
        if not name.strip():
            raise CatalogError(f"the title {name!r}", rule="a title has a name") from None
        return hashed_id(name)


def _group_id(rows: TitleRows, title_id: str) -> str:
    """The series, whatever its case and spacing, as catalogues spell it; the title's own id if it stands alone."""
    series = " ".join(rows.group_id.split())
    return title_id if series in ("", rows.name, title_id) else series.casefold()


def _ordered(rows: TitleRows, num_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The positions in order, as the file counts them, and the row that holds each."""
    if rows.order is None:
        counted = np.arange(num_rows, dtype=np.int64)
        return counted, counted
    name = rows.order_name
    whole = np.isfinite(rows.order) & (rows.order == np.floor(rows.order)) & (rows.order >= 0)
    if not whole.all():
        row = int(np.argmin(whole))
        raise _wrong(rows.name, f"{name} = {rows.order[row]} in its row {row}", f"a {name} is a whole number from 0")
    row_index = np.argsort(rows.order, kind="stable").astype(np.int64)
    places = rows.order[row_index].astype(np.int64)
    steps = np.diff(places)
    if (steps == 0).any():
        raise _wrong(rows.name, f"{name} {places[int(np.argmin(steps))]} twice", f"each {name} of a title comes once")
    if (steps > 1).any():
        before = int(places[int(np.argmax(steps > 1))])
        raise _wrong(
            rows.name,
            f"no {name} {before + 1} between {before} and {places[int(np.argmax(steps > 1)) + 1]}",
            f"each {name} from the first to the last has a row; a shot without vectors has one of nulls",
        )
    if name == "shot_index" and places[0] != 0:
        raise _wrong(rows.name, f"the first shot_index is {places[0]}", "shot indexes begin at 0")
    return places, row_index


def _sound_vectors(
    name: str, modality: Modality, values: NDArray[Any], is_null: Flags, places: NDArray[np.int64]
) -> tuple[Vectors, Flags]:
    wide = np.where(is_null[:, None], 0.0, values)
    with np.errstate(over="ignore"):
        vectors: Vectors = wide.astype(np.float32)
    is_finite = np.isfinite(vectors).all(axis=1)
    if not is_finite.all():
        place = places[int(np.argmin(is_finite))]
        raise _wrong(
            name, f"the {modality} vector at position {place} is not finite", "vectors hold finite float32 numbers"
        )
    is_present: Flags = ~is_null & (np.linalg.norm(vectors.astype(np.float64), axis=1) >= MIN_BLOCK_NORM)
    vectors[~is_present] = 0.0
    return vectors, is_present


def _sound_spans(rows: TitleRows, row_index: NDArray[np.int64], places: NDArray[np.int64]) -> tuple[Floats, Floats]:
    nothing = np.full(len(row_index), np.nan)
    if rows.start_seconds is None or rows.end_seconds is None:
        return nothing, nothing.copy()
    starts, ends = rows.start_seconds[row_index], rows.end_seconds[row_index]
    known = np.isfinite(starts) & np.isfinite(ends)
    is_good = (np.isnan(starts) & np.isnan(ends)) | (known & (ends > starts))
    if not is_good.all():
        shot = int(np.argmin(is_good))
        raise _wrong(
            rows.name,
            f"the span at position {places[shot]} goes from {starts[shot]} to {ends[shot]} s",
            "a span has two finite ends, the second later, or none",
        )
    if (np.diff(starts[known]) < 0).any():
        shot = int(np.flatnonzero(known)[int(np.argmax(np.diff(starts[known]) < 0)) + 1])
        raise _wrong(
            rows.name, f"the span at position {places[shot]} begins before the one before it", "shots are in order"
        )
    return starts, ends


def _text(rows: TitleRows, row: int, places: NDArray[np.int64]) -> str | None:
    text = rows.texts[row] if rows.texts is not None else None
    if text is None or not text.strip():
        return None
    if len(text) > MAX_TEXT_CHARACTERS:
        raise _wrong(rows.name, f"a text of {len(text)} characters", f"a shot's text has at most {MAX_TEXT_CHARACTERS}")
    return text.strip()


def _wrong(name: str, seen: str, rule: str) -> CatalogError:
    return CatalogError(seen, rule=rule, where=f"title {name}", remedy="Mend the file and import it again.")


def content_hash(*parts: bytes) -> str:
    """SHA-256 over parts, each with its length: what stands for the content of an imported facet."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()

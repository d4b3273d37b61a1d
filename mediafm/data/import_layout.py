"""Which column of a file of vectors plays which part: found by name and kind, never by looking at the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from mediafm.errors import ConfigError
from mediafm.types import Modality

TITLE, GROUP = "title_id", "group_id"
ORDERS = ("shot_index", "position")
STARTS, ENDS = "start_seconds", "end_seconds"
TEXTS = ("transcript", "text")
LABELS = ("label", "labels", "score", "scores")
SCORE_NAMES = "score_names"
VECTOR = "vector"
IGNORED = {"split": "titles are split by a hash of their group, once and for ever, so that no file can move them"}

OUR_OWN = ("is_present", "fingerprint", "producer_id", "checkpoint_sha256", "object_sha256", "mediafm_export")
"""What `mediafm export` writes beside the vectors: passed over without a word."""


class ColumnKind(StrEnum):
    """What a column holds, as far as an import cares."""

    VECTORS = "vectors"
    TEXT = "text"
    NAMES = "lists of names"
    INTEGER = "whole numbers"
    NUMBER = "numbers"
    TRUTH = "truth values"
    OTHER = "something else"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column or array.

    shape: (rows,), or (titles, steps) of a stacked array; without the vectors' width.
    width: numbers per vector; 0 for other kinds.
    said: how the file calls its type, for messages.
    """

    name: str
    kind: ColumnKind
    shape: tuple[int, ...]
    width: int = 0
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The parts of a file.

    vectors, widths: column and width by modality.
    title, order, starts, ends, text, group: column names; None where the file has no such column.
    labels: the label columns.
    is_stacked: arrays are [titles, steps, width], a title a row.
    notes: what is not read and why, sentences.
    """

    vectors: Mapping[Modality, str]
    widths: Mapping[Modality, int]
    title: str | None
    order: str | None
    starts: str | None
    ends: str | None
    text: str | None
    group: str | None
    labels: tuple[str, ...]
    is_stacked: bool
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Every column that is read."""
        parts = (self.title, self.order, self.starts, self.ends, self.text, self.group)
        named = [name for name in parts if name is not None]
        return list(dict.fromkeys([*named, *self.vectors.values(), *self.labels]))


def find_layout(columns: Mapping[str, Column], asked: Mapping[Modality, str], where: str) -> Layout:
    """The parts of a file with these columns.

    Args:
        asked: the modalities wanted, each with its column or "" for the usual one; empty for all that bear their name.

    Raises:
        ConfigError: a column is not there or of another kind, no title can be told, or shapes do not agree.
    """
    vectors = _vector_columns(columns, asked, where)
    rest = {name: column for name, column in columns.items() if name not in vectors.values()}
    shape = columns[next(iter(vectors.values()))].shape
    is_stacked = len(shape) == 2
    if not is_stacked and TITLE not in rest:
        raise ConfigError(
            "no title_id",
            rule="rows say whose they are; only arrays of [titles, steps, width] may go without",
            where=where,
            remedy="Add the column title_id.",
        )
    layout = Layout(
        vectors=vectors,
        widths={modality: columns[name].width for modality, name in vectors.items()},
        title=_part(rest, (TITLE,), {ColumnKind.TEXT, ColumnKind.INTEGER}, where),
        order=_part(rest, ORDERS, {ColumnKind.INTEGER, ColumnKind.NUMBER}, where),
        starts=_part(rest, (STARTS,), {ColumnKind.NUMBER, ColumnKind.INTEGER}, where),
        ends=_part(rest, (ENDS,), {ColumnKind.NUMBER, ColumnKind.INTEGER}, where),
        text=_part(rest, TEXTS, {ColumnKind.TEXT}, where, is_strict=False),
        group=_part(rest, (GROUP,), {ColumnKind.TEXT}, where),
        labels=tuple(name for name in LABELS if name in rest and rest[name].kind is not ColumnKind.OTHER),
        is_stacked=is_stacked,
    )
    _require_agreement(columns, layout, shape, where)
    read = {*layout.columns, SCORE_NAMES, *OUR_OWN}
    notes = tuple(f"{name} is not read: {IGNORED.get(name, columns[name].said)}" for name in rest if name not in read)
    return replace(layout, notes=notes)


def _vector_columns(columns: Mapping[str, Column], asked: Mapping[Modality, str], where: str) -> dict[Modality, str]:
    with_vectors = [name for name, column in columns.items() if column.kind is ColumnKind.VECTORS]
    if not asked:
        found = {modality: str(modality) for modality in Modality if str(modality) in with_vectors}
        if not found:
            raise ConfigError(
                f"columns of vectors: {', '.join(with_vectors) or 'none'}",
                rule="without --modality the columns are called video, audio and text",
                where=where,
                remedy="Say which is which: `--modality video=COLUMN`.",
            )
        return found
    found = {}
    for modality, column in asked.items():
        is_only_vector = len(asked) == 1 and str(modality) not in with_vectors and VECTOR in with_vectors
        usual = VECTOR if is_only_vector else str(modality)
        name = column or usual
        if name not in with_vectors:
            said = f" ({columns[name].said})" if name in columns else ""
            raise ConfigError(
                f"no vectors in {name!r}{said}",
                rule=f"its columns of vectors are {', '.join(with_vectors) or 'none'}",
                where=where,
                remedy=f"`--modality {modality}=COLUMN` names another.",
            )
        found[modality] = name
    return {modality: found[modality] for modality in Modality if modality in found}


def _part(
    columns: Mapping[str, Column], names: tuple[str, ...], kinds: set[ColumnKind], where: str, is_strict: bool = True
) -> str | None:
    """The first of `names` that is there; of another kind it is an error, or passed over where not strict."""
    for name in names:
        if name in columns and columns[name].kind in kinds:
            return name
        if name in columns and is_strict:
            raise ConfigError(
                f"{name} holds {columns[name].said}", rule=f"it holds {' or '.join(sorted(kinds))}", where=where
            )
    return None


def _require_agreement(columns: Mapping[str, Column], layout: Layout, shape: tuple[int, ...], where: str) -> None:
    """All that does not fit is collected, then raised once."""
    wrong = []
    if len(shape) not in (1, 2):
        wrong.append(f"vectors of {len(shape) + 1} dimensions")
    of_titles = {layout.title, layout.group, *layout.labels} if layout.is_stacked else set()
    for name in layout.columns:
        found = columns[name].shape
        if found != shape and not (name in of_titles and found == shape[:1]):
            wrong.append(f"{name} has {_shown(found)} rows, the vectors {_shown(shape)}")
    if (layout.starts is None) != (layout.ends is None):
        wrong.append(f"{layout.starts or layout.ends} without its other end")
    if wrong:
        raise ConfigError(
            "; ".join(wrong), rule="columns have a row a shot, or in stacked arrays a row a title", where=where
        )


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))

"""What the cells of one label row say: which title, where in it, and what of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from mediafm.errors import CatalogError
from mediafm.types import Span

Cells: TypeAlias = dict[str, Any]
LabelValue: TypeAlias = tuple[str, ...] | bool | str | float
MAX_NAME_CHARACTERS = 200
MAX_LABELS_PER_ROW = 100
MAX_BOUNDARIES_PER_ROW = 10_000
MAX_NUMBER = 1e12
VALUE_KEYS = ("labels", "label", "score", "boundary_seconds", "boundary_shot_index")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where in its title a row speaks: at most one of the first three, none for the whole title.

    span: a clip.
    shot_index: a shot, or the first of a pair.
    boundary_seconds, boundary_shot_index: where scenes begin; the row speaks of every pair of the title.
    is_pair: whether it speaks of `shot_index` and the next shot.
    """

    span: Span | None = None
    shot_index: int | None = None
    boundary_seconds: tuple[float, ...] | None = None
    boundary_shot_index: tuple[int, ...] | None = None
    is_pair: bool = False


def name_of(cells: Cells, key: str) -> str:
    """The text of 1 to `MAX_NAME_CHARACTERS` characters under `key`.

    Raises:
        CatalogError: it is something else.
    """
    value = cells.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARACTERS:
        raise CatalogError(f"{key} = {value!r:.80}", rule=f"it is a text of 1 to {MAX_NAME_CHARACTERS} characters")
    return value


def place_of(cells: Cells, kind: str | None = None) -> Place:
    """Where the row speaks. `kind` is the configured one: "pair" makes the next shot known from `shot_index` alone.

    Raises:
        CatalogError: a number that is none, two places at once, a pair of shots that are no neighbours.
    """
    has_times = "start_seconds" in cells or "end_seconds" in cells
    given = [key for key in ("shot_index", "boundary_seconds", "boundary_shot_index") if key in cells]
    if "next_shot_index" in cells and given != ["shot_index"]:
        raise CatalogError("next_shot_index without shot_index", rule="a pair of neighbouring shots is named by both")
    if len(given) > 1 or (given and has_times):
        raise CatalogError(
            f"{' and '.join([f'{key} = {cells[key]!r:.80}' for key in given])}{' beside times' if has_times else ''}",
            rule="a row has either times or one shot index or boundaries",
        )
    if not given:
        return Place(span=Span(_number(cells, "start_seconds"), _number(cells, "end_seconds")) if has_times else None)
    if given == ["boundary_seconds"]:
        return Place(boundary_seconds=tuple(_number({given[0]: item}, given[0]) for item in _listed(cells, given[0])))
    if given == ["boundary_shot_index"]:
        return Place(boundary_shot_index=tuple(_index({given[0]: item}, given[0]) for item in _listed(cells, given[0])))
    return _shot_place(cells, kind)


def value_of(cells: Cells, kind: str | None = None) -> LabelValue:
    """What the row says; True for boundaries. `kind` is the configured one, which settles what `label` may mean.

    Raises:
        CatalogError: none or several of labels, label, score and boundaries, or one that is not what it must be.
    """
    given = [key for key in VALUE_KEYS if key in cells]
    if len(given) != 1:
        raise CatalogError(
            " and ".join(given) or "no label", rule="a row has one of labels, label and score, or scene boundaries"
        )
    if given == ["score"]:
        return _number(cells, "score")
    if given == ["label"]:
        return _one_label(cells, kind)
    return _names(cells) if given == ["labels"] else True


def _one_label(cells: Cells, kind: str | None) -> LabelValue:
    label = cells["label"]
    if kind in {"single_label", "multi_label"}:
        # Classes may be called 0 and 1, or true and false.
        name = str(label).lower() if isinstance(label, bool) else str(label) if isinstance(label, int) else label
        found = name_of({"label": name}, "label")
        return found if kind == "single_label" else (found,)
    if isinstance(label, bool) or (isinstance(label, int | float) and label in (0, 1)):
        return bool(label)
    return name_of(cells, "label")


def _names(cells: Cells) -> tuple[str, ...]:
    labels = cells["labels"]
    if not isinstance(labels, list) or len(labels) > MAX_LABELS_PER_ROW:
        raise CatalogError(f"labels = {labels!r:.80}", rule=f"it is a list of at most {MAX_LABELS_PER_ROW} names")
    return tuple(sorted({name_of({"labels": label}, "labels") for label in labels}))


def _shot_place(cells: Cells, kind: str | None) -> Place:
    index = _index(cells, "shot_index")
    is_pair = "next_shot_index" in cells or kind == "pair"
    following = _index(cells, "next_shot_index") if "next_shot_index" in cells else index + 1
    if is_pair and following != index + 1:
        raise CatalogError(
            f"shots {index} and {following}", rule="a pair is of neighbouring shots: next_shot_index is shot_index + 1"
        )
    return Place(shot_index=index, is_pair=is_pair)


def _listed(cells: Cells, key: str) -> list[Any]:
    value = cells[key]
    items = value if isinstance(value, list) else [value]
    if len(items) > MAX_BOUNDARIES_PER_ROW:
        raise CatalogError(f"{len(items)} of {key}", rule=f"a row has at most {MAX_BOUNDARIES_PER_ROW}")
    return items


def _number(cells: Cells, key: str) -> float:
    value = cells.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_NUMBER:
        raise CatalogError(f"{key} = {value!r:.80}", rule=f"it is a number below {MAX_NUMBER:g}")
    return float(value)


def _index(cells: Cells, key: str) -> int:
    index = cells[key]
    if isinstance(index, float) and index.is_integer():
        index = int(index)  # Parquet columns that once held a null
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < MAX_NUMBER:
        raise CatalogError(f"{key} = {index!r:.80}", rule="a shot's index is a whole number from 0")
    return index

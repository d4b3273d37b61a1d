"""Reads truth and predictions for the boundary scorer, in the shapes that data sets and detectors write.

Text files hold one thing a line, JSON files one value; frames count from 0. What each shape means:

- **cuts**: first frames of new shots. Text: one whole number a line. JSON: `[49, 117]` or `{"cuts": [...]}`.
- **scenes**: first and last frame of each shot, both inclusive, as TransNetV2's `.scenes.txt` and the BBC and RAI sets
  have them; what lies between two scenes is their transition. Text: `start end`. JSON: `[[0, 48], ...]` or
  `{"scenes": [...]}`.
- **transitions** (truth only): ClipShots' pairs, the last frame of the old shot and the first of the new one; JSON:
  `{"transitions": [[48, 49], ...]}`, also inside `{"<one video>": {...}}`. Or our own objects with `start_frame` and
  `end_frame`, half-open, as `Transition` has them.
- **scores** (predictions only): a number in [0, 1] for every frame. Text: one a line with a decimal point; of several
  columns the first counts (TransNetV2's `.predictions.txt`). JSON: `[0.01, ...]` or `{"scores": [...]}`. NumPy: `.npy`
  of floats [frames] or [frames, columns]; nothing pickled is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediafm.errors import ConfigError, NotFoundError
from mediafm.shots.score import TRUTH_SHAPES, Transition

REMEDY = "`mediafm score-shots --help` lists the formats."
_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a detector said: cuts, or float64 scores [frames] from which cuts follow by a threshold."""

    cuts: tuple[int, ...] = ()
    scores: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """Numbers that stood together, and where."""

    where: str
    numbers: tuple[float, ...]

    @property
    def is_whole(self) -> bool:
        return all(isinstance(number, int) for number in self.numbers)


@dataclass(frozen=True, slots=True)
class _Table:
    """Rows of numbers; `shape` is what the file itself says they are."""

    where: str
    rows: tuple[_Row, ...]
    shape: str | None = None

    @property
    def num_columns(self) -> int:
        return len(self.rows[0].numbers) if self.rows else 1


def read_truth(path: Path, shape: str | None = None) -> tuple[Transition, ...]:
    """The true transitions of a file, in order.

    Args:
        path: text or JSON.
        shape: one of `TRUTH_SHAPES`; None takes what the file says, else pairs for scenes and single numbers for cuts.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it has another shape; says on which line.
    """
    value = _read(path)
    own = value.get("transitions") if isinstance(value, Mapping) else None
    if own and isinstance(own, list) and isinstance(own[0], Mapping):
        return tuple(_own_transition(each, f"{path}, transitions[{i}]") for i, each in enumerate(own))
    table = value if isinstance(value, _Table) else _table(value, str(path))
    match shape or table.shape or ("cuts" if table.num_columns == 1 else "scenes"):
        case "cuts":
            return tuple(Transition(cut, cut) for cut in _cuts(table))
        case "scenes":
            scenes = _pairs(table, "a scene's first and last frame")
            gaps = zip(scenes, scenes[1:], table.rows[1:], strict=False)
            return tuple(_between(one[1], two[0], row.where) for one, two, row in gaps)
        case "transitions":
            pairs = _pairs(table, "the last frame of the old shot and the first of the new one")
            return tuple(_between(*pair, row.where) for pair, row in zip(pairs, table.rows, strict=True))
        case other:
            raise _wrong(table.where, other, "truth is cuts, scenes or transitions")


def read_predictions(path: Path) -> Predictions:
    """A detector's cuts or scores from a text, JSON or NumPy file; of scenes, the first frame of all but the first.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it has another shape; says on which line.
    """
    value = _array(path) if path.suffix == ".npy" else _read(path)
    table = value if isinstance(value, _Table) else _table(value, str(path))
    if table.shape == "transitions":
        raise _wrong(table.where, "transitions", "predictions are cuts, scenes or scores")
    if table.shape == "scores" or (table.shape is None and not all(row.is_whole for row in table.rows)):
        return Predictions(scores=_scores(table))
    if table.shape == "scenes" or table.num_columns == 2:
        return Predictions(cuts=tuple(start for start, _ in _pairs(table, "a scene's first and last frame"))[1:])
    return Predictions(cuts=_cuts(table))


def _read(path: Path) -> Any:
    """A JSON value, or a table of a text file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise NotFoundError(
            f"no file {path}", rule="truth and predictions are files", remedy="Check the path."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(
            str(path), f"it cannot be read as text ({error})", "truth and predictions are UTF-8 text"
        ) from error
    if path.suffix != ".json":
        lines = ((number, line.split("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1))
        return _Table(str(path), tuple(_text_row(line, f"{path}, line {number}") for number, line in lines if line))
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise _wrong(f"{path}, line {line}", f"broken JSON ({error})", "a .json file holds one JSON value") from error


def _text_row(line: str, where: str) -> _Row:
    words = [word for word in _SEPARATORS.split(line) if word]
    try:
        return _Row(where, tuple(int(word) if word.lstrip("+-").isdecimal() else float(word) for word in words))
    except ValueError as error:
        raise _wrong(where, repr(line[:60]), "a line holds numbers, apart from what follows a #") from error


def _array(path: Path) -> _Table:
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise NotFoundError(f"no file {path}", rule="predictions are a file", remedy="Check the path.") from error
    except (OSError, ValueError, EOFError) as error:
        raise _wrong(str(path), f"no plain array ({error})", "a .npy file holds numbers, nothing pickled") from error
    if array.dtype.kind not in "iuf" or array.ndim not in (1, 2):
        raise _wrong(
            str(path),
            f"{array.dtype} of shape {list(array.shape)}",
            "scores or cuts are numbers, [frames] or [frames, columns]",
        )
    shape = "scores" if array.dtype.kind == "f" else None
    rows = array.reshape(len(array), -1).tolist() if len(array) else []
    return _Table(str(path), tuple(_Row(f"{path}, row {i}", tuple(row)) for i, row in enumerate(rows)), shape)


def _table(value: Any, where: str, shape: str | None = None) -> _Table:
    """Numbers, or lists of numbers, out of a JSON value; objects are opened by the names of the shapes."""
    if isinstance(value, Mapping):
        named = [key for key in (*TRUTH_SHAPES, "scores") if key in value]
        if not named and len(value) == 1:
            ((title, inner),) = value.items()
            return _table(inner, f"{where}, {title}")
        if len(named) != 1:
            rule = "an object holds cuts, scenes, transitions or scores: one of them, of one video"
            raise _wrong(where, f"an object with {', '.join(list(value)[:5]) or 'nothing'}", rule)
        return _table(value[named[0]], f"{where}, {named[0]}", named[0])
    if not isinstance(value, list):
        raise _wrong(where, f"a JSON {type(value).__name__}", "it is a list, or an object that holds one")
    return _Table(where, tuple(_json_row(each, f"{where}[{i}]") for i, each in enumerate(value)), shape)


def _json_row(value: Any, where: str) -> _Row:
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers):
        raise _wrong(where, repr(value)[:60], "it holds numbers or lists of numbers")
    return _Row(where, tuple(numbers))


def _own_transition(value: Any, where: str) -> Transition:
    match value:
        case {"start_frame": int(start), "end_frame": int(end)} if 0 <= start <= end:
            return Transition(start, end, str(value.get("kind", "cut")))
    rule = "a transition has whole numbers start_frame and end_frame, 0 <= start <= end"
    raise _wrong(where, repr(value)[:80], rule)


def _cuts(table: _Table) -> tuple[int, ...]:
    """Increasing first frames of shots."""
    before = -1
    for row in table.rows:
        if len(row.numbers) != 1 or not row.is_whole or row.numbers[0] <= before:
            seen = f"{' '.join(map(str, row.numbers))} after {before}" if before >= 0 else f"{row.numbers}"
            raise _wrong(row.where, seen, "cuts are increasing whole numbers from 0 (scores have a decimal point)")
        before = int(row.numbers[0])
    return tuple(int(row.numbers[0]) for row in table.rows)


def _pairs(table: _Table, what: str) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for row in table.rows:
        if len(row.numbers) != 2 or not row.is_whole or not 0 <= row.numbers[0] <= row.numbers[1]:
            raise _wrong(
                row.where, " ".join(map(str, row.numbers)), f"two whole numbers: {what}, the first not greater"
            )
        if pairs and row.numbers[0] < pairs[-1][1]:
            raise _wrong(row.where, f"{row.numbers[0]} after {pairs[-1][1]}", "pairs come in order and do not overlap")
        pairs.append((int(row.numbers[0]), int(row.numbers[1])))
    return pairs


def _between(last_of_old: int, first_of_new: int, where: str) -> Transition:
    """The transition between two shots; none of its frames is in either."""
    if first_of_new <= last_of_old:
        raise _wrong(where, f"frame {first_of_new} in two shots", "a new shot begins after the old one's last frame")
    return Transition(last_of_old + 1, first_of_new, "cut" if first_of_new == last_of_old + 1 else "gradual")


def _scores(table: _Table) -> NDArray[np.float64]:
    for row in table.rows:
        if len(row.numbers) != table.num_columns or not 0.0 <= row.numbers[0] <= 1.0:
            raise _wrong(
                row.where, str(list(row.numbers)), f"a score in [0, 1], {table.num_columns} numbers in each row"
            )
    return np.array([row.numbers[0] for row in table.rows], np.float64)


def _wrong(where: str, seen: str, rule: str) -> ConfigError:
    return ConfigError(seen, rule=rule, where=where, remedy=REMEDY)

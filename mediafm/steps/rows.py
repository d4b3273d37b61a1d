"""Rows at rest to carriers in memory: the reading side of the tables' schemas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mediafm.errors import LineageMismatchError
from mediafm.types import Span


def spans_of(table: pa.Table) -> list[Span]:
    """The spans of a `spans` table, in order of shots.

    Raises:
        LineageMismatchError: a shot without times: it came with imported vectors.
    """
    starts, ends = table.column("start_seconds").to_pylist(), table.column("end_seconds").to_pylist()
    untimed = [shot for shot, ends_of in enumerate(zip(starts, ends, strict=True)) if None in ends_of]
    if untimed:
        raise LineageMismatchError(
            f"shot {untimed[0]} has no times",
            rule="sound and timed text are read by the times of shots; those of imported titles may have none",
            remedy="Import the title again with start_seconds and end_seconds.",
        )
    return [Span(start, end) for start, end in zip(starts, ends, strict=True)]


def frames_by_shot(tables: Iterable[pa.Table]) -> Iterator[tuple[int, list[float], list[bytes]]]:
    """Each shot's kept frames from row groups of a `frames` table: (shot index, times, JPEGs), one shot at a time."""
    shot_index, times, jpegs = -1, list[float](), list[bytes]()
    for table in tables:
        columns = (table.column(name).to_pylist() for name in ("shot_index", "time_seconds", "jpeg"))
        for index, time_seconds, jpeg in zip(*columns, strict=True):
            if index != shot_index and jpegs:
                yield shot_index, times, jpegs
                times, jpegs = [], []
            shot_index = index
            times.append(time_seconds)
            jpegs.append(jpeg)
    if jpegs:
        yield shot_index, times, jpegs


def decode_jpeg(jpeg: bytes) -> NDArray[np.uint8]:
    """One kept frame as uint8 RGB [height, width, 3]."""
    import cv2

    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    rgb: NDArray[np.uint8] = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb


def cue_texts_by_shot(table: pa.Table) -> Iterator[tuple[int, list[str]]]:
    """Each shot's timed text in order of time, from a whole `cues` table; shots without any are left out."""
    by_shot: dict[int, list[str]] = {}
    columns = (table.column(name).to_pylist() for name in ("shot_index", "text"))
    for shot_index, text in zip(*columns, strict=True):
        by_shot.setdefault(shot_index, []).append(text)
    yield from sorted(by_shot.items())

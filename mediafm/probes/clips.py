"""A label speaks about a clip; a clip is some shots of a title, each with the time that they share.

Legend: C clips, N shots of a title, W width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm.catalog.title import Problem
from mediafm.config import ProbeSettings
from mediafm.errors import LineageMismatchError
from mediafm.probes.annotators import merged
from mediafm.probes.boundaries import with_pairs
from mediafm.probes.clip_pooling import Pooling, pool_shots
from mediafm.probes.label_rows import LabelValue
from mediafm.probes.labels import LabelKind, LabelRow, LabelSet
from mediafm.probes.vectors import Flags, Floats, Indexes, TitleShots, TitleVectors, Vectors

DEFAULTS = ProbeSettings()


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One labelled clip, found in its title.

    shot_index: int64, the shots that it overlaps, at least one; of a pair both, in order.
    weight: float64, the seconds that each shares with it.
    """

    title_id: str
    group_id: str
    shot_index: Indexes
    weight: Floats
    value: LabelValue
    where: str


@dataclass(frozen=True, kw_only=True)
class TaskClips:
    """The clips of one task, one per clip whatever the number of annotators, and what was dropped with its reason.

    pooling: how the vectors of a clip's shots become the clip's.
    """

    task: str
    kind: LabelKind
    clips: tuple[Clip, ...]
    dropped: tuple[Problem, ...]
    pooling: Pooling = Pooling.MEAN

    @property
    def groups(self) -> list[str]:
        """The group of each clip."""
        return [clip.group_id for clip in self.clips]


@dataclass(frozen=True, kw_only=True)
class ClipVectors:
    """One vector per clip of a task.

    vectors: float32 [C, W], unit rows (but for pairs, see `pair_vector`), zeros where absent.
    is_present: bool [C], False where none of the clip's shots has such a vector, or not both shots of a pair.
    """

    vectors: Vectors
    is_present: Flags


def find_clips(label_set: LabelSet, titles: Mapping[str, TitleShots], settings: ProbeSettings = DEFAULTS) -> TaskClips:
    """Each label's shots. Unknown titles, shots that do not exist and spans outside the title are dropped and named.

    Rows of scene boundaries are spelt out as pairs first (`with_pairs`), then annotators are merged.
    """
    clips: list[Clip] = []
    dropped: list[Problem] = []
    if label_set.kind is LabelKind.PAIR:
        label_set, dropped = with_pairs(label_set, titles, settings.boundary_tolerance_seconds)
    for row in merged(label_set).rows:
        title = titles.get(row.title_id)
        reason = _reason_to_drop(row, title)
        if title is None or reason:
            dropped.append(Problem(row.where, reason))
            continue
        weight = _weights(row, title)
        index = np.flatnonzero(weight > 0)
        clips.append(
            Clip(
                title_id=row.title_id,
                group_id=title.group_id,
                shot_index=index,
                weight=weight[index],
                value=row.value,
                where=row.where,
            )
        )
    pooling = Pooling.PAIR if label_set.kind is LabelKind.PAIR else Pooling(settings.task(label_set.task).pooling)
    return TaskClips(
        task=label_set.task, kind=label_set.kind, clips=tuple(clips), dropped=tuple(dropped), pooling=pooling
    )


def _weights(row: LabelRow, title: TitleShots) -> Floats:
    if row.span is not None:
        return title.overlap_seconds(row.span)
    if row.shot_index is not None:
        offset = np.arange(title.num_shots) - row.shot_index
        return np.where((offset == 0) | (row.is_pair & (offset == 1)), title.weights, 0.0)
    return title.weights


def _reason_to_drop(row: LabelRow, title: TitleShots | None) -> str:
    if title is None:
        return f"the title {row.title_id!r} is not in the catalogue"
    if title.num_shots == 0:
        return f"the title {row.title_id!r} has no shots"
    if row.shot_index is not None and row.is_pair and row.shot_index + 1 >= title.num_shots:
        return f"shots {row.shot_index} and {row.shot_index + 1} of {row.title_id!r}, which has {title.num_shots}"
    if row.shot_index is not None and row.shot_index >= title.num_shots:
        return f"shot {row.shot_index} of {row.title_id!r}, which has {title.num_shots}"
    if row.span is not None and not title.has_times:
        return f"a span of {row.title_id!r}, whose shots have no times; name the shot by its index"
    if row.span is not None and not _weights(row, title).any():
        return (
            f"{row.span.start_seconds} to {row.span.end_seconds} s lies outside {row.title_id!r}, "
            f"which ends at {title.end_seconds[-1]:.2f} s"
        )
    return ""


def clip_vectors(tasks: Sequence[TaskClips], titles: Iterable[TitleVectors]) -> list[ClipVectors]:
    """The vectors of every task's clips, in one pass over `titles`, one title in memory at a time.

    A clip's vector is that of its present shots by the task's `pooling`; clips of titles that do not come by are
    absent.

    Raises:
        LineageMismatchError: a title has fewer vectors than shots.
    """
    wanted: dict[str, list[tuple[int, int]]] = {}
    for task_number, task in enumerate(tasks):
        for clip_number, clip in enumerate(task.clips):
            wanted.setdefault(clip.title_id, []).append((task_number, clip_number))
    found: dict[tuple[int, int], Vectors] = {}
    width = 0
    for title in titles:
        width = title.width
        for place in wanted.get(title.title_id, ()):
            task = tasks[place[0]]
            vector = clip_vector(task.clips[place[1]], title, task.pooling)
            if vector is not None:
                found[place] = vector
    return [
        _stacked(task_number, len(task.clips), found, task.pooling.width(width))
        for task_number, task in enumerate(tasks)
    ]


def clip_vector(clip: Clip, title: TitleVectors, pooling: Pooling) -> Vectors | None:
    """The clip's vector; float32, `pooling.width(W)` numbers, or None if it has none.

    Raises:
        LineageMismatchError: the title has fewer vectors than shots.
    """
    if clip.shot_index.max() >= title.num_shots:
        raise LineageMismatchError(
            f"shot {clip.shot_index.max()} among vectors of {title.num_shots} shots",
            rule="a title's vectors and spans count the same shots",
            where=f"title {title.title_id}",
            remedy="Embed the title again.",
        )
    return pool_shots(title.vectors[clip.shot_index], title.is_present[clip.shot_index], clip.weight, pooling)


def _stacked(task_number: int, num_clips: int, found: Mapping[tuple[int, int], Vectors], width: int) -> ClipVectors:
    vectors = np.zeros((num_clips, width), dtype=np.float32)
    is_present = np.zeros(num_clips, dtype=np.bool_)
    for clip_number in range(num_clips):
        vector = found.get((task_number, clip_number))
        if vector is not None:
            vectors[clip_number] = vector
            is_present[clip_number] = True
    return ClipVectors(vectors=vectors, is_present=is_present)

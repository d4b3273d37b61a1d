"""A label speaks about a clip; a clip is some shots of a title, each with the time that they share.

Legend: C clips, N shots of a title, W width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm.catalog.title import Problem
from mediafm.errors import LineageMismatchError
from mediafm.probes.annotators import merged
from mediafm.probes.labels import LabelKind, LabelRow, LabelSet, LabelValue
from mediafm.probes.vectors import Flags, Floats, Indexes, TitleShots, TitleVectors, Vectors, unit_rows


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One labelled clip, found in its title.

    shot_index: int64, the shots that it overlaps, at least one. weight: float64, the seconds that each shares with it.
    """

    title_id: str
    group_id: str
    shot_index: Indexes
    weight: Floats
    value: LabelValue
    where: str


@dataclass(frozen=True, kw_only=True)
class TaskClips:
    """The clips of one task, one per clip whatever the number of annotators, and what was dropped with its reason."""

    task: str
    kind: LabelKind
    clips: tuple[Clip, ...]
    dropped: tuple[Problem, ...]

    @property
    def groups(self) -> list[str]:
        """The group of each clip."""
        return [clip.group_id for clip in self.clips]


@dataclass(frozen=True, kw_only=True)
class ClipVectors:
    """One vector per clip of a task.

    vectors: float32 [C, W], unit rows, zeros where absent.
    is_present: bool [C], False where none of the clip's shots has such a vector.
    """

    vectors: Vectors
    is_present: Flags


def find_clips(label_set: LabelSet, titles: Mapping[str, TitleShots]) -> TaskClips:
    """Each label's shots. Unknown titles, shots that do not exist and spans outside the title are dropped and named."""
    clips: list[Clip] = []
    dropped: list[Problem] = []
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
    return TaskClips(task=label_set.task, kind=label_set.kind, clips=tuple(clips), dropped=tuple(dropped))


def _weights(row: LabelRow, title: TitleShots) -> Floats:
    if row.span is not None:
        return title.overlap_seconds(row.span)
    if row.shot_index is not None:
        return np.where(np.arange(title.num_shots) == row.shot_index, title.weights, 0.0)
    return title.weights


def _reason_to_drop(row: LabelRow, title: TitleShots | None) -> str:
    if title is None:
        return f"the title {row.title_id!r} is not in the catalogue"
    if title.num_shots == 0:
        return f"the title {row.title_id!r} has no shots"
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

    A clip's vector is the mean of its present shots, weighted by overlap, at length one. Clips of titles that do not
    come by are absent.

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
            found.update((place, vector) for vector in _pooled(tasks[place[0]].clips[place[1]], title))
    return [_stacked(task_number, len(task.clips), found, width) for task_number, task in enumerate(tasks)]


def _pooled(clip: Clip, title: TitleVectors) -> Iterator[Vectors]:
    """The clip's vector, or nothing if no shot of it is present."""
    if clip.shot_index.max() >= title.num_shots:
        raise LineageMismatchError(
            f"shot {clip.shot_index.max()} among vectors of {title.num_shots} shots",
            rule="a title's vectors and spans count the same shots",
            where=f"title {title.title_id}",
            remedy="Embed the title again.",
        )
    is_present = title.is_present[clip.shot_index]
    if is_present.any():
        weight = clip.weight[is_present]
        mean = weight @ title.vectors[clip.shot_index[is_present]].astype(np.float64) / weight.sum()
        yield unit_rows(mean[None, :])[0]


def _stacked(task_number: int, num_clips: int, found: Mapping[tuple[int, int], Vectors], width: int) -> ClipVectors:
    vectors = np.zeros((num_clips, width), dtype=np.float32)
    is_present = np.zeros(num_clips, dtype=np.bool_)
    for clip_number in range(num_clips):
        vector = found.get((task_number, clip_number))
        if vector is not None:
            vectors[clip_number] = vector
            is_present[clip_number] = True
    return ClipVectors(vectors=vectors, is_present=is_present)

"""The vectors of clips under several transforms of their shots' vectors, in one pass over the titles.

Legend: C clips of a task, N shots of a title, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from mediafm.errors import LineageMismatchError
from mediafm.probes.clips import ClipVectors, TaskClips, clip_vectors
from mediafm.probes.vectors import Flags, Indexes, TitleVectors, Vectors

ShotTransform: TypeAlias = Callable[[TitleVectors], TitleVectors]
"""Makes other vectors of a title's shots; the shots stay the same ones."""


def transformed_clips(
    tasks: Sequence[TaskClips], titles: Iterable[TitleVectors], transforms: Mapping[str, ShotTransform]
) -> dict[str, list[ClipVectors]]:
    """Per transform, what `clip_vectors` makes of every task's clips; one title in memory at a time.

    Beside it transforms x clips of all tasks x width x 4 bytes are held, which is what is given back.

    Raises:
        LineageMismatchError: a title has fewer vectors than shots, or another width than the first.
    """
    parts = _by_title(tasks)
    stacks = {name: [_Stack(len(task.clips)) for task in tasks] for name in transforms}
    for title in titles:
        inside = parts.get(title.title_id, [])
        for name, transform in transforms.items() if inside else ():
            found = clip_vectors([part for _, _, part in inside], [transform(title)])
            for (task_number, clip_numbers, _), vectors in zip(inside, found, strict=True):
                stacks[name][task_number].put(clip_numbers, vectors, title.title_id)
    return {name: [stack.whole() for stack in by_task] for name, by_task in stacks.items()}


def _by_title(tasks: Sequence[TaskClips]) -> dict[str, list[tuple[int, Indexes, TaskClips]]]:
    """Title -> for each task that speaks about it: its number, which of its clips they are, and those as a task."""
    found: dict[str, list[tuple[int, Indexes, TaskClips]]] = {}
    for task_number, task in enumerate(tasks):
        numbers: dict[str, list[int]] = {}
        for clip_number, clip in enumerate(task.clips):
            numbers.setdefault(clip.title_id, []).append(clip_number)
        for title_id, inside in numbers.items():
            part = replace(task, clips=tuple(task.clips[number] for number in inside), dropped=())
            found.setdefault(title_id, []).append((task_number, np.array(inside, dtype=np.int64), part))
    return found


class _Stack:
    """The rows of a task's clips; made when the first title tells the width."""

    def __init__(self, num_clips: int) -> None:
        self._vectors: Vectors = np.zeros((num_clips, 0), dtype=np.float32)
        self._is_present: Flags = np.zeros(num_clips, dtype=np.bool_)

    def put(self, clip_numbers: Indexes, found: ClipVectors, title_id: str) -> None:
        width = found.vectors.shape[1]
        if not self._vectors.shape[1]:
            self._vectors = np.zeros((len(self._vectors), width), dtype=np.float32)
        if width != self._vectors.shape[1]:
            raise LineageMismatchError(
                f"vectors of {width} numbers after vectors of {self._vectors.shape[1]}",
                rule="all vectors of a feature set are equally wide",
                where=f"title {title_id}",
                remedy="Embed the title again.",
            )
        self._vectors[clip_numbers] = found.vectors
        self._is_present[clip_numbers] = found.is_present

    def whole(self) -> ClipVectors:
        return ClipVectors(vectors=self._vectors, is_present=self._is_present)

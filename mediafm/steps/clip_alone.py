"""Clips read out of their titles: what a checkpoint makes of a clip whose neighbours it does not see.

Legend: C clips of a task, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mediafm.embedder import Embedder, clip_sequence
from mediafm.probes.clips import ClipVectors, TaskClips, clip_vector
from mediafm.probes.feature_sets import Alternatives, ClipSource
from mediafm.probes.vectors import TitleVectors, Vectors
from mediafm.steps.features import TitleInputs

ReadInputs = Callable[[str], TitleInputs | None]
"""What the model reads of a title, by its id; None for a title that is not among those compared."""
Shots = tuple[int, ...]


def clip_alone_source(read: ReadInputs, embedder: Embedder) -> ClipSource:
    """The clips' own shots through the model, [GLOBAL] told the title's metadata as ever; then pooled.

    Clips of equal shots are embedded once, whatever the number of tasks. Titles are read one at a time.
    """

    def source(tasks: Sequence[TaskClips]) -> list[Alternatives]:
        found: list[dict[int, Vectors]] = [{} for _ in tasks]
        for title_id, places in _by_title(tasks).items():
            inputs = read(title_id)
            if inputs is None:
                continue
            wanted = {_shots(tasks[task], number) for task, number in places}
            alone = _embedded(inputs, sorted(wanted), embedder)
            for task, number in places:
                clip = tasks[task].clips[number]
                vector = clip_vector(clip, alone[_shots(tasks[task], number)], tasks[task].pooling)
                if vector is not None:
                    found[task][number] = vector
        width = embedder.checkpoint.model.hidden_dim
        return [[_stacked(task, vectors, width)] for task, vectors in zip(tasks, found, strict=True)]

    return source


def _by_title(tasks: Sequence[TaskClips]) -> dict[str, list[tuple[int, int]]]:
    places: dict[str, list[tuple[int, int]]] = {}
    for task_number, task in enumerate(tasks):
        for clip_number, clip in enumerate(task.clips):
            places.setdefault(clip.title_id, []).append((task_number, clip_number))
    return places


def _shots(task: TaskClips, number: int) -> Shots:
    return tuple(task.clips[number].shot_index.tolist())


def _embedded(inputs: TitleInputs, clips: Sequence[Shots], embedder: Embedder) -> dict[Shots, TitleVectors]:
    """Each clip's shots as the model sees them without the rest of the title, put where they stand in it."""
    rows = {shots: np.flatnonzero(np.isin(inputs.shot_index, shots)) for shots in clips}
    seen = [shots for shots in clips if len(rows[shots])]
    made = embedder.embed_many([clip_sequence(inputs.sequence, rows[shots]) for shots in seen])
    vectors: Mapping[Shots, Vectors] = {shots: each.shots for shots, each in zip(seen, made, strict=True)}
    nothing = np.zeros((0, embedder.checkpoint.model.hidden_dim), np.float32)
    return {
        shots: TitleVectors.from_rows(
            inputs.sequence.title_id, inputs.shot_index[rows[shots]], vectors.get(shots, nothing), inputs.num_shots
        )
        for shots in clips
    }


def _stacked(task: TaskClips, found: Mapping[int, Vectors], hidden_dim: int) -> ClipVectors:
    vectors = np.zeros((len(task.clips), task.pooling.width(hidden_dim)), np.float32)
    is_present = np.zeros(len(task.clips), np.bool_)
    for number, vector in found.items():
        vectors[number], is_present[number] = vector, True
    return ClipVectors(vectors=vectors, is_present=is_present)

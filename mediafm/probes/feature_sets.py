"""Feature sets: what probes compare. A set gives a vector per clip; several where one is chosen inside each fold.

Sets are built from clip sources: `shot_sets` reads a table once for several of them, `joined` puts sources side by
side, `among` makes alternatives of them. What a table's sources remember is freed with the sources.

Legend: C clips of a task, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TypeAlias

import numpy as np

from mediafm.errors import LineageMismatchError
from mediafm.probes.clips import ClipVectors, TaskClips
from mediafm.probes.features import mean_around, minus_title_mean, own
from mediafm.probes.transformed import ShotTransform, transformed_clips
from mediafm.probes.vectors import TitleVectors

ShotSource: TypeAlias = Callable[[], Iterable[TitleVectors]]
"""Gives a table's vectors, title by title."""
Alternatives: TypeAlias = Sequence[ClipVectors]
"""Vectors of a task's clips: one, or several among which the held-out loss inside a training part chooses."""
ClipSource: TypeAlias = Callable[[Sequence[TaskClips]], "list[Alternatives]"]
"""Gives the vectors of each task's clips. Called several times with the same tasks: wrap what is dear in `once`."""

OWN, CENTRED = "own", "minus title mean"
REACHES = (1, 2, 4, 8, 16)
"""Shots on each side that a mean may take in; which, is chosen inside each training part."""


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """One line of a report.

    name: as the report says it.
    source: the vectors.
    is_baseline: whether no model stands behind it; what context bought is measured against the best of these.
    choices: what the alternatives are called ("k=1"), in order; empty where there is one only.
    """

    name: str
    source: ClipSource
    is_baseline: bool
    choices: tuple[str, ...] = ()

    def of(self, tasks: Sequence[TaskClips]) -> list[Alternatives]:
        """The alternatives for each task.

        Raises:
            LineageMismatchError: the source gives another number of tasks, alternatives or clips than there are.
        """
        found = self.source(tasks)
        num_wanted = max(1, len(self.choices))
        seen = [[(len(one.vectors), len(one.is_present)) for one in each] for each in found]
        expected = [[(len(task.clips), len(task.clips))] * num_wanted for task in tasks]
        if seen != expected:
            raise LineageMismatchError(
                f"clips by task and alternative: {seen!r:.200}",
                rule=f"a feature set gives a vector and a flag for every clip: {expected!r:.200}",
                where=f"feature set {self.name!r}",
                remedy="Mend its source.",
            )
        return found


def once(source: ClipSource) -> ClipSource:
    """The same source, asked once as long as the tasks are the same."""
    held: list[tuple[tuple[TaskClips, ...], list[Alternatives]]] = []

    def remembered(tasks: Sequence[TaskClips]) -> list[Alternatives]:
        is_known = bool(held) and len(held[0][0]) == len(tasks)
        if not is_known or any(one is not other for one, other in zip(held[0][0], tasks, strict=True)):
            held[:] = [(tuple(tasks), source(tasks))]
        return held[0][1]

    return remembered


def neighbourhood(reaches: Sequence[int] = REACHES) -> dict[str, ShotTransform]:
    """A table's own vectors, those minus their title's mean, and the means of up to k shots on each side ("k=4")."""
    means: dict[str, ShotTransform] = {
        f"k={reach}": partial(mean_around, num_shots_each_side=reach) for reach in reaches
    }
    return {OWN: own, CENTRED: minus_title_mean, **means}


def shot_sets(source: ShotSource, transforms: Mapping[str, ShotTransform] | None = None) -> dict[str, ClipSource]:
    """Transform -> clip source. The table is read once, when the first source is asked; the others remember.

    Held meanwhile, by all sources together: transforms x clips of all tasks x width x 4 bytes (7 transforms of 10,000
    clips of 2,304 numbers: 0.65 GB).
    """
    wanted = dict(transforms or {OWN: own})
    names = list(wanted)

    def read(tasks: Sequence[TaskClips]) -> list[Alternatives]:
        found = transformed_clips(tasks, source(), wanted)
        return [[found[name][number] for name in names] for number in range(len(tasks))]

    shared = once(read)

    def take(position: int, tasks: Sequence[TaskClips]) -> list[Alternatives]:
        return [[each[position]] for each in shared(tasks)]

    return {name: partial(take, position) for position, name in enumerate(names)}


def joined(*sources: ClipSource) -> ClipSource:
    """The sources' vectors side by side, absent parts zeros; present where any part is.

    Each part is at length one, as `ClipVectors` are (of pairs of shots each is made alike), so that none owns the row.
    Alternatives of the parts are all combined, the last part's first. Made anew at each call, nothing is held.
    """

    def read(tasks: Sequence[TaskClips]) -> list[Alternatives]:
        by_source = [source(tasks) for source in sources]
        return [[_side_by_side(parts) for parts in product(*each)] for each in zip(*by_source, strict=True)]

    return read


def among(*sources: ClipSource) -> ClipSource:
    """All the sources' vectors as alternatives, in order."""

    def read(tasks: Sequence[TaskClips]) -> list[Alternatives]:
        by_source = [source(tasks) for source in sources]
        return [[one for alternatives in each for one in alternatives] for each in zip(*by_source, strict=True)]

    return read


def baseline_sets(name: str, sources: Mapping[str, ClipSource]) -> list[FeatureSet]:
    """What a table gives without a model: itself, minus the title's mean, and joined with the mean of +-k shots.

    Args:
        name: of the table in the report ("fused").
        sources: of `shot_sets(table, neighbourhood())`.
    """
    reaches = tuple(key for key in sources if key not in (OWN, CENTRED))
    around = joined(sources[OWN], among(*(sources[key] for key in reaches)))
    return [
        FeatureSet(name=name, source=sources[OWN], is_baseline=True),
        FeatureSet(name=f"{name} minus title mean", source=sources[CENTRED], is_baseline=True),
        FeatureSet(name=f"{name} ++ mean of +-k", source=around, is_baseline=True, choices=reaches),
    ]


def table_sets(tables: Mapping[str, ShotSource], with_model: Sequence[str] = ()) -> list[FeatureSet]:
    """A set per table, its vectors as they stand; those named in `with_model` are no baselines."""
    return [
        FeatureSet(name=name, source=shot_sets(source)[OWN], is_baseline=name not in with_model)
        for name, source in tables.items()
    ]


def _side_by_side(parts: Sequence[ClipVectors]) -> ClipVectors:
    blocks = [np.where(part.is_present[:, None], part.vectors, np.float32(0)) for part in parts]
    is_present = np.logical_or.reduce([part.is_present for part in parts])
    return ClipVectors(vectors=np.concatenate(blocks, axis=1), is_present=is_present)

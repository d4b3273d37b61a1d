"""What a probe is to predict of each clip, and which of it can be measured.

Legend: C clips, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mediafm.catalog.title import Problem
from mediafm.config import ProbeSettings
from mediafm.probes.clips import TaskClips
from mediafm.probes.labels import LabelKind
from mediafm.probes.vectors import Flags, Floats, Indexes


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What is to be predicted.

    classes: K names. target: float64 [C, K], 0 or 1; for scores the rank within the title, or the score itself.
    is_within_titles: whether the targets are ranks within titles.
    """

    classes: tuple[str, ...]
    target: Floats
    is_within_titles: bool = False


@dataclass(frozen=True, kw_only=True)
class Part:
    """Clips that must tell something by themselves. role: what is said of their groups; "" if these are all clips."""

    is_in: Flags
    role: str = ""


def targets_of(task: TaskClips, title: Indexes) -> Targets:
    """The targets of every clip.

    Scores are ranked within titles where at least two titles have two distinct ones (clip popularity). Else they
    compare titles, as where whole titles are scored, and the target is the score.

    Args:
        title: int64 [C], the number of each clip's title.
    """
    values = [clip.value for clip in task.clips]
    if task.kind is LabelKind.SCORE:
        scores = np.array(values, dtype=np.float64)
        is_within = len(varied_titles(scores, title)) >= 2
        target = _ranks_within(scores, title) if is_within else scores
        return Targets(classes=("score",), target=target[:, None], is_within_titles=is_within)
    if task.kind in {LabelKind.BINARY, LabelKind.PAIR}:
        return Targets(classes=("yes",), target=np.array(values, dtype=np.float64).reshape(-1, 1))
    names = [set(value) if isinstance(value, tuple) else {str(value)} for value in values]
    classes = sorted(set().union(*names))
    target = np.array([[name in given for name in classes] for given in names], dtype=np.float64)
    return Targets(classes=tuple(classes), target=target.reshape(len(values), len(classes)))


def varied_titles(scores: Floats, title: Indexes) -> list[int]:
    """The numbers of the titles with at least two distinct scores."""
    return [number for number in np.unique(title).tolist() if len(np.unique(scores[title == number])) > 1]


def measurable(
    task: TaskClips, targets: Targets, group: Indexes, title: Indexes, parts: Sequence[Part], settings: ProbeSettings
) -> tuple[Targets, list[Problem]]:
    """The targets of the classes that can be measured, and the others by name.

    A class must be given in `min_positive_groups` groups, and be absent in as many, in each of `parts`; at most
    `max_classes` are kept, those given in the most groups. Scores must differ in at least two groups of each part.

    Args:
        group, title: int64 [C], the number of each clip's group and title.
    """
    if task.kind is LabelKind.SCORE:
        problems = [Problem(task.task, reason) for part in parts for reason in _alike(targets, group, title, part)]
        return (targets if not problems else _only(targets, [])), problems
    problems = []
    num_given: dict[int, int] = {}
    for number, name in enumerate(targets.classes):
        given = targets.target[:, number] > 0.5
        num_given[number] = _num_groups(group, given)
        reasons = [
            f"{word} in {count} group(s){part.role}, below {settings.min_positive_groups}"
            for part in parts
            for side, word in ((given, "given"), (~given, "absent"))
            if (count := _num_groups(group, side & part.is_in)) < settings.min_positive_groups
        ]
        if reasons:
            del num_given[number]
            problems += [Problem(task.task, f"the class {name!r} is {reason}") for reason in reasons]
    by_groups = sorted(num_given, key=lambda number: (-num_given[number], number))
    for number in by_groups[settings.max_classes :]:
        sentence = (
            f"the class {targets.classes[number]!r}, given in {num_given[number]} group(s), comes after the "
            f"{settings.max_classes} classes that are given in the most; a task has no more"
        )
        problems.append(Problem(task.task, sentence))
    return _only(targets, sorted(by_groups[: settings.max_classes])), problems


def _alike(targets: Targets, group: Indexes, title: Indexes, part: Part) -> list[str]:
    """Why the scores of this part rank nothing."""
    scores = targets.target[:, 0]
    if targets.is_within_titles:
        varied = varied_titles(scores[part.is_in], title[part.is_in])
        count = _num_groups(group, np.isin(title, varied) & part.is_in)
        return [] if count > 1 else [f"scores differ within titles of {count} group(s){part.role} only; 2 are needed"]
    count = _num_groups(group, part.is_in)
    if count < 2:
        return [f"scores of {count} group(s){part.role} only; 2 are needed"]
    is_varied = len(np.unique(scores[part.is_in])) > 1
    return [] if is_varied else [f"all scores of the groups{part.role or ' of titles'} are equal"]


def _num_groups(group: Indexes, is_in: Flags) -> int:
    return len(np.unique(group[is_in]))


def _only(targets: Targets, kept: list[int]) -> Targets:
    return Targets(
        classes=tuple(targets.classes[number] for number in kept),
        target=targets.target[:, kept],
        is_within_titles=targets.is_within_titles,
    )


def _ranks_within(scores: Floats, title: Indexes) -> Floats:
    """The rank of each score within its title, from -1 to 1, ties at their mean rank."""
    from scipy.stats import rankdata

    ranks = np.zeros(len(scores))
    for number in np.unique(title).tolist():
        inside = title == number
        count = int(inside.sum())
        ranks[inside] = (2 * rankdata(scores[inside]) - count - 1) / max(1, count - 1)
    return ranks

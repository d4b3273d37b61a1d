"""What every feature set of a task shares: targets, folds and the drawn groups, so that they compare clip by clip.

Legend: C clips, K classes, B bootstrap draws, G groups.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from mediafm.catalog.title import Problem
from mediafm.config import ProbeSettings
from mediafm.probes.clips import TaskClips
from mediafm.probes.folds import group_folds
from mediafm.probes.intervals import draw_weights
from mediafm.probes.labels import LabelKind
from mediafm.probes.vectors import Flags, Floats, Indexes

MACRO, MICRO, TAU = "macro average precision", "micro average precision", "Kendall's tau-b"
PLAIN = "average precision"


@dataclass(frozen=True, kw_only=True)
class TaskDesign:
    """What every feature set of a task shares, so that they can be compared clip by clip.

    target: float64 [C, K], 0 or 1, or the rank within the title for scores. classes: K names.
    folds, group, title: int64 [C], numbers. draws_BG: how often each group is drawn in each replicate.
    dropped: classes and clips that are not measured, with reasons. impossible: why nothing can be measured, or "".
    """

    task: TaskClips
    classes: tuple[str, ...]
    target: Floats
    folds: Indexes
    group: Indexes
    title: Indexes
    draws_BG: Floats
    dropped: tuple[Problem, ...]
    impossible: str
    seed: int

    @property
    def num_groups(self) -> int:
        return len(set(self.group.tolist()))

    @property
    def num_folds(self) -> int:
        return int(self.folds.max(initial=-1)) + 1

    @property
    def measures(self) -> tuple[str, ...]:
        names = {LabelKind.SCORE: (TAU,), LabelKind.BINARY: (PLAIN,), LabelKind.MULTI_LABEL: (MACRO, MICRO)}
        return names.get(self.task.kind, (MACRO,))


def design_task(task: TaskClips, settings: ProbeSettings) -> TaskDesign:
    """Folds, targets and bootstrap draws of a task, seeded by its name: other tasks do not move them."""
    digest = hashlib.sha256(f"{settings.seed}/{task.task}".encode()).digest()
    seed = int.from_bytes(digest[:8])
    rng = np.random.default_rng(seed)
    _, group = np.unique(np.array(task.groups, dtype=np.str_), return_inverse=True)
    _, title = np.unique(np.array([clip.title_id for clip in task.clips], dtype=np.str_), return_inverse=True)
    folds = group_folds(task.groups, settings.num_folds, rng)
    classes, target = _targets(task, title)
    keeps, dropped = _measurable(task, classes, target, group, settings.min_positive_groups)
    num_groups = len(set(task.groups))
    impossible = _impossible(num_groups, bool(keeps.any()))
    return TaskDesign(
        task=task,
        classes=tuple(np.array(classes, dtype=np.str_)[keeps].tolist()),
        target=target[:, keeps],
        folds=folds,
        group=group,
        title=title,
        draws_BG=draw_weights(max(1, num_groups), settings.num_bootstrap, rng).astype(np.float64),
        dropped=(*task.dropped, *(dropped if num_groups > 1 else ())),
        impossible=impossible,
        seed=seed,
    )


def _impossible(num_groups: int, has_classes: bool) -> str:
    if num_groups < 2:
        return f"its clips come from {num_groups} group(s) of titles; a probe is tested on groups it did not see"
    return "" if has_classes else "no class has labels in enough groups"


def _targets(task: TaskClips, title: Indexes) -> tuple[list[str], Floats]:
    values = [clip.value for clip in task.clips]
    if task.kind is LabelKind.SCORE:
        return ["score"], _ranks_within(np.array(values, dtype=np.float64), title)[:, None]
    if task.kind is LabelKind.BINARY:
        return ["yes"], np.array(values, dtype=np.float64).reshape(-1, 1)
    names = [set(value) if isinstance(value, tuple) else {str(value)} for value in values]
    classes = sorted(set().union(*names))
    return classes, np.array([[name in given for name in classes] for given in names], dtype=np.float64).reshape(
        len(values), len(classes)
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


def _measurable(
    task: TaskClips, classes: list[str], target: Floats, group: Indexes, min_groups: int
) -> tuple[Flags, list[Problem]]:
    """Which classes occur, and are absent, in enough groups; the others by name."""
    if task.kind is LabelKind.SCORE:
        titles = np.array([clip.title_id for clip in task.clips])
        varied = sum(len(np.unique(target[titles == name])) > 1 for name in np.unique(titles))
        reason = f"scores differ within {varied} title(s); at least 2 are needed"
        return np.array([varied >= 2]), [] if varied >= 2 else [Problem(task.task, reason)]
    keeps = np.ones(len(classes), dtype=np.bool_)
    dropped = []
    for number, name in enumerate(classes):
        for side, word in ((1.0, "given"), (0.0, "absent")):
            num_groups = len(set(group[target[:, number] == side].tolist()))
            if num_groups < min_groups:
                keeps[number] = False
                dropped.append(
                    Problem(task.task, f"the class {name!r} is {word} in {num_groups} group(s), below {min_groups}")
                )
    return keeps, dropped

"""What every feature set of a task shares: targets, folds and the drawn groups, so that they compare clip by clip.

Legend: C clips, K classes, B bootstrap draws, G groups.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm.catalog.title import Problem
from mediafm.config import ProbeSettings
from mediafm.errors import ConfigError
from mediafm.probes.clips import TaskClips
from mediafm.probes.folds import group_folds
from mediafm.probes.intervals import draw_weights
from mediafm.probes.labels import LabelKind
from mediafm.probes.targets import Part, Targets, measurable, targets_of
from mediafm.probes.vectors import Flags, Floats, Indexes

MACRO, MICRO, TAU = "macro average precision", "micro average precision", "Kendall's tau-b"
PLAIN = "average precision"
TAU_ACROSS, PEARSON = "Kendall's tau-b across titles", "Pearson correlation"

PUBLISHED = {"ad_relevancy": ("macro", "micro"), "clip_tone": ("micro",), "clip_genre": ("macro",)}
"""Of Netflix's five tasks those whose measures do not follow from their kind ("MediaFM", 23 Feb 2026)."""

_OF_CLASSES = {"macro": MACRO, "micro": MICRO}
_BY_KIND = {
    LabelKind.MULTI_LABEL: _OF_CLASSES,
    LabelKind.SINGLE_LABEL: _OF_CLASSES,
    LabelKind.BINARY: {"average_precision": PLAIN},
    LabelKind.PAIR: {"average_precision": PLAIN},
}


@dataclass(frozen=True, kw_only=True)
class TaskDesign:
    """What every feature set of a task shares, so that they can be compared clip by clip.

    measures: what is reported of the task and what the gate reads, see `measures_of`.
    target: float64 [C, K], 0 or 1; for scores the rank within the title, or the score where titles are compared.
    classes: K names.
    folds: int64 [C]; -1 for clips that no fold tests: they always train.
    group, title: int64 [C], numbers. draws_BG: how often each group is drawn in each replicate; groups that are not
        tested never are.
    dropped: classes and clips that are not measured, with reasons. impossible: why nothing can be measured, or "".
    """

    task: TaskClips
    measures: tuple[str, ...]
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
    def is_tested(self) -> Flags:
        """Which clips some fold tests; bool [C]."""
        return self.folds >= 0

    @property
    def num_tested_clips(self) -> int:
        return int(self.is_tested.sum())

    @property
    def tested_groups(self) -> set[str]:
        """The groups whose clips are tested."""
        return {name for name, tested in zip(self.task.groups, self.is_tested.tolist(), strict=True) if tested}

    @property
    def num_groups(self) -> int:
        """Groups that are tested: what intervals are over."""
        return len(self.tested_groups)

    @property
    def num_training_groups(self) -> int:
        """Groups that train: those that are never tested, or all where every group is tested in turn."""
        return len(set(self.task.groups) - self.tested_groups) or self.num_groups

    @property
    def num_folds(self) -> int:
        return int(self.folds.max(initial=-1)) + 1


def design_task(task: TaskClips, settings: ProbeSettings, test_groups: Collection[str] | None = None) -> TaskDesign:
    """Folds, targets and bootstrap draws of a task, seeded by its name: other tasks do not move them.

    Without `test_groups` all groups are tested in turn, in `settings.num_folds` folds. With them there is one fold:
    their clips are tested and all others train; a class must then be known well enough on both sides.

    Raises:
        ConfigError: a measure is configured that the task does not have.
    """
    digest = hashlib.sha256(f"{settings.seed}/{task.task}".encode()).digest()
    seed = int.from_bytes(digest[:8])
    rng = np.random.default_rng(seed)
    _, group = np.unique(np.array(task.groups, dtype=np.str_), return_inverse=True)
    _, title = np.unique(np.array([clip.title_id for clip in task.clips], dtype=np.str_), return_inverse=True)
    folds = _folds(task, settings, test_groups, rng)
    targets = targets_of(task, title)
    impossible = _impossible(task, folds, test_groups is not None)
    dropped: list[Problem] = []
    if not impossible:
        targets, dropped = measurable(task, targets, group, title, _parts(folds), settings)
        impossible = _without_classes(task, targets, dropped)
    return TaskDesign(
        task=task,
        measures=measures_of(task, targets.is_within_titles, settings.task(task.task).measures),
        classes=targets.classes,
        target=targets.target,
        folds=folds,
        group=group,
        title=title,
        draws_BG=_draws(group, folds, settings.num_bootstrap, rng),
        dropped=(*task.dropped, *dropped),
        impossible=impossible,
        seed=seed,
    )


def measures_of(task: TaskClips, is_within_titles: bool, configured: Sequence[str] = ()) -> tuple[str, ...]:
    """The primary measures of a task, in the report's words: what is reported, and what the gate reads.

    Multi-label: macro and micro average precision, or what `PUBLISHED` says of the name. Single-label: macro. A truth
    value of a clip or of a pair: average precision. Scores within titles: the mean of Kendall's tau-b within each;
    scores across titles: tau-b and the correlation.

    Args:
        is_within_titles: of scores, whether they are ranked within titles.
        configured: `measures` of the task's settings; () for the above.

    Raises:
        ConfigError: one of `configured` is no measure of such a task.
    """
    across = {"tau": TAU_ACROSS, "pearson": PEARSON}
    known = _BY_KIND.get(task.kind, {"tau": TAU} if is_within_titles else across)
    strange = [name for name in configured if name not in known]
    if strange:
        where_ranked = f" ranked {'within' if is_within_titles else 'across'} titles" * (task.kind is LabelKind.SCORE)
        raise ConfigError(
            f"measures = {list(configured)}",
            rule=f"a task of kind {task.kind}{where_ranked} is measured by {', '.join(known)}",
            where=f"[probes.tasks.{task.task}]",
            remedy="Leave `measures` out, or name one of these.",
        )
    default = PUBLISHED.get(task.task, tuple(known)) if task.kind is LabelKind.MULTI_LABEL else tuple(known)
    if task.kind is LabelKind.SINGLE_LABEL:
        default = ("macro",)
    return tuple(known[name] for name in dict.fromkeys(configured or default))


def _folds(
    task: TaskClips, settings: ProbeSettings, test_groups: Collection[str] | None, rng: np.random.Generator
) -> Indexes:
    if test_groups is None:
        return group_folds(task.groups, settings.num_folds, rng)
    tested = set(test_groups)
    return np.array([0 if group in tested else -1 for group in task.groups], dtype=np.int64)


def _draws(group: Indexes, folds: Indexes, num_bootstrap: int, rng: np.random.Generator) -> Floats:
    """float64 [B, G], zero for groups that are not tested."""
    tested = np.unique(group[folds >= 0])
    draws = np.zeros((num_bootstrap, max(1, len(np.unique(group)))))
    if len(tested):
        draws[:, tested] = draw_weights(len(tested), num_bootstrap, rng)
    return draws


def _parts(folds: Indexes) -> list[Part]:
    is_tested = folds >= 0
    if is_tested.all():
        return [Part(is_in=is_tested)]
    return [Part(is_in=~is_tested, role=" that train"), Part(is_in=is_tested, role=" that are tested")]


def _impossible(task: TaskClips, folds: Indexes, has_test_groups: bool) -> str:
    """Why these groups allow no probe to be tested, or ""."""
    if not task.clips:
        return f"its clips come from 0 group(s) of titles: none of its {len(task.dropped)} rows has a clip here"
    if not has_test_groups:
        count = len(set(task.groups))
        sentence = f"its clips come from {count} group(s) of titles; a probe is tested on groups it did not see"
        return sentence if count < 2 else ""
    if not (folds >= 0).any():
        return "none of its clips comes from a group that is tested"
    return "" if (folds < 0).any() else "all of its clips come from groups that are tested; none is left to train on"


def _without_classes(task: TaskClips, targets: Targets, dropped: list[Problem]) -> str:
    """Why no class is left, or ""; what each lacks stands in `dropped`."""
    if targets.classes:
        return ""
    is_score = task.kind is LabelKind.SCORE
    return "; ".join(problem.sentence for problem in dropped) if is_score else "no class has labels in enough groups"

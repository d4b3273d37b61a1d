"""What a head reaches on clips of groups that it did not see.

Average precision is taken per fold and averaged, as in probe reports; intervals are over groups.

Legend: C clips, K classes, F folds, B bootstrap draws, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mediafm.config import ProbeSettings
from mediafm.probes.across import relative_to_training
from mediafm.probes.calibration import calibration_error, logistic
from mediafm.probes.clips import ClipVectors, TaskClips
from mediafm.probes.design import MACRO, PLAIN, TAU, TAU_ACROSS, TaskDesign
from mediafm.probes.head import ClassQuality, Head, HeadQuality
from mediafm.probes.intervals import Interval, draw_weights, interval
from mediafm.probes.labels import LabelKind
from mediafm.probes.ranking import (
    average_precision,
    drawn_average_precision,
    drawn_fold_mean,
    nan_mean,
    tau_within_titles,
    weighted_tau,
)
from mediafm.probes.vectors import Flags, Floats, Indexes

DEFAULTS = ProbeSettings()


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Clips that a probe did not see, with what it said of them.

    measure: what the whole is measured by. classes: of the task. target: float64 [C, K].
    plain: float64 [C, K], log-odds or ranks.
    probability: float64 [C, K], calibrated on other clips; the plain ones for tasks of scores.
    folds, group, title: int64 [C], from 0. draws_BG: how often each group is drawn.
    """

    measure: str
    classes: tuple[str, ...]
    target: Floats
    plain: Floats
    probability: Floats
    folds: Indexes
    group: Indexes
    title: Indexes
    draws_BG: Floats

    @staticmethod
    def of_design(design: TaskDesign, plain: Floats, probability: Floats) -> Judged:
        """The clips of a design, each scored by the probe that did not see its fold."""
        measure = _measure(design)
        if measure == TAU_ACROSS:
            plain = relative_to_training(plain[:, 0], design.target[:, 0], design.folds)[:, None]
        return Judged(
            measure=measure,
            classes=design.classes,
            target=design.target,
            plain=plain,
            probability=probability,
            folds=design.folds,
            group=design.group,
            title=design.title,
            draws_BG=design.draws_BG,
        )


def quality(judged: Judged) -> HeadQuality:
    """The measures of a task, and of each class."""
    by_measure = {TAU: _within_titles, TAU_ACROSS: _across_titles}
    return by_measure.get(judged.measure, _of_classes)(judged)


def _measure(design: TaskDesign) -> str:
    if design.task.kind is LabelKind.SCORE:
        return TAU if TAU in design.measures else TAU_ACROSS
    return MACRO if design.task.kind in (LabelKind.MULTI_LABEL, LabelKind.SINGLE_LABEL) else PLAIN


def quality_on(head: Head, task: TaskClips, features: ClipVectors, settings: ProbeSettings = DEFAULTS) -> HeadQuality:
    """What the finished head reaches on clips of groups that took no part in it, such as the test groups.

    Args:
        task: the clips, at least one with a vector. features: their vectors.
    """
    clips = [clip for clip, has in zip(task.clips, features.is_present, strict=True) if has]
    plain = head.log_odds(features.vectors[features.is_present])
    groups, group = np.unique(np.array([clip.group_id for clip in clips], dtype=np.str_), return_inverse=True)
    _, title = np.unique(np.array([clip.title_id for clip in clips], dtype=np.str_), return_inverse=True)
    draws = draw_weights(len(groups), settings.num_bootstrap, np.random.default_rng(settings.seed))
    return quality(
        Judged(
            measure=head.held_out.measure,
            classes=head.classes,
            target=np.array([_target(head, clip.value) for clip in clips], dtype=np.float64),
            plain=plain,
            probability=head.predict(features.vectors[features.is_present]),
            folds=np.zeros(len(clips), dtype=np.int64),
            group=group,
            title=title,
            draws_BG=draws.astype(np.float64),
        )
    )


def _target(head: Head, value: object) -> list[float]:
    """A clip's value as a row of targets. Scores stand as they are: only their order counts."""
    if isinstance(value, bool | float | int):
        return [float(value)]
    given = set(value) if isinstance(value, tuple) else {value}
    return [float(name in given) for name in head.classes]


def _num_groups(judged: Judged) -> int:
    return len(set(judged.group.tolist()))


def _within_titles(judged: Judged) -> HeadQuality:
    taus = tau_within_titles(judged.target[:, 0], judged.plain[:, 0], judged.title)
    if not taus:
        return _whole(judged, None, None)
    group_of = {int(title): int(group) for title, group in zip(judged.title, judged.group, strict=True)}
    values = np.array(list(taus.values()))
    draws = judged.draws_BG[:, [group_of[title] for title in taus]]
    drawn = np.where(draws.sum(axis=1) > 0, draws @ values / np.maximum(draws.sum(axis=1), 1), np.nan)
    found = interval(float(values.mean()), drawn, len({group_of[title] for title in taus}), -1.0, 1.0)
    return _whole(judged, found, 0.0)


def _across_titles(judged: Judged) -> HeadQuality:
    """Predictions of several folds are pooled, as `mediafm.probes.across` says."""
    target, predicted = judged.target[:, 0], judged.plain[:, 0]
    value = float(weighted_tau(target, predicted, np.ones((1, len(target))))[0])
    if not np.isfinite(value):
        return _whole(judged, None, None)
    drawn = weighted_tau(target, predicted, judged.draws_BG[:, judged.group])
    return _whole(judged, interval(value, drawn, _num_groups(judged), -1.0, 1.0), 0.0)


def _of_classes(judged: Judged) -> HeadQuality:
    before = logistic(judged.plain)
    values_K, chance_K, drawn_KB = [], [], []
    for number in range(len(judged.classes)):
        value, chance, drawn = _of_one(judged, judged.target[:, number] > 0.5, judged.plain[:, number])
        values_K.append(value)
        chance_K.append(chance)
        drawn_KB.append(drawn)
    classes = tuple(
        _class_quality(judged, number, before, _interval(judged, value, drawn), chance)
        for number, (value, chance, drawn) in enumerate(zip(values_K, chance_K, drawn_KB, strict=True))
    )
    macro = _interval(judged, float(nan_mean(np.array(values_K), axis=0)), nan_mean(np.stack(drawn_KB), axis=0))
    found = _whole(judged, macro, _known(float(nan_mean(np.array(chance_K), axis=0))))
    return replace(
        found,
        classes=classes,
        error_before=float(np.mean([each.error_before for each in classes])),
        error_after=float(np.mean([each.error_after for each in classes])),
    )


def _of_one(judged: Judged, is_positive: Flags, scores: Floats) -> tuple[float, float, Floats]:
    """Average precision of one class, what equal scores reach, and the replicates; averaged over folds."""
    value, chance, drawn, drawn_share = [], [], [], []
    for fold in range(int(judged.folds.max(initial=-1)) + 1):
        at = judged.folds == fold
        value.append(average_precision(is_positive[at], scores[at]))
        chance.append(average_precision(is_positive[at], np.zeros(int(at.sum()))))
        drawn.append(drawn_average_precision(is_positive[at], scores[at], judged.draws_BG[:, judged.group[at]]))
        drawn_share.append(judged.draws_BG[:, np.unique(judged.group[at])].mean(axis=1))
    return (
        float(nan_mean(np.array(value), axis=0)),
        float(nan_mean(np.array(chance), axis=0)),
        drawn_fold_mean(np.stack(drawn), np.stack(drawn_share)),
    )


def _interval(judged: Judged, value: float, drawn: Floats) -> Interval | None:
    return interval(value, drawn, _num_groups(judged), 0.0, 1.0) if np.isfinite(value) else None


def _class_quality(judged: Judged, number: int, before: Floats, found: Interval | None, chance: float) -> ClassQuality:
    is_positive = judged.target[:, number] > 0.5
    return ClassQuality(
        name=judged.classes[number],
        num_positive=int(is_positive.sum()),
        value=found.value if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        chance=_known(chance),
        error_before=calibration_error(is_positive, before[:, number]),
        error_after=calibration_error(is_positive, judged.probability[:, number]),
    )


def _whole(judged: Judged, found: Interval | None, chance: float | None) -> HeadQuality:
    return HeadQuality(
        measure=judged.measure,
        value=found.value if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        chance=chance,
        error_before=None,
        error_after=None,
        num_clips=len(judged.target),
        num_groups=_num_groups(judged),
    )


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None

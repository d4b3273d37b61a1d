"""What a feature set reaches on a task, beside chance, with its interval.

Legend: C clips, K classes, F folds, B bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm.probes.across import across_titles
from mediafm.probes.clips import ClipVectors
from mediafm.probes.design import MICRO, PEARSON, TAU, TAU_ACROSS, TaskDesign
from mediafm.probes.intervals import Interval, interval
from mediafm.probes.labels import LabelKind
from mediafm.probes.linear import LINEAR, LinearSettings, held_out_scores
from mediafm.probes.ranking import (
    average_precision,
    drawn_average_precision,
    drawn_fold_mean,
    nan_mean,
    tau_within_titles,
)
from mediafm.probes.vectors import Flags, Floats


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One measure of one feature set: the value with its interval, what chance gives, and the replicates."""

    interval: Interval
    chance: float
    replicates: Floats


@dataclass(frozen=True, kw_only=True)
class FeatureResult:
    """One feature set on one task: by measure, and how the fits went.

    width: of the vectors, the widest alternative's. pca_width: components that they were brought to, or None.
    strengths: the inverse regularisation chosen in each fold. alternatives: the number of the vectors chosen in each.
    """

    measured: Mapping[str, Measured]
    width: int
    pca_width: int | None
    num_absent_clips: int
    num_unconverged: int
    strengths: tuple[float, ...]
    alternatives: tuple[int, ...]


def measure(
    design: TaskDesign,
    alternatives: Sequence[ClipVectors],
    settings: LinearSettings = LINEAR,
    pca_width: int | None = None,
) -> FeatureResult:
    """The probe of one feature set. The design must be possible.

    Args:
        design: of the task.
        alternatives: the set's vectors of the task's clips; several where each training part chooses.
        settings: of the fits.
        pca_width: components that vectors are brought to inside each training part; None to leave them.
    """
    fitted = held_out_scores(
        alternatives,
        design.target,
        design.task.groups,
        design.folds,
        design.task.kind is LabelKind.SCORE,
        np.random.default_rng(design.seed),
        settings,
        pca_width,
    )
    is_absent = ~np.logical_or.reduce([one.is_present for one in alternatives])
    return FeatureResult(
        measured={name: _measured(design, fitted.scores, name) for name in design.measures},
        width=max(one.vectors.shape[1] for one in alternatives),
        pca_width=pca_width,
        num_absent_clips=int(is_absent.sum()),
        num_unconverged=fitted.num_unconverged,
        strengths=fitted.strengths,
        alternatives=fitted.alternatives,
    )


def difference(design: TaskDesign, ours: Measured, theirs: Measured) -> Interval:
    """How much better `ours` is, paired: the same folds and the same drawn groups on both sides."""
    value = ours.interval.value - theirs.interval.value
    return interval(value, ours.replicates - theirs.replicates, design.num_groups)


def _measured(design: TaskDesign, scores: Floats, measure_name: str) -> Measured:
    if measure_name in {TAU_ACROSS, PEARSON}:
        value, replicates = across_titles(design, scores, measure_name)
        found = interval(value, replicates, design.num_groups, -1.0, 1.0)
        return Measured(interval=found, chance=0.0, replicates=replicates)
    return _measured_tau(design, scores) if measure_name == TAU else _measured_precision(design, scores, measure_name)


def _measured_tau(design: TaskDesign, scores: Floats) -> Measured:
    tested = design.folds >= 0
    taus = tau_within_titles(design.target[tested, 0], scores[tested, 0], design.title[tested])
    pairs = zip(design.title[tested], design.group[tested], strict=True)
    group_of_title = {int(title): int(group) for title, group in pairs}
    values = np.array(list(taus.values()))
    draws = design.draws_BG[:, [group_of_title[title] for title in taus]]
    with_draw = draws.sum(axis=1) > 0
    replicates = np.where(with_draw, draws @ values / np.maximum(draws.sum(axis=1), 1), np.nan)
    found = interval(float(values.mean()), replicates, design.num_groups, -1.0, 1.0)
    return Measured(interval=found, chance=0.0, replicates=replicates)


def _measured_precision(design: TaskDesign, scores: Floats, measure_name: str) -> Measured:
    """Per fold, averaged over the folds in which it can be measured.

    In a replicate a fold counts by how often its groups were drawn, against how many there are. Without that a fold of
    one group would count once however often the group is drawn, and intervals would be a quarter too narrow.

    Chance knows how frequent each class is in the training part and nothing of the clip, and orders clips at random;
    so it is a little above the prevalence where there are few clips, as any ranking is.
    """
    value, chance, replicates, drawn_share = [], [], [], []
    for fold in range(design.num_folds):
        tested = design.folds == fold
        prior = np.broadcast_to(design.target[~tested].mean(axis=0), scores[tested].shape)
        weights = design.draws_BG[:, design.group[tested]]
        is_positive = design.target[tested] > 0.5
        pooled = measure_name == MICRO
        value.append(_precision(is_positive, scores[tested], pooled))
        chance.append(_precision(is_positive, prior, pooled))
        replicates.append(_drawn_precision(is_positive, scores[tested], weights, pooled))
        drawn_share.append(design.draws_BG[:, np.unique(design.group[tested])].mean(axis=1))
    mean = float(nan_mean(np.array(value), axis=0))
    drawn = drawn_fold_mean(np.stack(replicates), np.stack(drawn_share))
    return Measured(
        interval=interval(mean, drawn, design.num_groups, 0.0, 1.0),
        chance=float(nan_mean(np.array(chance), axis=0)),
        replicates=drawn,
    )


def _precision(is_positive: Flags, scores: Floats, pooled: bool) -> float:
    if pooled:
        return average_precision(is_positive.ravel(), scores.ravel())
    by_class = [average_precision(*column) for column in zip(is_positive.T, scores.T, strict=True)]
    return float(nan_mean(np.array(by_class), axis=0))


def _drawn_precision(is_positive: Flags, scores: Floats, weights: Floats, pooled: bool) -> Floats:
    if pooled:
        return drawn_average_precision(
            is_positive.ravel(), scores.ravel(), np.repeat(weights, is_positive.shape[1], axis=1)
        )
    by_class = [drawn_average_precision(*column, weights) for column in zip(is_positive.T, scores.T, strict=True)]
    return nan_mean(np.stack(by_class), axis=0)

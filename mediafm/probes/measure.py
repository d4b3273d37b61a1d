"""What a feature set reaches on a task, beside chance, with its interval.

Legend: C clips, K classes, F folds, B bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mediafm.probes.clips import ClipVectors
from mediafm.probes.design import MICRO, TAU, TaskDesign
from mediafm.probes.intervals import Interval, interval
from mediafm.probes.labels import LabelKind
from mediafm.probes.linear import LINEAR, LinearSettings, held_out_scores
from mediafm.probes.ranking import average_precision, drawn_average_precision, nan_mean, tau_within_titles
from mediafm.probes.vectors import Flags, Floats


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One measure of one feature set: the value with its interval, what chance gives, and the replicates."""

    interval: Interval
    chance: float
    replicates: Floats


@dataclass(frozen=True, kw_only=True)
class FeatureResult:
    """One feature set on one task: by measure, and how the fits went."""

    measured: Mapping[str, Measured]
    num_absent_clips: int
    num_unconverged: int
    chosen: tuple[float, ...]


def measure(design: TaskDesign, features: ClipVectors, settings: LinearSettings = LINEAR) -> FeatureResult:
    """The probe of one feature set. The design must be possible."""
    rng = np.random.default_rng(design.seed)
    is_score = design.task.kind is LabelKind.SCORE
    fitted = held_out_scores(
        features.vectors,
        features.is_present,
        design.target,
        design.task.groups,
        design.folds,
        is_score,
        rng,
        settings,
    )
    measured = (
        {TAU: _measured_tau(design, fitted.scores)}
        if is_score
        else {name: _measured_precision(design, fitted.scores, name) for name in design.measures}
    )
    return FeatureResult(
        measured=measured,
        num_absent_clips=int((~features.is_present).sum()),
        num_unconverged=fitted.num_unconverged,
        chosen=fitted.chosen,
    )


def difference(design: TaskDesign, ours: Measured, theirs: Measured) -> Interval:
    """How much better `ours` is, paired: the same folds and the same drawn groups on both sides."""
    value = ours.interval.value - theirs.interval.value
    return interval(value, ours.replicates - theirs.replicates, design.num_groups)


def _measured_tau(design: TaskDesign, scores: Floats) -> Measured:
    taus = tau_within_titles(design.target[:, 0], scores[:, 0], design.title)
    group_of_title = {int(title): int(group) for title, group in zip(design.title, design.group, strict=True)}
    values = np.array(list(taus.values()))
    draws = design.draws_BG[:, [group_of_title[title] for title in taus]]
    with_draw = draws.sum(axis=1) > 0
    replicates = np.where(with_draw, draws @ values / np.maximum(draws.sum(axis=1), 1), np.nan)
    found = interval(float(values.mean()), replicates, design.num_groups, -1.0, 1.0)
    return Measured(interval=found, chance=0.0, replicates=replicates)


def _measured_precision(design: TaskDesign, scores: Floats, measure_name: str) -> Measured:
    """Per fold, averaged over the folds in which it can be measured.

    Chance knows how frequent each class is in the training part and nothing of the clip, and orders clips at random;
    so it is a little above the prevalence where there are few clips, as any ranking is.
    """
    value, chance, replicates = [], [], []
    for fold in range(design.num_folds):
        tested = design.folds == fold
        prior = np.broadcast_to(design.target[~tested].mean(axis=0), scores[tested].shape)
        weights = design.draws_BG[:, design.group[tested]]
        is_positive = design.target[tested] > 0.5
        pooled = measure_name == MICRO
        value.append(_precision(is_positive, scores[tested], pooled))
        chance.append(_precision(is_positive, prior, pooled))
        replicates.append(_drawn_precision(is_positive, scores[tested], weights, pooled))
    mean = float(nan_mean(np.array(value), axis=0))
    drawn = nan_mean(np.stack(replicates), axis=0)
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

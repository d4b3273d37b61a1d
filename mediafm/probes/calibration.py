"""Scores become probabilities: Platt's sigmoid on held-out scores, and how far probabilities are from what happens.

Legend: C clips, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mediafm.probes.ranking import nan_mean
from mediafm.probes.vectors import Flags, Floats

NUM_BINS = 10
"""Of the expected calibration error, equally wide in probability."""
_MAX_NEWTON_STEPS = 100
_SMALLEST_STEP = 1e-10


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """p = 1 / (1 + exp(-(slope * score + intercept))); with slope 0 every score says the smoothed share."""

    slope: float
    intercept: float

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities of [...] scores."""
        return logistic(self.slope * scores + self.intercept)


def logistic(log_odds: Floats) -> Floats:
    """1 / (1 + exp(-x)), without overflow."""
    found: Floats = 0.5 * (1 + np.tanh(0.5 * log_odds))
    return found


def fit_sigmoid(scores: Floats, is_positive: Flags) -> Sigmoid:
    """Platt's sigmoid ("Probabilistic Outputs for Support Vector Machines", 1999), by Newton's method.

    The backtracking, the start and the targets, (N+ + 1) / (N+ + 2) and 1 / (N- + 2) instead of 1 and 0, are those of
    Lin, Lin and Weng, "A note on Platt's probabilistic outputs for support vector machines" (Machine Learning 68,
    2007), algorithm 1. Where we deviate: a slope below 0 would turn round a ranking that is worse than chance, so it
    becomes 0.

    Args:
        scores: float64 [C], of clips that did not fit what scored them. is_positive: bool [C].
    """
    num_positive, num_negative = int(is_positive.sum()), int((~is_positive).sum())
    target = np.where(is_positive, (num_positive + 1) / (num_positive + 2), 1 / (num_negative + 2))
    rows = np.stack([scores, np.ones(len(scores))], axis=1)
    found = np.array([0.0, np.log((num_positive + 1) / (num_negative + 1))])
    for _ in range(_MAX_NEWTON_STEPS):
        probability = logistic(rows @ found)
        gradient = rows.T @ (probability - target)
        if np.abs(gradient).max() < 1e-5:
            break
        curvature = (rows * (probability * (1 - probability))[:, None]).T @ rows + 1e-12 * np.eye(2)
        direction = np.asarray(-np.linalg.solve(curvature, gradient), dtype=np.float64)
        found, has_moved = _stepped(rows, target, found, direction, gradient)
        if not has_moved:
            break
    if found[0] < 0:
        share = float(target.mean())
        return Sigmoid(0.0, float(np.log(share / (1 - share))))
    return Sigmoid(float(found[0]), float(found[1]))


def _stepped(rows: Floats, target: Floats, found: Floats, direction: Floats, gradient: Floats) -> tuple[Floats, bool]:
    """The parameters after the longest halved step that lowers the loss enough; as they were if none does."""
    loss, slope, step = _log_loss(rows @ found, target), float(gradient @ direction), 1.0
    while step >= _SMALLEST_STEP:
        moved = found + step * direction
        if _log_loss(rows @ moved, target) < loss + 1e-4 * step * slope:
            return moved, True
        step /= 2
    return found, False


def _log_loss(log_odds: Floats, target: Floats) -> float:
    return float((np.logaddexp(0, log_odds) - target * log_odds).sum())


def calibration_error(is_positive: Flags, probability: Floats) -> float:
    """The expected calibration error of one class: |mean probability - share of positives| over bins, by their clips.

    Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015).

    Args:
        is_positive: bool [C]. probability: float64 [C].
    """
    bins = np.minimum((probability * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    given = np.bincount(bins, weights=is_positive, minlength=NUM_BINS)
    said = np.bincount(bins, weights=probability, minlength=NUM_BINS)
    return float(np.abs(given - said).sum() / max(1, len(probability)))


def class_calibration_error(is_positive: Flags, probability: Floats) -> float:
    """The mean of `calibration_error` over the classes of [C, K] (class-wise ECE, Kull et al., NeurIPS 2019)."""
    errors = [calibration_error(*column) for column in zip(is_positive.T, probability.T, strict=True)]
    return float(nan_mean(np.array(errors), axis=0))

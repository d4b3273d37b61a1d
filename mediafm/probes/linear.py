"""Linear probes on frozen vectors: scores of held-out clips, with regularisation chosen inside the training part only.

Features are standardised on the training part; what is absent stands at its mean and so says nothing. Rows are scaled
by 1/sqrt(width), so that one grid of strengths serves every width. Where features outnumber clips the problem is
rotated into the span of the training clips, which changes no L2-regularised solution and much of the time.

Legend: C clips, W width, K classes, R the smaller of W and the training clips.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from mediafm.probes.folds import group_folds, held_out
from mediafm.probes.logistic import fit_jointly
from mediafm.probes.vectors import Flags, Floats, Indexes, Vectors


@dataclass(frozen=True, kw_only=True)
class LinearSettings:
    """How a probe is fitted.

    inverse_strengths: what regularisation is chosen from: C of the logistic probe, 1 / alpha of ridge.
    num_inner_folds: folds by group inside the training part, for that choice.
    max_iterations: of the logistic solver.
    """

    inverse_strengths: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)
    num_inner_folds: int = 3
    max_iterations: int = 1000


LINEAR = LinearSettings()


@dataclass(frozen=True, kw_only=True)
class HeldOutScores:
    """The score of each clip by the probe that did not see its group.

    scores: float64 [C, K]. chosen: the inverse strength of each fold. num_unconverged: fits that ran out of iterations.
    """

    scores: Floats
    chosen: tuple[float, ...]
    num_unconverged: int


_Losses = tuple[Floats, int]
"""Held-out loss by strength, and how many fits did not converge."""


def held_out_scores(
    vectors: Vectors,
    is_present: Flags,
    target: Floats,
    groups: list[str],
    folds: Indexes,
    is_score: bool,
    rng: np.random.Generator,
    settings: LinearSettings = LINEAR,
) -> HeldOutScores:
    """Fits one probe per fold and class and scores the clips of that fold.

    Args:
        vectors: float32 [C, W]. is_present: bool [C].
        target: float64 [C, K]: 0 or 1 for classes (logistic), any number for scores (ridge).
        groups: the group of each clip; the choice of regularisation splits by it.
        folds: int64 [C] from `group_folds`.
        is_score: whether targets are scores.
        rng: shuffles the inner folds.
    """
    fit = _ridge if is_score else _logistic
    scores = np.zeros_like(target)
    chosen: list[float] = []
    num_unconverged = 0
    for trains, is_tested in held_out(folds):
        train_R, test_R = reduced(*standardised(vectors, is_present, trains, is_tested))
        inner = group_folds(np.asarray(groups)[trains].tolist(), settings.num_inner_folds, rng)
        strength, failed = _choose(train_R, target[trains], inner, is_score, settings)
        scores[is_tested], failed_last = fit(train_R, target[trains], test_R, strength, settings)
        chosen.append(strength)
        num_unconverged += failed + failed_last
    return HeldOutScores(scores=scores, chosen=tuple(chosen), num_unconverged=num_unconverged)


def standardised(vectors: Vectors, is_present: Flags, trains: Flags, is_tested: Flags) -> tuple[Floats, Floats]:
    """Training and tested rows, float64, by mean and deviation of the present training rows; absent rows are zeros."""
    seen = vectors[trains & is_present].astype(np.float64)
    if not len(seen):
        return np.zeros((int(trains.sum()), 1)), np.zeros((int(is_tested.sum()), 1))
    deviation = seen.std(axis=0)
    scale = np.where(deviation > 1e-8, deviation, np.inf) * np.sqrt(vectors.shape[1])
    scaled = (vectors - seen.mean(axis=0)) / scale * is_present[:, None]
    return scaled[trains], scaled[is_tested]


def reduced(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    """Both rotated into the span of the training rows [C, R], where features outnumber them."""
    if train.shape[1] <= train.shape[0]:
        return train, test
    energy, basis = np.linalg.eigh(train @ train.T)
    keeps = energy > 1e-10 * max(energy[-1], 1e-300)
    length = np.sqrt(energy[keeps])
    rotation = train.T @ (basis[:, keeps] / length)
    return basis[:, keeps] * length, test @ rotation


def _choose(
    rows: Floats, target: Floats, folds: Indexes, is_score: bool, settings: LinearSettings
) -> tuple[float, int]:
    """The strength with the least held-out loss over all classes; the least strength if there is one group only."""
    if folds.max(initial=0) == 0:
        return min(settings.inverse_strengths), 0
    losses = np.zeros(len(settings.inverse_strengths))
    num_unconverged = 0
    trial = _ridge_losses if is_score else _logistic_losses
    for trains, is_tested in held_out(folds):
        tried, failed = trial(rows[trains], target[trains], rows[is_tested], target[is_tested], settings)
        losses += tried
        num_unconverged += failed
    return settings.inverse_strengths[int(losses.argmin())], num_unconverged


def _ridge_losses(train: Floats, target: Floats, test: Floats, truth: Floats, settings: LinearSettings) -> _Losses:
    """Squared error."""
    tried = [_ridge(train, target, test, strength, settings)[0] for strength in settings.inverse_strengths]
    return np.array([((scores - truth) ** 2).sum() for scores in tried]), 0


def _logistic_losses(train: Floats, target: Floats, test: Floats, truth: Floats, settings: LinearSettings) -> _Losses:
    """Log loss over the classes that have both sides in the training part."""
    has_both = (target.min(axis=0) < target.max(axis=0)).nonzero()[0]
    if not len(has_both):
        return np.zeros(len(settings.inverse_strengths)), 0
    fitted = fit_jointly(train, target[:, has_both], settings.inverse_strengths, settings.max_iterations)
    log_odds_SCK = fitted.log_odds(test)
    losses: Floats = (np.logaddexp(0, log_odds_SCK) - truth[:, has_both] * log_odds_SCK).sum(axis=(1, 2))
    return losses, int(not fitted.has_converged)


def _ridge(
    train: Floats, target: Floats, test: Floats, inverse_strength: float, _settings: LinearSettings
) -> tuple[Floats, int]:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1 / inverse_strength).fit(train, target)
    return np.asarray(model.predict(test), dtype=np.float64).reshape(len(test), -1), 0


def _logistic(
    train: Floats, target: Floats, test: Floats, inverse_strength: float, settings: LinearSettings
) -> tuple[Floats, int]:
    """Log-odds of each class, and how many fits ran out of iterations."""
    columns = [_one_class(train, column > 0.5, test, inverse_strength, settings) for column in target.T]
    return np.stack([log_odds for log_odds, _ in columns], axis=1), sum(failed for _, failed in columns)


def _one_class(
    train: Floats, is_positive: Flags, test: Floats, inverse_strength: float, settings: LinearSettings
) -> tuple[Floats, int]:
    """Log-odds of one class; those of its share (plus one of each side) where the training part has one side only."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    num_positive, num_negative = int(is_positive.sum()), int((~is_positive).sum())
    if not (num_positive and num_negative):
        return np.full(len(test), np.log((num_positive + 1) / (num_negative + 1))), 0
    model = LogisticRegression(C=inverse_strength, max_iter=settings.max_iterations)
    with warnings.catch_warnings():
        # Counted and told in the report, instead of a line per fit on the terminal.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train, is_positive)
    return np.asarray(model.decision_function(test)), int(model.n_iter_.max() >= settings.max_iterations)

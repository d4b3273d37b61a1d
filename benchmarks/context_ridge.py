"""One-vs-rest ridge classifiers in closed form: all classes share a Cholesky factor, and folds share sums over rows.

Faster than the logistic probes of `mediafm.probes` by far (a judge fits many rows) and close to them in how it ranks.
Features are standardised on the rows that fit; the penalty is chosen by squared error over folds of groups inside them.
The folds share the standardisation, which sees no label. Our choice.

Legend: C rows that fit, T rows that are tested, W width, K columns of the target.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from mediafm.probes.folds import held_out
from mediafm.probes.vectors import Flags, Floats, Indexes, Vectors

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Times the number of rows; a standardised feature's own energy is 1."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RidgeScores:
    """tested: float64 [T, K]. inner: float64 [C, K], of each fitting row by a fit without its fold. penalty: chosen."""

    tested: Floats
    inner: Floats
    penalty: float


def ridge_scores(rows_CW: Vectors, target_CK: Floats, inner_folds: Indexes, tested_TW: Vectors) -> RidgeScores:
    """Fits on all rows with the penalty that scores best over `inner_folds`; the greatest if there is one fold only.

    Args:
        rows_CW, tested_TW: float32. target_CK: float64, 0 or 1. inner_folds: int64 [C], from `group_folds`.
    """
    mean, deviation = rows_CW.mean(axis=0, dtype=np.float64), rows_CW.std(axis=0, dtype=np.float64)
    scale = np.where(deviation > 1e-7, deviation, np.inf)
    fit_CW = ((rows_CW - mean) / scale).astype(np.float32)
    whole = _Moments.of(fit_CW, target_CK)
    inner_PCK = np.zeros((len(PENALTIES), *target_CK.shape))
    best = len(PENALTIES) - 1
    if inner_folds.max(initial=0) > 0:
        for _, is_held in held_out(inner_folds):
            others = whole.without(_Moments.of(fit_CW[is_held], target_CK[is_held]))
            inner_PCK[:, is_held] = [others.scores(fit_CW[is_held], penalty) for penalty in PENALTIES]
        best = int(np.square(inner_PCK - target_CK).sum(axis=(1, 2)).argmin())
    tested = ((tested_TW - mean) / scale).astype(np.float32)
    return RidgeScores(tested=whole.scores(tested, PENALTIES[best]), inner=inner_PCK[best], penalty=PENALTIES[best])


@dataclass(frozen=True, eq=False)
class _Moments:
    """Sums over rows from which every penalty's solution follows: how many, rows [W], targets [K], products."""

    count: int
    rows_W: Floats
    target_K: Floats
    rows_WW: Floats
    cross_WK: Floats

    @classmethod
    def of(cls, rows: Vectors, target: Floats) -> _Moments:
        return cls(
            len(rows),
            rows.sum(axis=0, dtype=np.float64),
            target.sum(axis=0),
            (rows.T @ rows).astype(np.float64),
            (rows.T @ target.astype(np.float32)).astype(np.float64),
        )

    def without(self, part: _Moments) -> _Moments:
        return _Moments(
            self.count - part.count,
            self.rows_W - part.rows_W,
            self.target_K - part.target_K,
            self.rows_WW - part.rows_WW,
            self.cross_WK - part.cross_WK,
        )

    def scores(self, rows: Vectors, penalty: float) -> Floats:
        """[rows, K]: the ridge solution with an unpenalised offset."""
        mean_W, mean_K = self.rows_W / self.count, self.target_K / self.count
        covariance = self.rows_WW / self.count - np.outer(mean_W, mean_W)
        covariance[np.diag_indices_from(covariance)] += penalty
        weights = cho_solve(
            cho_factor(covariance, lower=True, overwrite_a=True), self.cross_WK / self.count - np.outer(mean_W, mean_K)
        )
        return np.asarray(rows @ weights.astype(np.float32) + (mean_K - mean_W @ weights), np.float64)


def one_hot(label: Indexes, num_classes: int) -> Floats:
    """[C, K] of labels >= 0; two classes are one column, the second's."""
    columns = np.arange(num_classes) if num_classes > 2 else np.array([1])
    return np.asarray(label[:, None] == columns, np.float64)


def both_sides(is_positive_CK: Flags) -> Flags:
    """[K]: which columns have positives and negatives."""
    return np.asarray(is_positive_CK.any(axis=0) & ~is_positive_CK.all(axis=0))

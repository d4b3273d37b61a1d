"""One-vs-rest ridge classifiers in closed form: many classes and penalties for one eigendecomposition.

Faster than the logistic probes of `mediafm.probes` by far (a judge fits many rows) and close to them in how it ranks.
Features are standardised on the rows that fit; the penalty is chosen by squared error over folds of groups inside them.
The folds share the standardisation, which sees no label. Our choice.

Legend: C rows that fit, T rows that are tested, W width, K columns of the target.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    inner_PCK = np.zeros((len(PENALTIES), *target_CK.shape))
    if inner_folds.max(initial=0) > 0:
        for trains, is_held in held_out(inner_folds):
            solved = _Solved(fit_CW[trains], target_CK[trains])
            inner_PCK[:, is_held] = [solved.scores(fit_CW[is_held], penalty) for penalty in PENALTIES]
        best = int(np.square(inner_PCK - target_CK).sum(axis=(1, 2)).argmin())
    else:
        best = len(PENALTIES) - 1
    tested = ((tested_TW - mean) / scale).astype(np.float32)
    return RidgeScores(
        tested=_Solved(fit_CW, target_CK).scores(tested, PENALTIES[best]),
        inner=inner_PCK[best],
        penalty=PENALTIES[best],
    )


class _Solved:
    """The eigendecomposition of the rows' second moments, from which every penalty's solution follows."""

    def __init__(self, rows: Vectors, target: Floats) -> None:
        self._offset = target.mean(axis=0)
        energy, self._basis = np.linalg.eigh((rows.T @ rows).astype(np.float64) / len(rows))
        self._energy = np.maximum(energy, 0.0)
        moments = rows.T @ (target - self._offset).astype(np.float32) / len(rows)
        self._rotated = self._basis.T @ moments

    def scores(self, rows: Vectors, penalty: float) -> Floats:
        weights = self._basis @ (self._rotated / (self._energy + penalty)[:, None])
        return np.asarray(rows @ weights.astype(np.float32) + self._offset, np.float64)


def one_hot(label: Indexes, num_classes: int) -> Floats:
    """[C, K] of labels >= 0; two classes are one column, the second's."""
    columns = np.arange(num_classes) if num_classes > 2 else np.array([1])
    return np.asarray(label[:, None] == columns, np.float64)


def both_sides(is_positive_CK: Flags) -> Flags:
    """[K]: which columns have positives and negatives."""
    return np.asarray(is_positive_CK.any(axis=0) & ~is_positive_CK.all(axis=0))

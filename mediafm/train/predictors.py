"""The trivial predictors that a checkpoint must beat: what needs no network, from the visible shots only.

corpus_mean: the mean of the training titles' vectors. title_mean: of the window's visible shots. nearest: the visible
shot nearest in order, the earlier of two. interpolation: between the visible neighbours, by distance. regression: one
scalar for each of the eight nearest visible shots on either side, the title's and the corpus mean, fitted by least
squares on training titles with their own stored masks. Means are of unit vectors, renormalised.

All work in one view (see `evaluation`): n shots, m masked shots where the view is present, W numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.train.evaluation import Flags, Floats, unit_rows

PREDICTORS = ("corpus_mean", "title_mean", "nearest", "interpolation", "regression")
NUM_OFFSETS = 8
"""Visible shots on either side that the regression reads."""
_NUM_FEATURES = 2 * NUM_OFFSETS + 2
_RIDGE = 1e-3
"""Share of the mean diagonal that is added to the normal equations, so that edges do not blow a scalar up."""


@dataclass(frozen=True, eq=False)
class TrivialPredictors:
    """Fitted predictors of one view.

    corpus_mean: unit [W].
    scalars: float64 [18]: left 1 to 8, right 1 to 8, title mean, corpus mean.
    """

    corpus_mean: Floats
    scalars: NDArray[np.float64]

    def predict(self, rows_nW: Floats, is_visible: Flags, is_target: Flags) -> dict[str, Floats]:
        """Predictor -> predictions [m, W] of the target shots from the visible ones, not normalised."""
        features = features_of(rows_nW, is_visible, is_target, self.corpus_mean)
        left_m1W, right_m1W = features[:, 0], features[:, NUM_OFFSETS]
        title = features[:, -2]
        left_gap, right_gap = _gaps(is_visible, is_target)
        is_left = left_gap <= right_gap
        nearest = np.where(is_left[:, None], left_m1W, right_m1W)
        has_visible = np.isfinite(np.minimum(left_gap, right_gap))
        return {
            "corpus_mean": np.broadcast_to(self.corpus_mean, title.shape),
            "title_mean": title,
            "nearest": np.where(has_visible[:, None], nearest, title),
            "interpolation": np.where(
                has_visible[:, None], _interpolated(left_m1W, right_m1W, left_gap, right_gap), title
            ),
            "regression": (self.scalars.astype(np.float32) @ _by_feature(features)).reshape(title.shape),
        }


def fit(windows: Iterable[tuple[Floats, Flags, Flags]], corpus_mean: Floats) -> TrivialPredictors:
    """Fits the regression's scalars.

    Args:
        windows: (unit rows [n, W], is_visible [n], is_target [n]) of training windows under their stored masks.
        corpus_mean: unit [W].
    """
    gram = np.zeros((_NUM_FEATURES, _NUM_FEATURES))
    moment = np.zeros(_NUM_FEATURES)
    for rows_nW, is_visible, is_target in windows:
        features = features_of(rows_nW, is_visible, is_target, corpus_mean)
        flat = _by_feature(features)
        gram += flat @ flat.T
        moment += flat @ rows_nW[is_target].ravel()
    gram += np.eye(_NUM_FEATURES) * (_RIDGE * max(float(np.trace(gram)) / _NUM_FEATURES, 1e-12))
    return TrivialPredictors(corpus_mean, np.asarray(np.linalg.solve(gram, moment), np.float64))


def features_of(rows_nW: Floats, is_visible: Flags, is_target: Flags, corpus_mean: Floats) -> Floats:
    """[m, 18, W]: the eight visible shots before (nearest first), the eight after, title mean, corpus mean.

    A neighbour that does not exist is zeros; a window without a visible shot has the corpus mean for its title mean.
    """
    targets, visible = np.flatnonzero(is_target), np.flatnonzero(is_visible)
    features = np.zeros((len(targets), _NUM_FEATURES, rows_nW.shape[1]), np.float32)
    before = np.searchsorted(visible, targets)
    for offset in range(NUM_OFFSETS):
        for column, place in ((offset, before - 1 - offset), (NUM_OFFSETS + offset, before + offset)):
            exists = (place >= 0) & (place < len(visible))
            features[exists, column] = rows_nW[visible[place[exists]]]
    mean = unit_rows(rows_nW[visible].sum(axis=0, keepdims=True))[0] if len(visible) else corpus_mean
    features[:, -2], features[:, -1] = mean, corpus_mean
    return features


def _by_feature(features: Floats) -> Floats:
    """[m, 18, W] as [18, m * W]: one matrix product instead of m small ones."""
    return np.ascontiguousarray(features.transpose(1, 0, 2)).reshape(_NUM_FEATURES, -1)


def _gaps(is_visible: Flags, is_target: Flags) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance in shots to the nearest visible shot before and after each target; infinite where there is none."""
    targets, visible = np.flatnonzero(is_target), np.flatnonzero(is_visible)
    padded = np.concatenate(([-np.inf], visible.astype(np.float64), [np.inf]))
    before = np.searchsorted(visible, targets)
    return np.asarray(targets - padded[before]), np.asarray(padded[before + 1] - targets, np.float64)


def _interpolated(left: Floats, right: Floats, left_gap: NDArray[np.float64], right_gap: NDArray[np.float64]) -> Floats:
    with np.errstate(invalid="ignore"):
        share = np.where(np.isinf(left_gap), 1.0, np.where(np.isinf(right_gap), 0.0, left_gap / (left_gap + right_gap)))
    share = np.nan_to_num(share)[:, None].astype(np.float32)
    return np.asarray((1 - share) * left + share * right, np.float32)

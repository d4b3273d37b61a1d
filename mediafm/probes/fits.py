"""Probes on rows that are ready, at several strengths at once: logistic for classes, ridge for scores.

Both have scikit-learn's objectives and solutions (`LogisticRegression`, `Ridge`; tests hold them together), without a
solver's set-up per class and strength: six classes on 216 clips are fitted in 2 ms instead of 13. Our choice.

Legend: C clips, R features, K classes, S strengths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mediafm.probes.folds import held_out
from mediafm.probes.logistic import JointFit, fit_jointly, held_out_losses, torch_precision
from mediafm.probes.vectors import Floats, Indexes

SEARCH_TOLERANCE, FINAL_TOLERANCE = 1e-2, 1e-6
"""Of the gradient. For held-out losses, which then err by about a thousandth, less than neighbouring strengths differ.
And for the fit that scores: its weights differ from scikit-learn's at its finest by less than 0.001."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitting:
    """is_score: ridge instead of logistic. torch_device: where torch makes the products; None for numpy."""

    is_score: bool
    max_iterations: int
    torch_device: str | None

    def fit(self, train: Floats, target: Floats, strength: float) -> JointFit:
        """At one strength: weights float64 [1, R, K], intercepts float64 [1, K].

        A class with one side only gets no weights and the log-odds of its share, plus one clip of each side.
        """
        if self.is_score:
            return fit_ridge(train, target, (strength,), self.torch_device)
        num_positive = target.sum(axis=0)
        weights = np.zeros((1, train.shape[1], target.shape[1]))
        intercepts = np.log((num_positive + 1) / (len(target) - num_positive + 1))[None]
        has_both = np.flatnonzero((num_positive > 0) & (num_positive < len(target)))
        if not len(has_both):
            return JointFit(weights, intercepts, True)
        found = fit_jointly(
            train, target[:, has_both], (strength,), self.max_iterations, FINAL_TOLERANCE, self.torch_device
        )
        weights[:, :, has_both], intercepts[:, has_both] = found.weights, found.intercepts
        return JointFit(weights, intercepts, found.has_converged)

    def losses(self, rows: Floats, target: Floats, folds: Indexes, strengths: tuple[float, ...]) -> tuple[Floats, int]:
        """Squared error, or log loss, of each fold's clips by fits without them, by strength [S]; and failed runs."""
        if not self.is_score:
            return held_out_losses(
                rows, target, folds, strengths, self.max_iterations, SEARCH_TOLERANCE, self.torch_device
            )
        losses = np.zeros(len(strengths))
        for trains, is_tested in held_out(folds):
            predicted_SCK = fit_ridge(rows[trains], target[trains], strengths, self.torch_device).log_odds(
                rows[is_tested]
            )
            losses += ((predicted_SCK - target[is_tested]) ** 2).sum(axis=(1, 2))
        return losses, 0


def fit_ridge(train: Floats, target: Floats, strengths: tuple[float, ...], torch_device: str | None = None) -> JointFit:
    """Ridge with an unpenalised offset in closed form: (X'X + I / strength) w = X'y on centred rows.

    Args:
        train: float64 [C, R]. target: float64 [C, K].
        strengths: inverse regularisation, 1 / scikit-learn's alpha.
        torch_device: where torch solves; None for numpy.
    """
    middle, level = train.mean(axis=0), target.mean(axis=0)
    rows = train - middle
    penalty_S = 1 / np.asarray(strengths)
    if torch_device is None:
        normal, cross = rows.T @ rows, rows.T @ (target - level)
        one = np.eye(len(normal))
        weights_SRK = np.stack([np.linalg.solve(normal + penalty * one, cross) for penalty in penalty_S])
    else:
        weights_SRK = _ridge_in_torch(rows, target - level, penalty_S, torch_device)
    return JointFit(weights_SRK, level - middle @ weights_SRK, True)


def _ridge_in_torch(rows: Floats, target: Floats, penalty_S: Floats, device: str) -> Floats:
    import torch

    def put(array: Floats) -> torch.Tensor:
        return torch.as_tensor(array, dtype=torch_precision(device), device=device)

    rows_CR = put(rows)
    normal, cross = rows_CR.T @ rows_CR, rows_CR.T @ put(target)
    solved = []
    for penalty in penalty_S.tolist():
        factor = torch.linalg.cholesky(normal + penalty * torch.eye(len(normal), dtype=normal.dtype, device=device))
        solved.append(torch.cholesky_solve(cross, factor))
    weights: Floats = torch.stack(solved).cpu().numpy().astype(np.float64)
    return weights

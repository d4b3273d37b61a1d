"""Many L2-regularised logistic regressions on the same rows at once: every class at every strength.

The objective is scikit-learn's (log loss summed over clips + |w|^2 / 2C, intercept free). Their sum is minimised by one
L-BFGS run, which costs a few matrix products instead of a solver's set-up per class and strength. Our choice, for the
search over strengths only; probes themselves are fitted by scikit-learn.

Legend: C clips, R features, K classes, S strengths, P = S * K problems.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mediafm.probes.vectors import Floats


@dataclass(frozen=True, slots=True)
class JointFit:
    """Weights float64 [S, R, K], intercepts float64 [S, K], and whether the solver arrived."""

    weights: Floats
    intercepts: Floats
    has_converged: bool

    def log_odds(self, rows: Floats) -> Floats:
        """Log-odds of [C, R] at every strength; float64 [S, C, K]."""
        found: Floats = rows @ self.weights + self.intercepts[:, None, :]
        return found


def fit_jointly(
    train: Floats, target: Floats, strengths: tuple[float, ...], max_iterations: int, tolerance: float = 1e-5
) -> JointFit:
    """Fits all classes at all strengths.

    Args:
        train: float64 [C, R]. target: float64 [C, K] of 0 and 1, each class with both.
        strengths: inverse regularisation, scikit-learn's C.
        max_iterations: of L-BFGS.
        tolerance: of the largest gradient entry, in preconditioned coordinates.
    """
    from scipy.optimize import minimize

    num_clips, width = train.shape
    num_classes = target.shape[1]
    target_CP = np.tile(target, (1, len(strengths)))
    penalty_P = np.repeat(1 / np.asarray(strengths), num_classes)
    # Each problem in units of its own curvature (a clip's is at most 1/4, here taken as 1/10): one run fits all.
    weight_unit_P = 1 / np.sqrt(penalty_P + 0.1 * (train**2).sum() / width)
    intercept_unit = 1 / np.sqrt(0.1 * num_clips)

    def objective(flat: Floats) -> tuple[float, Floats]:
        unknown = flat.reshape(width + 1, -1)
        weights_RP = unknown[:-1] * weight_unit_P
        log_odds_CP = train @ weights_RP + unknown[-1] * intercept_unit
        loss = np.logaddexp(0, log_odds_CP).sum() - (log_odds_CP * target_CP).sum()
        residual_CP = 0.5 * (1 + np.tanh(0.5 * log_odds_CP)) - target_CP
        gradient = np.empty_like(unknown)
        gradient[:-1] = (train.T @ residual_CP + penalty_P * weights_RP) * weight_unit_P
        gradient[-1] = residual_CP.sum(axis=0) * intercept_unit
        return float(loss + 0.5 * (penalty_P * weights_RP**2).sum()), gradient.ravel()

    options = {"maxiter": max_iterations, "gtol": tolerance, "ftol": 1e-13, "maxcor": 20}
    start = np.zeros((width + 1) * len(penalty_P))
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    unknown = found.x.reshape(width + 1, len(strengths), num_classes)
    units = weight_unit_P.reshape(len(strengths), 1, num_classes)
    return JointFit(unknown[:-1].transpose(1, 0, 2) * units, unknown[-1] * intercept_unit, bool(found.success))

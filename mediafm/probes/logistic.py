"""Many L2-regularised logistic regressions on the same rows at once: every class at every strength.

The objective is scikit-learn's (log loss summed over clips + |w|^2 / 2C, intercept free). Their sum is minimised by one
L-BFGS run, which costs a few matrix products instead of a solver's set-up per class and strength. Our choice. The
products are numpy's, or torch's on the device given where the rows are many and wide; the solver is scipy's for both.

Legend: C clips, R features, K classes, S strengths, P = S * K problems.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mediafm.probes.vectors import Floats

if TYPE_CHECKING:
    import torch

Objective: TypeAlias = Callable[[Floats], tuple[float, Floats]]
"""Of the flat unknowns: the summed loss and its gradient."""


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
    train: Floats,
    target: Floats,
    strengths: tuple[float, ...],
    max_iterations: int,
    tolerance: float = 1e-5,
    torch_device: str | None = None,
) -> JointFit:
    """Fits all classes at all strengths.

    Args:
        train: float64 [C, R]. target: float64 [C, K] of 0 and 1, each class with both.
        strengths: inverse regularisation, scikit-learn's C.
        max_iterations: of L-BFGS.
        tolerance: of the largest gradient entry, in preconditioned coordinates.
        torch_device: where torch makes the products; None for numpy.
    """
    from scipy.optimize import minimize

    num_clips, width = train.shape
    num_classes = target.shape[1]
    penalty_P = np.repeat(1 / np.asarray(strengths), num_classes)
    # Each problem in units of its own curvature (a clip's is at most 1/4, here taken as 1/10): one run fits all.
    weight_unit_P = 1 / np.sqrt(penalty_P + 0.1 * (train**2).sum() / width)
    intercept_unit = float(1 / np.sqrt(0.1 * num_clips))
    target_CP = np.tile(target, (1, len(strengths)))
    problem = _Problem(train, target_CP, penalty_P, weight_unit_P, intercept_unit)
    objective = problem.in_numpy() if torch_device is None else problem.in_torch(torch_device)
    options = {"maxiter": max_iterations, "gtol": tolerance, "ftol": 1e-13, "maxcor": 20}
    start = np.zeros((width + 1) * len(penalty_P))
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    unknown = found.x.reshape(width + 1, len(strengths), num_classes)
    units = weight_unit_P.reshape(len(strengths), 1, num_classes)
    return JointFit(unknown[:-1].transpose(1, 0, 2) * units, unknown[-1] * intercept_unit, bool(found.success))


@dataclass(frozen=True, slots=True)
class _Problem:
    """The rows [C, R], their targets [C, P], the penalties [P], and the units in which the unknowns are counted."""

    train: Floats
    target_CP: Floats
    penalty_P: Floats
    weight_unit_P: Floats
    intercept_unit: float

    def in_numpy(self) -> Objective:
        def objective(flat: Floats) -> tuple[float, Floats]:
            unknown = flat.reshape(self.train.shape[1] + 1, -1)
            weights_RP = unknown[:-1] * self.weight_unit_P
            log_odds_CP = self.train @ weights_RP + unknown[-1] * self.intercept_unit
            loss = np.logaddexp(0, log_odds_CP).sum() - (log_odds_CP * self.target_CP).sum()
            residual_CP = 0.5 * (1 + np.tanh(0.5 * log_odds_CP)) - self.target_CP
            gradient = np.empty_like(unknown)
            gradient[:-1] = (self.train.T @ residual_CP + self.penalty_P * weights_RP) * self.weight_unit_P
            gradient[-1] = residual_CP.sum(axis=0) * self.intercept_unit
            return float(loss + 0.5 * (self.penalty_P * weights_RP**2).sum()), gradient.ravel()

        return objective

    def in_torch(self, device: str) -> Objective:
        import torch

        def put(array: Floats) -> torch.Tensor:
            return torch.as_tensor(np.ascontiguousarray(array), dtype=torch_precision(device), device=device)

        train, target_CP, penalty_P = put(self.train), put(self.target_CP), put(self.penalty_P)
        weight_unit_P = put(self.weight_unit_P)

        def objective(flat: Floats) -> tuple[float, Floats]:
            unknown = put(flat.reshape(train.shape[1] + 1, -1))
            weights_RP = unknown[:-1] * weight_unit_P
            log_odds_CP = train @ weights_RP + unknown[-1] * self.intercept_unit
            loss = torch.logaddexp(log_odds_CP, torch.zeros_like(log_odds_CP)).sum() - (log_odds_CP * target_CP).sum()
            residual_CP = torch.sigmoid(log_odds_CP) - target_CP
            slope_RP = (train.T @ residual_CP + penalty_P * weights_RP) * weight_unit_P
            gradient = torch.cat([slope_RP, residual_CP.sum(dim=0, keepdim=True) * self.intercept_unit])
            total = loss + 0.5 * (penalty_P * weights_RP**2).sum()
            return float(total), gradient.cpu().numpy().astype(np.float64).ravel()

        return objective


def torch_precision(device: str) -> torch.dtype:
    """float64 wherever the device has it: L-BFGS stops early on float32's rounding."""
    import torch

    return torch.float32 if device.startswith("mps") else torch.float64

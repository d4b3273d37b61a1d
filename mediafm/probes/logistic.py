"""Many L2-regularised logistic regressions on the same rows at once: every class at every strength.

The objective is scikit-learn's (log loss summed over clips + |w|^2 / 2C, intercept free). Their sum is minimised by one
L-BFGS run, which costs a few matrix products instead of a solver's set-up per class and strength. Our choice. The
products are numpy's, or torch's on the device given; the solver is scipy's for both.

Legend: C clips, R features, K classes, S strengths, Q classes by fold, P problems: S * K, or S * Q.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mediafm.probes.vectors import Flags, Floats, Indexes

if TYPE_CHECKING:
    import torch

Objective: TypeAlias = Callable[[Floats], tuple[float, Floats]]
"""Of the flat unknowns: the summed loss and its gradient."""


MAX_LOG_ODDS = 10_000_000
"""Clips x classes x strengths x folds that are fitted in one run; about eight arrays of so many numbers are held."""


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
    shape = (len(strengths), target.shape[1])
    problems = _Problems.of(train, np.tile(target, (1, len(strengths))), np.repeat(strengths, shape[1]))
    weights_RP, intercepts_P, has_converged = problems.solve(max_iterations, tolerance, torch_device)
    return JointFit(weights_RP.reshape(-1, *shape).transpose(1, 0, 2), intercepts_P.reshape(shape), has_converged)


def held_out_losses(
    rows: Floats,
    target: Floats,
    folds: Indexes,
    strengths: tuple[float, ...],
    max_iterations: int,
    tolerance: float,
    torch_device: str | None = None,
) -> tuple[Floats, int]:
    """Log loss of each fold's clips by fits without them, summed over folds and classes; and runs that did not arrive.

    All folds are fitted in one run, unless their log-odds would be more than `MAX_LOG_ODDS` numbers. A class is left
    out of a fold whose training part has one side of it only.

    Args:
        rows: float64 [C, R]. target: float64 [C, K] of 0 and 1. folds: int64 [C] from 0.

    Returns:
        float64 [S], and the number of runs.
    """
    fold_numbers = list(range(int(folds.max()) + 1))
    is_small = rows.shape[0] * target.shape[1] * len(strengths) * len(fold_numbers) <= MAX_LOG_ODDS
    losses = np.zeros(len(strengths))
    num_unconverged = 0
    for run in [fold_numbers] if is_small else [[fold] for fold in fold_numbers]:
        columns = [(fold, label) for fold in run for label in _both_sides(target[folds != fold])]
        if not columns:
            continue
        target_CQ = target[:, [label for _, label in columns]]
        is_tested_CQ = folds[:, None] == np.array([fold for fold, _ in columns])
        repeats = (1, len(strengths))
        problems = _Problems.of(
            rows, np.tile(target_CQ, repeats), np.repeat(strengths, len(columns)), np.tile(~is_tested_CQ, repeats)
        )
        weights_RP, intercepts_P, has_converged = problems.solve(max_iterations, tolerance, torch_device)
        log_odds = (rows @ weights_RP + intercepts_P).reshape(len(rows), len(strengths), -1).transpose(1, 0, 2)
        losses += ((np.logaddexp(0, log_odds) - target_CQ * log_odds) * is_tested_CQ).sum(axis=(1, 2))
        num_unconverged += not has_converged
    return losses, num_unconverged


def _both_sides(target: Floats) -> list[int]:
    """The classes that some clips have and some have not."""
    return np.flatnonzero(target.min(axis=0) < target.max(axis=0)).tolist()


@dataclass(frozen=True, slots=True)
class _Problems:
    """The rows [C, R]; for each problem its targets [C, P], which clips count [C, P] (None: all), its penalty [P], and
    the units in which its unknowns are counted, those of its own curvature (a clip's is at most 1/4, here taken as
    1/10): so one run fits all.
    """

    train: Floats
    target_CP: Floats
    counts_CP: Floats | None
    penalty_P: Floats
    weight_unit_P: Floats
    intercept_unit_P: Floats

    @staticmethod
    def of(train: Floats, target_CP: Floats, strength_P: Floats, counts_CP: Flags | None = None) -> _Problems:
        penalty_P = 1 / np.asarray(strength_P, dtype=np.float64)
        energy_C = (train**2).sum(axis=1) / train.shape[1]
        if counts_CP is None:
            energy_P, count_P = np.full(len(penalty_P), energy_C.sum()), np.full(len(penalty_P), len(train))
        else:
            energy_P, count_P = energy_C @ counts_CP, counts_CP.sum(axis=0)
        return _Problems(
            train=train,
            target_CP=target_CP,
            counts_CP=None if counts_CP is None else counts_CP.astype(np.float64),
            penalty_P=penalty_P,
            weight_unit_P=1 / np.sqrt(penalty_P + 0.1 * energy_P),
            intercept_unit_P=1 / np.sqrt(0.1 * count_P),
        )

    def solve(self, max_iterations: int, tolerance: float, torch_device: str | None) -> tuple[Floats, Floats, bool]:
        """Weights [R, P], intercepts [P], and whether the solver arrived."""
        from scipy.optimize import minimize

        objective = self.in_numpy() if torch_device is None else self.in_torch(torch_device)
        options = {"maxiter": max_iterations, "gtol": tolerance, "ftol": 1e-13, "maxcor": 10}
        start = np.zeros((self.train.shape[1] + 1) * len(self.penalty_P))
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        unknown = found.x.reshape(self.train.shape[1] + 1, -1)
        return unknown[:-1] * self.weight_unit_P, unknown[-1] * self.intercept_unit_P, bool(found.success)

    def in_numpy(self) -> Objective:
        def objective(flat: Floats) -> tuple[float, Floats]:
            unknown = flat.reshape(self.train.shape[1] + 1, -1)
            weights_RP = unknown[:-1] * self.weight_unit_P
            log_odds_CP = self.train @ weights_RP + unknown[-1] * self.intercept_unit_P
            loss_CP = np.logaddexp(0, log_odds_CP) - log_odds_CP * self.target_CP
            residual_CP = 0.5 * (1 + np.tanh(0.5 * log_odds_CP)) - self.target_CP
            if self.counts_CP is not None:
                loss_CP *= self.counts_CP
                residual_CP *= self.counts_CP
            gradient = np.empty_like(unknown)
            gradient[:-1] = (self.train.T @ residual_CP + self.penalty_P * weights_RP) * self.weight_unit_P
            gradient[-1] = residual_CP.sum(axis=0) * self.intercept_unit_P
            return float(loss_CP.sum() + 0.5 * (self.penalty_P * weights_RP**2).sum()), gradient.ravel()

        return objective

    def in_torch(self, device: str) -> Objective:
        import torch

        def put(array: Floats) -> torch.Tensor:
            return torch.as_tensor(np.ascontiguousarray(array), dtype=torch_precision(device), device=device)

        train, target_CP, penalty_P = put(self.train), put(self.target_CP), put(self.penalty_P)
        weight_unit_P, intercept_unit_P = put(self.weight_unit_P), put(self.intercept_unit_P)
        counts_CP = torch.ones((), dtype=train.dtype, device=device) if self.counts_CP is None else put(self.counts_CP)

        def objective(flat: Floats) -> tuple[float, Floats]:
            unknown = put(flat.reshape(train.shape[1] + 1, -1))
            weights_RP = unknown[:-1] * weight_unit_P
            log_odds_CP = train @ weights_RP + unknown[-1] * intercept_unit_P
            loss_CP = -torch.nn.functional.logsigmoid(-log_odds_CP) - log_odds_CP * target_CP
            residual_CP = (torch.sigmoid(log_odds_CP) - target_CP) * counts_CP
            slope_RP = (train.T @ residual_CP + penalty_P * weights_RP) * weight_unit_P
            gradient = torch.cat([slope_RP, residual_CP.sum(dim=0, keepdim=True) * intercept_unit_P])
            total = (loss_CP * counts_CP).sum() + 0.5 * (penalty_P * weights_RP**2).sum()
            return float(total), gradient.cpu().numpy().astype(np.float64).ravel()

        return objective


def torch_precision(device: str) -> torch.dtype:
    """float64 wherever the device has it: L-BFGS stops early on float32's rounding."""
    import torch

    return torch.float32 if device.startswith("mps") else torch.float64

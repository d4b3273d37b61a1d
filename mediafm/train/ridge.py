"""Ridge regression in closed form from sums that stream: rows are added and forgotten, only Gram matrices stay.

The penalty is chosen inside the rows added: those of one half of the titles' groups are fitted, those of the other half
are scored, and the other way round; then all are fitted. Penalties are shares of the mean variance of an input column,
so that they mean the same whatever the inputs' scale. Our choice.

n rows added at once, W input width, E target width.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mediafm.train.evaluation import Floats

NUM_HALVES = 2
PENALTIES = tuple(10.0**power for power in range(-6, 2))
UNCHOSEN_PENALTY = 1e-2
"""Where only one half has rows, so that nothing can choose."""
_MIN_VARIANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Ridge:
    """A fitted regression: bias + (x - mean) @ weights.

    mean_W, weights_WE, bias_E: float64.
    penalty: the one chosen.
    held_out: share of the target's variance explained in the half that was not fitted; None with one half only.
    """

    mean_W: Tensor
    weights_WE: Tensor
    bias_E: Tensor
    penalty: float
    held_out: float | None

    def predict(self, rows_nW: Floats) -> Floats:
        """Predictions [n, E], float32."""
        rows = torch.from_numpy(rows_nW).double() - self.mean_W
        return np.asarray((self.bias_E + rows @ self.weights_WE).float().numpy(), np.float32)


class RidgeSums:
    """Collects (input, target) rows by half."""

    def __init__(self, input_dim: int, target_dim: int) -> None:
        self._halves = [_Sums.zeros(input_dim, target_dim) for _ in range(NUM_HALVES)]

    @property
    def num_rows(self) -> int:
        return sum(half.count for half in self._halves)

    def add(self, half: int, rows_nW: Floats, targets_nE: Floats) -> None:
        """Adds n rows of one half (see `halves_of`)."""
        self._halves[half].add(torch.from_numpy(rows_nW).double(), torch.from_numpy(targets_nE).double())

    def fit(self) -> Ridge:
        """The regression on all rows, at the penalty that serves the half not fitted best (the greater on a tie)."""
        penalty, held_out = UNCHOSEN_PENALTY, None
        if all(half.count for half in self._halves):
            losses = _held_out_losses(*self._halves) + _held_out_losses(*reversed(self._halves))
            best = int(np.argmin(losses[:-1][::-1]))
            penalty, held_out = PENALTIES[::-1][best], float(1 - losses[:-1][::-1][best] / max(losses[-1], 1e-12))
        total = self._halves[0].joined(self._halves[1])
        mean_W, mean_E = total.means()
        xx, xy, _ = total.about(mean_W, mean_E)
        xx.diagonal().add_(penalty * _variance(xx))
        return Ridge(mean_W, torch.linalg.solve(xx, xy), mean_E, penalty, held_out)


def halves_of(group_ids: Iterable[str]) -> dict[str, int]:
    """Group -> half, alternating in the order of the ids, so that no group lies in both."""
    return {group: number % NUM_HALVES for number, group in enumerate(sorted(set(group_ids)))}


@dataclass(eq=False)
class _Sums:
    """Sums over rows: count, x, y, x x', x y', |y|^2; float64."""

    count: int
    x_W: Tensor
    y_E: Tensor
    xx_WW: Tensor
    xy_WE: Tensor
    yy: float

    @classmethod
    def zeros(cls, width: int, target: int) -> _Sums:
        def empty(*size: int) -> Tensor:
            return torch.zeros(size, dtype=torch.float64)

        return cls(0, empty(width), empty(target), empty(width, width), empty(width, target), 0.0)

    def add(self, x_nW: Tensor, y_nE: Tensor) -> None:
        self.count += len(x_nW)
        self.x_W += x_nW.sum(0)
        self.y_E += y_nE.sum(0)
        self.xx_WW.addmm_(x_nW.T, x_nW)
        self.xy_WE.addmm_(x_nW.T, y_nE)
        self.yy += float(y_nE.square().sum())

    def joined(self, other: _Sums) -> _Sums:
        return _Sums(
            self.count + other.count,
            self.x_W + other.x_W,
            self.y_E + other.y_E,
            self.xx_WW + other.xx_WW,
            self.xy_WE + other.xy_WE,
            self.yy + other.yy,
        )

    def means(self) -> tuple[Tensor, Tensor]:
        return self.x_W / max(self.count, 1), self.y_E / max(self.count, 1)

    def about(self, mean_W: Tensor, mean_E: Tensor) -> tuple[Tensor, Tensor, float]:
        """The second moments of (x - mean_W, y - mean_E), whoever's means these are."""
        cross_WW = torch.outer(self.x_W, mean_W)
        xx = self.xx_WW - cross_WW - cross_WW.T + self.count * torch.outer(mean_W, mean_W)
        xy = self.xy_WE - torch.outer(self.x_W, mean_E) - torch.outer(mean_W, self.y_E - self.count * mean_E)
        yy = self.yy - 2 * float(self.y_E @ mean_E) + self.count * float(mean_E @ mean_E)
        return xx, xy, yy


def _held_out_losses(fitted: _Sums, scored: _Sums) -> NDArray[np.float64]:
    """Squared error on `scored` of the fit to `fitted`, at each penalty; last, of the fitted half's mean alone.

    In the eigenbasis of the fitted Gram matrix the weights are d * c with d = 1 / (values + penalty), so the error is a
    quadratic form in d: one decomposition serves all penalties.
    """
    means = fitted.means()
    xx, xy, _ = fitted.about(*means)
    values_W, basis_WW = torch.linalg.eigh(xx)
    held_xx, held_xy, held_yy = scored.about(*means)
    c_WE = basis_WW.T @ xy
    quadratic_WW = (basis_WW.T @ held_xx @ basis_WW) * (c_WE @ c_WE.T)
    linear_W = ((basis_WW.T @ held_xy) * c_WE).sum(1)
    losses = []
    for penalty in PENALTIES:
        d_W = 1.0 / (values_W.clamp(min=0) + penalty * _variance(xx))
        losses.append(float(d_W @ quadratic_WW @ d_W - 2 * (d_W @ linear_W)) + held_yy)
    return np.array([*losses, held_yy])


def _variance(xx_WW: Tensor) -> float:
    """Sum of squares of a mean column, never zero, so that constant inputs have a (zero) solution."""
    return max(float(xx_WW.diagonal().sum()) / len(xx_WW), _MIN_VARIANCE)

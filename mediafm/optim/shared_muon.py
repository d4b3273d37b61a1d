"""Muon whose orthogonalisations are shared out among ranks: each steps its own matrices and sends their new values.

The orthogonalisation is Muon's cost (five products of a matrix with itself), it needs a matrix whole, and every rank
would get the same. So each matrix belongs to one rank, which alone keeps its momentum (as in ZeRO stage 1, Rajbhandari
et al. 2020, section 5.1, and the distributed Muon of Liu et al. 2025, section 2.3, with whole matrices for slices: our
choice, since our largest matrix fits a GPU many times over). What is sent are weights in their own precision, so ranks
hold the same bits, and `torch.optim.Muon` does all arithmetic, so they are the bits of one rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from mediafm.errors import TrainingError
from mediafm.optim.dealing import deal


class Exchange(Protocol):
    """One of the ranks that train together, as far as an optimizer needs it."""

    @property
    def rank(self) -> int:
        """Which one this is, from 0."""

    @property
    def count(self) -> int:
        """How many there are."""

    def gather(self, own: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """Every rank's flat tensor, by rank; `sizes` says how long each is. All ranks call it."""


class SharedMuon(torch.optim.Muon):
    """`torch.optim.Muon` on several ranks; all of them step it at once, with the same gradients.

    Its state is that of `torch.optim.Muon` over the same parameters, gathered: a run may go on with another number of
    ranks, or alone.
    """

    def __init__(self, params: Any, *, exchange: Exchange, **settings: Any) -> None:
        """Args are those of `torch.optim.Muon`, and who takes part."""
        super().__init__(params, **settings)
        self._exchange = exchange
        self._matrices: list[Tensor] = [matrix for group in self.param_groups for matrix in group["params"]]
        self._dealt = deal([cost(*matrix.shape) for matrix in self._matrices], exchange.count)
        self._has_momentum: set[int] = set()

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Steps this rank's matrices, and takes the other ranks' from them.

        Raises:
            TrainingError: a closure was given.
        """
        if closure is not None:
            raise TrainingError("a closure", rule="ranks step with gradients that are there", where="SharedMuon")
        moved = [index for index, matrix in enumerate(self._matrices) if matrix.grad is not None]
        own = set(self._dealt[self._exchange.rank])
        others = [self._matrices[index] for index in moved if index not in own]
        gradients = [matrix.grad for matrix in others]
        for matrix in others:
            matrix.grad = None  # what has no gradient is passed over
        try:
            super().step()  # type: ignore[no-untyped-call]
        finally:
            for matrix, gradient in zip(others, gradients, strict=True):
                matrix.grad = gradient
        self._has_momentum |= set(moved)
        for index, values in self._gathered(moved, lambda matrix: matrix).items():
            if index not in own:
                self._matrices[index].copy_(values)

    def state_dict(self) -> dict[str, Any]:
        """That of `torch.optim.Muon`, the same on all ranks. All of them call it."""
        found = super().state_dict()
        momenta = self._gathered(sorted(self._has_momentum), lambda matrix: self.state[matrix]["momentum_buffer"])
        found["state"] = {index: {"momentum_buffer": values} for index, values in sorted(momenta.items())}
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state of any number of ranks and keeps this rank's part."""
        super().load_state_dict(state_dict)
        self._has_momentum = {index for index, matrix in enumerate(self._matrices) if matrix in self.state}
        own = set(self._dealt[self._exchange.rank])
        for index in self._has_momentum - own:
            del self.state[self._matrices[index]]

    def _gathered(self, indices: Sequence[int], read: Any) -> dict[int, Tensor]:
        """index -> `read` of the matrix on the rank that it belongs to."""
        wanted = set(indices)
        parts = [[index for index in part if index in wanted] for part in self._dealt]
        sizes = [sum(self._matrices[index].numel() for index in part) for part in parts]
        pieces = [read(self._matrices[index]).flatten() for index in parts[self._exchange.rank]]
        flat = torch.cat(pieces) if pieces else self._matrices[0].new_empty(0)
        found: dict[int, Tensor] = {}
        for part, whole in zip(parts, self._exchange.gather(flat, sizes), strict=True):
            lengths = [self._matrices[index].numel() for index in part]
            for index, values in zip(part, torch.split(whole, lengths), strict=True):
                found[index] = values.view_as(self._matrices[index])
        return found


def cost(num_rows: int, num_columns: int) -> float:
    """Multiplications of one orthogonalisation step, up to a constant: X X^T, its square, and their product with X."""
    short, long = min(num_rows, num_columns), max(num_rows, num_columns)
    return float(short * short * (2 * long + short))

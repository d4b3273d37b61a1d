"""What an encoder may use of the process that it runs in: a device, and where bought vectors and money are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mediafm.budget import refuse_beyond


class VectorCache(Protocol):
    """Vectors by a key that covers all they depend on, kept across titles and runs."""

    def get(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The known ones among `keys`."""

    def put(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Keeps vectors; a key that is there already stays as it is."""


class Purse(Protocol):
    """Money spent on vectors, counted for a whole root, whoever spends it."""

    def reserve(self, cost_usd: float, budget_usd: float | None) -> int:
        """Sets `cost_usd` aside before it is spent.

        Returns:
            The reservation's number, for `settle`.

        Raises:
            EncoderError: with it, more than `budget_usd` would be spent in all. None is no bound.
        """

    def settle(self, reservation: int, cost_usd: float) -> None:
        """What was really spent of a reservation; 0.0 if the request failed."""


class NoCache:
    """Forgets everything: for single calls from a notebook."""

    def get(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        return {}

    def put(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Nothing is kept."""


@dataclass
class OwnPurse:
    """Counts what this object has spent, and nothing else."""

    spent_usd: float = 0.0
    _reserved: list[float] = field(default_factory=list)

    def reserve(self, cost_usd: float, budget_usd: float | None) -> int:
        refuse_beyond(self.spent_usd, cost_usd, budget_usd)
        self.spent_usd += cost_usd
        self._reserved.append(cost_usd)
        return len(self._reserved) - 1

    def settle(self, reservation: int, cost_usd: float) -> None:
        self.spent_usd += cost_usd - self._reserved[reservation]
        self._reserved[reservation] = cost_usd


@dataclass(frozen=True, kw_only=True)
class EncoderHost:
    """The surroundings of an encoder; no part of them moves a vector.

    device: as torch names it.
    cache: bought vectors.
    purse: spent money.
    """

    device: str = "cpu"
    cache: VectorCache = field(default_factory=NoCache)
    purse: Purse = field(default_factory=OwnPurse)

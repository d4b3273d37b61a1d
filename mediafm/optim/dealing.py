"""Work dealt out among ranks: each item to one rank, the ranks' costs near equal, the same wherever it is asked."""

from __future__ import annotations

from collections.abc import Sequence


def deal(costs: Sequence[float], num_ranks: int) -> list[list[int]]:
    """The indices of each rank's items, ascending: the dearest first, each to the rank that has least so far.

    Longest processing time first (Graham 1969): no rank gets more than 4/3 of the best possible share.
    """
    dealt: list[list[int]] = [[] for _ in range(num_ranks)]
    loads = [0.0] * num_ranks
    for index in sorted(range(len(costs)), key=lambda index: (-costs[index], index)):
        rank = min(range(num_ranks), key=lambda rank: (loads[rank], rank))
        dealt[rank].append(index)
        loads[rank] += costs[index]
    return [sorted(part) for part in dealt]

"""Work dealt out among ranks: all of it, once, evenly."""

from __future__ import annotations

import numpy as np
import pytest

from mediafm.optim.dealing import deal


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 8])
def test_each_item_is_dealt_once_and_the_loads_are_near_equal(num_ranks: int) -> None:
    costs = np.random.default_rng(num_ranks).integers(1, 100, 60).tolist()
    dealt = deal(costs, num_ranks)
    assert sorted(index for part in dealt for index in part) == list(range(60))
    assert all(part == sorted(part) for part in dealt)
    loads = [sum(costs[index] for index in part) for part in dealt]
    best = max(sum(costs) / num_ranks, max(costs))
    assert max(loads) <= 4 / 3 * best


def test_equal_costs_are_dealt_by_their_order() -> None:
    assert deal([5, 5, 5, 5], 2) == [[0, 2], [1, 3]]


def test_more_ranks_than_items_leaves_some_without() -> None:
    assert deal([2, 3], 3) == [[1], [0], []]
    assert deal([], 2) == [[], []]

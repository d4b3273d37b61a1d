from __future__ import annotations

import numpy as np
import pytest

from mediafm.probes.intervals import draw_weights, interval, lower_bound, mean_interval


def test_every_replicate_draws_as_many_groups_as_there_are() -> None:
    weights = draw_weights(7, 50, np.random.default_rng(0))
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()


def test_one_group_gives_no_interval() -> None:
    found = mean_interval(np.array([0.4]), 100, np.random.default_rng(0))
    assert (found.value, found.low, found.high) == (pytest.approx(0.4), None, None)


def test_draws_that_cannot_be_measured_are_left_out() -> None:
    replicates = np.array([0.1, np.nan, 0.3, 0.2])
    found = interval(0.2, replicates, 5)
    assert found.low is not None
    assert found.high is not None
    assert found == interval(0.2, np.array([0.1, 0.3, 0.2]), 5)


def test_the_interval_stays_within_the_measure() -> None:
    found = interval(0.95, np.array([0.5, 1.0, 0.9]), 4, 0.0, 1.0)
    assert found.high == 1.0


def test_the_interval_is_centred_on_the_value() -> None:
    rng = np.random.default_rng(0)
    found = interval(5.0, rng.normal(size=5000), 30)
    assert found.low is not None
    assert found.high is not None
    assert (found.low + found.high) / 2 == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("num_groups", [5, 10, 30])
def test_the_interval_covers_the_truth_as_often_as_it_says(num_groups: int) -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        found = mean_interval(rng.normal(size=num_groups), 400, rng)
        assert found.low is not None
        assert found.high is not None
        covered += found.low < 0 < found.high
    assert 0.91 <= covered / 400 <= 0.985


def test_the_lower_bound_is_the_end_of_the_interval_with_twice_the_error() -> None:
    replicates = np.random.default_rng(0).normal(0.1, 0.02, 500)
    ends = interval(0.1, replicates, 12, confidence=0.90)
    assert lower_bound(0.1, replicates, 12, 0.95) == pytest.approx(ends.low)
    assert lower_bound(0.1, replicates, 1, 0.95) is None

"""Average precision against scikit-learn, its expectation under ties by counting orders, and tau within titles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from mediafm.probes.ranking import (
    average_precision,
    drawn_average_precision,
    drawn_fold_mean,
    nan_mean,
    tau_within_titles,
)


@given(num_clips=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_without_ties_it_is_the_usual_one(num_clips: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    is_positive = rng.permutation(np.arange(num_clips) < rng.integers(1, num_clips))
    scores = rng.permutation(num_clips).astype(np.float64)
    usual = average_precision_score(is_positive, scores)
    assert average_precision(is_positive, scores) == pytest.approx(usual)
    assert drawn_average_precision(is_positive, scores, np.ones((1, num_clips)))[0] == pytest.approx(usual)


@pytest.mark.parametrize("scores", [[1, 1, 1, 1, 1], [2, 2, 1, 1, 1], [3, 2, 2, 2, 1]])
def test_ties_give_the_mean_over_all_their_orders(scores: list[float]) -> None:
    is_positive = np.array([True, False, True, False, False])
    orders = [
        average_precision_score(is_positive[list(order)], np.arange(5, 0, -1))
        for order in itertools.permutations(range(5))
        if [scores[i] for i in order] == sorted(scores, reverse=True)
    ]
    assert average_precision(is_positive, np.array(scores, dtype=np.float64)) == pytest.approx(np.mean(orders))


@pytest.mark.parametrize("is_positive", [[True, True], [False, False], []])
def test_one_side_only_cannot_be_measured(is_positive: list[bool]) -> None:
    assert np.isnan(average_precision(np.array(is_positive, dtype=bool), np.zeros(len(is_positive))))


def test_a_weighted_draw_equals_repeated_clips() -> None:
    rng = np.random.default_rng(0)
    is_positive, scores, weights = rng.random(20) < 0.4, rng.normal(size=20), rng.integers(0, 3, (5, 20)).astype(float)
    expected = [
        average_precision_score(np.repeat(is_positive, w.astype(int)), np.repeat(scores, w.astype(int)))
        for w in weights
    ]
    assert drawn_average_precision(is_positive, scores, weights) == pytest.approx(expected)


def test_a_draw_without_positives_is_nan() -> None:
    drawn = drawn_average_precision(np.array([True, False]), np.array([1.0, 0.0]), np.array([[0.0, 2.0], [1.0, 1.0]]))
    assert np.isnan(drawn[0])
    assert drawn[1] == 1.0


def test_tau_is_per_title_and_titles_without_an_order_are_left_out() -> None:
    target = np.array([1.0, 2.0, 3.0, 5.0, 5.0, 1.0, 2.0])
    scores = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 7.0, 7.0])
    titles = np.array([0, 0, 0, 1, 1, 2, 2])
    assert tau_within_titles(target, scores, titles) == {0: pytest.approx(1.0), 2: 0.0}


def test_nan_mean_leaves_out_what_is_not_known() -> None:
    found = nan_mean(np.array([[1.0, np.nan], [3.0, np.nan]]), axis=0)
    assert found[0] == 2.0
    assert np.isnan(found[1])


def test_a_draw_of_folds_of_one_group_is_the_bootstrap_of_a_mean() -> None:
    """Drawn values over folds of one group each spread as drawn values of a plain mean do."""
    rng = np.random.default_rng(0)
    values, draws = rng.normal(size=10), rng.multinomial(10, np.full(10, 0.1), size=500).T.astype(np.float64)
    measured = np.where(draws > 0, values[:, None], np.nan)
    assert drawn_fold_mean(measured, draws) == pytest.approx(values @ draws / 10)
    unmeasured = np.full((10, 1), np.nan)
    assert np.isnan(drawn_fold_mean(unmeasured, np.ones((10, 1)))).all()
    unmeasured[3] = 0.25
    assert drawn_fold_mean(unmeasured, np.full((10, 1), 2.0)).tolist() == [0.25]

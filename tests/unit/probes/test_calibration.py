"""Probabilities mean what they say; thresholds are where F1 is greatest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from mediafm.probes.calibration import calibration_error, class_calibration_error, fit_sigmoid, logistic
from mediafm.probes.thresholds import best_threshold


def overconfident(num_clips: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds that are three times too large and shifted, with what then happens."""
    rng = np.random.default_rng(seed)
    true_log_odds = rng.normal(-1.0, 1.0, num_clips)
    return 3 * true_log_odds + 2, rng.random(num_clips) < logistic(true_log_odds)


def test_the_sigmoid_undoes_what_was_done_to_the_scores() -> None:
    found = fit_sigmoid(*overconfident(20_000, seed=0))
    assert found.slope == pytest.approx(1 / 3, abs=0.02)
    assert found.intercept == pytest.approx(-2 / 3, abs=0.05)


def test_the_calibration_error_falls_on_clips_that_did_not_fit_the_sigmoid() -> None:
    sigmoid = fit_sigmoid(*overconfident(300, seed=0))
    scores, is_positive = overconfident(5000, seed=1)
    before, after = calibration_error(is_positive, logistic(scores)), calibration_error(is_positive, sigmoid(scores))
    assert before > 0.15
    assert after < 0.04


@pytest.mark.parametrize("seed", range(3))
def test_newtons_method_finds_what_a_general_minimiser_finds(seed: int) -> None:
    scores, is_positive = overconfident(60, seed)
    num_positive, num_negative = is_positive.sum(), (~is_positive).sum()
    target = np.where(is_positive, (num_positive + 1) / (num_positive + 2), 1 / (num_negative + 2))

    def loss(unknown: np.ndarray) -> float:
        log_odds = unknown[0] * scores + unknown[1]
        return float((np.logaddexp(0, log_odds) - target * log_odds).sum())

    found = fit_sigmoid(scores, is_positive)
    assert [found.slope, found.intercept] == pytest.approx(minimize(loss, np.zeros(2)).x, abs=1e-3)


def test_separable_scores_do_not_become_certain() -> None:
    scores = np.concatenate([np.full(5, 10.0), np.full(20, -10.0)])
    found = fit_sigmoid(scores, scores > 0)
    assert found(np.array([10.0, -10.0])) == pytest.approx([6 / 7, 1 / 22], abs=1e-4), "Lin, Lin and Weng's targets"


def test_a_ranking_that_is_worse_than_chance_is_not_turned_round_but_says_the_share() -> None:
    scores = np.linspace(-3, 3, 400)
    is_positive = np.random.default_rng(0).random(400) < logistic(-scores - 1.5)
    found = fit_sigmoid(scores, is_positive)
    assert found.slope == 0
    assert np.unique(found(scores)) == pytest.approx([is_positive.mean()], abs=0.005)


@pytest.mark.parametrize("side", [True, False])
def test_a_class_with_one_side_only_gets_a_finite_sigmoid(side: bool) -> None:
    found = fit_sigmoid(np.linspace(-1, 1, 10), np.full(10, side))
    assert np.isfinite([found.slope, found.intercept]).all()
    assert (found(np.array([-1.0, 1.0])) > 0.5).tolist() == [side, side]


def test_the_error_of_a_worked_example() -> None:
    is_positive = np.array([True, False, True, True])
    probability = np.array([0.05, 0.05, 0.65, 1.0])
    # bins: [.05 .05 | 1 of 2], [.65 | 1 of 1], [1. | 1 of 1]
    assert calibration_error(is_positive, probability) == pytest.approx((0.9 + 0.35 + 0) / 4)
    both = class_calibration_error(np.stack([is_positive, is_positive]).T, np.stack([probability, is_positive * 1.0]).T)
    assert both == pytest.approx((0.9 + 0.35) / 8)


def test_the_threshold_of_a_worked_example() -> None:
    # Tagging one, two, ... of them: F1 = 2/4, 2/5, 4/6, 4/7, 6/8, 6/9.
    is_positive = np.array([True, False, True, False, True, False])
    probability = np.array([0.9, 0.8, 0.7, 0.5, 0.4, 0.1])
    threshold, f1 = best_threshold(is_positive, probability)
    assert (threshold, f1) == (pytest.approx(0.25), pytest.approx(0.75))


def test_of_equally_good_thresholds_the_highest_is_taken_and_ties_move_together() -> None:
    assert best_threshold(np.array([True, False, True]), np.array([0.9, 0.5, 0.5]))[0] == pytest.approx(0.25)
    # One of one right, and later two of four: 2/3 both.
    is_positive = np.array([True, False, False, True])
    assert best_threshold(is_positive, np.array([0.8, 0.6, 0.4, 0.2])) == (pytest.approx(0.7), pytest.approx(2 / 3))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9])), min_size=1, max_size=12))
def test_no_other_threshold_has_a_greater_f1(clips: list[tuple[bool, float]]) -> None:
    is_positive, probability = (np.array(column) for column in zip((True, 0.5), *clips, strict=True))

    def f1(threshold: float) -> float:
        tagged = probability >= threshold
        return float(2 * (tagged & is_positive).sum() / (tagged.sum() + is_positive.sum()))

    threshold, found = best_threshold(is_positive, probability)
    assert f1(threshold) == pytest.approx(found)
    assert found == pytest.approx(max(f1(other) for other in [*np.unique(probability), 1.0]))

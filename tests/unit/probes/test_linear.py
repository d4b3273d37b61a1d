"""Probes: the rotation changes nothing, the joint solver is scikit-learn's, absent clips say nothing, nothing leaks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from mediafm.probes.folds import group_folds
from mediafm.probes.linear import LinearSettings, held_out_scores, reduced, standardised
from mediafm.probes.logistic import fit_jointly


def data(num_groups: int = 6, per_group: int = 10, width: int = 30, seed: int = 0) -> tuple:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(num_groups * per_group, width)).astype(np.float32)
    groups = [f"g{number}" for number in range(num_groups) for _ in range(per_group)]
    return vectors, groups, rng


@pytest.mark.parametrize("inverse_strength", [0.01, 1.0, 100.0])
def test_the_rotation_leaves_predictions_as_they_were(inverse_strength: float) -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(20, 50)), rng.normal(size=(9, 50))
    target = train[:, 0] + 0.1 * rng.normal(size=20)
    small_train, small_test = reduced(train, test)
    assert small_train.shape == (20, 20)
    whole = Ridge(alpha=1 / inverse_strength).fit(train, target).predict(test)
    assert Ridge(alpha=1 / inverse_strength).fit(small_train, target).predict(small_test) == pytest.approx(whole)
    classify = LogisticRegression(C=inverse_strength, max_iter=5000, tol=1e-10)
    whole = classify.fit(train, target > 0).decision_function(test)
    rotated = classify.fit(small_train, target > 0).decision_function(small_test)
    assert rotated == pytest.approx(whole, abs=2e-3)


def test_narrow_features_are_left_alone() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(20, 5)), rng.normal(size=(3, 5))
    assert reduced(train, test)[0] is train


def test_the_joint_solver_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 20)) / 20**0.5
    target = (rng.random((60, 4)) < 0.3).astype(float)
    strengths = (0.01, 0.1, 1.0, 10.0, 100.0)
    found = fit_jointly(rows, target, strengths, 1000)
    assert found.has_converged
    for number, strength in enumerate(strengths):
        for column in range(4):
            model = LogisticRegression(C=strength, max_iter=5000, tol=1e-9).fit(rows, target[:, column])
            # The tolerance is the gradient's, which is flattest where regularisation is weakest.
            assert found.weights[number, :, column] == pytest.approx(model.coef_[0], abs=2e-3)
            assert found.intercepts[number, column] == pytest.approx(model.intercept_[0], abs=2e-3)


def test_absent_clips_do_not_move_the_others_and_stand_at_the_mean() -> None:
    vectors, _, rng = data()
    is_present = rng.random(60) < 0.7
    trains = np.arange(60) < 40
    changed = np.where(is_present[:, None], vectors, 1e3).astype(np.float32)
    train, test = standardised(changed, is_present, trains, ~trains)
    again = standardised(vectors, is_present, trains, ~trains)
    assert (train == again[0]).all()
    assert (test == again[1]).all()
    assert (train[~is_present[trains]] == 0).all()
    assert train[is_present[trains]].mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert (train[is_present[trains]] ** 2).sum(axis=1).mean() == pytest.approx(1.0)


def test_features_that_are_nowhere_present_score_everybody_alike() -> None:
    vectors, groups, rng = data()
    target = (rng.random((60, 1)) < 0.5).astype(float)
    folds = group_folds(groups, 3, rng)
    found = held_out_scores(vectors, np.zeros(60, dtype=bool), target, groups, folds, False, rng)
    for fold in range(3):
        assert len(np.unique(found.scores[folds == fold])) == 1


@pytest.mark.parametrize("is_score", [True, False])
def test_held_out_targets_change_no_score_of_their_own_fold(is_score: bool) -> None:
    vectors, groups, rng = data()
    folds = group_folds(groups, 3, rng)
    target = (rng.random((60, 2)) < 0.5).astype(float)
    if is_score:
        target = target[:, :1]
    changed = target.copy()
    changed[folds == 1] = 1 - changed[folds == 1]
    is_present = np.ones(60, dtype=bool)
    first, second = (
        held_out_scores(vectors, is_present, each, groups, folds, is_score, np.random.default_rng(0)).scores
        for each in (target, changed)
    )
    assert (first[folds == 1] == second[folds == 1]).all()
    assert (first[folds == 0] != second[folds == 0]).any()


def test_noise_is_regularised_most_and_signal_less() -> None:
    vectors, groups, rng = data(per_group=20)
    is_present = np.ones(120, dtype=bool)
    folds = group_folds(groups, 3, rng)
    noise = (rng.random((120, 1)) < 0.5).astype(float)
    signal = (vectors[:, :1] > 0).astype(float)
    chosen = [
        held_out_scores(vectors, is_present, target, groups, folds, False, np.random.default_rng(0)).chosen
        for target in (noise, signal)
    ]
    assert max(chosen[0]) < min(chosen[1])


def test_fits_that_run_out_of_iterations_are_counted_not_hidden() -> None:
    vectors, groups, rng = data()
    folds = group_folds(groups, 3, rng)
    target = (vectors[:, :1] > 0).astype(float)
    is_present = np.ones(60, dtype=bool)
    short = LinearSettings(max_iterations=1)
    assert held_out_scores(vectors, is_present, target, groups, folds, False, rng, short).num_unconverged > 0
    assert held_out_scores(vectors, is_present, target, groups, folds, False, rng).num_unconverged == 0


def test_two_groups_train_on_one_and_take_the_strongest_regularisation() -> None:
    vectors, groups, rng = data(num_groups=2)
    folds = group_folds(groups, 5, rng)
    target = (vectors[:, :1] > 0).astype(float)
    found = held_out_scores(vectors, np.ones(20, dtype=bool), target, groups, folds, False, rng)
    assert found.chosen == (0.01, 0.01)


def test_a_class_with_one_side_in_the_training_part_scores_its_share() -> None:
    vectors, groups, rng = data(num_groups=2)
    folds = group_folds(groups, 2, rng)
    target = np.array([[float(group == "g0")] for group in groups])
    found = held_out_scores(vectors, np.ones(20, dtype=bool), target, groups, folds, False, rng)
    assert np.unique(found.scores).tolist() == pytest.approx([-np.log(11), np.log(11)])

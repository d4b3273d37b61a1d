"""Probes: the rotation changes nothing, absent clips say nothing, nothing leaks, choices stay inside training parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge

from mediafm.probes.clips import ClipVectors
from mediafm.probes.folds import group_folds
from mediafm.probes.linear import LinearSettings, held_out_scores, reduced, standardised


def whole(vectors: np.ndarray) -> ClipVectors:
    return ClipVectors(vectors=vectors, is_present=np.ones(len(vectors), dtype=bool))


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
    found = held_out_scores(
        [ClipVectors(vectors=vectors, is_present=np.zeros(60, dtype=bool))], target, groups, folds, False, rng
    )
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
    first, second = (
        held_out_scores([whole(vectors)], each, groups, folds, is_score, np.random.default_rng(0)).scores
        for each in (target, changed)
    )
    assert (first[folds == 1] == second[folds == 1]).all()
    assert (first[folds == 0] != second[folds == 0]).any()


def test_noise_is_regularised_most_and_signal_less() -> None:
    vectors, groups, rng = data(per_group=20)
    folds = group_folds(groups, 3, rng)
    noise = (rng.random((120, 1)) < 0.5).astype(float)
    signal = (vectors[:, :1] > 0).astype(float)
    chosen = [
        held_out_scores([whole(vectors)], target, groups, folds, False, np.random.default_rng(0)).strengths
        for target in (noise, signal)
    ]
    assert max(chosen[0]) < min(chosen[1])


def test_fits_that_run_out_of_iterations_are_counted_not_hidden() -> None:
    vectors, groups, rng = data()
    folds = group_folds(groups, 3, rng)
    target = (vectors[:, :1] > 0).astype(float)
    short = LinearSettings(max_iterations=1)
    assert held_out_scores([whole(vectors)], target, groups, folds, False, rng, short).num_unconverged > 0
    assert held_out_scores([whole(vectors)], target, groups, folds, False, rng).num_unconverged == 0


def test_two_groups_train_on_one_and_take_the_strongest_regularisation() -> None:
    vectors, groups, rng = data(num_groups=2)
    folds = group_folds(groups, 5, rng)
    target = (vectors[:, :1] > 0).astype(float)
    found = held_out_scores([whole(vectors)], target, groups, folds, False, rng)
    assert found.strengths == (0.01, 0.01)


def test_a_class_with_one_side_in_the_training_part_scores_its_share() -> None:
    vectors, groups, rng = data(num_groups=2)
    folds = group_folds(groups, 2, rng)
    target = np.array([[float(group == "g0")] for group in groups])
    found = held_out_scores([whole(vectors)], target, groups, folds, False, rng)
    assert np.unique(found.scores).tolist() == pytest.approx([-np.log(11), np.log(11)])


def alternatives(seed: int = 0) -> tuple[list[ClipVectors], np.ndarray, list[str], np.ndarray]:
    """Two noisy views of a hidden number, the second the better one; the target says whether it is above zero."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(120, 1))
    groups = [f"g{number}" for number in range(12) for _ in range(10)]
    views = [(hidden + noise * rng.normal(size=(120, 8))).astype(np.float32) for noise in (6.0, 1.0)]
    return [whole(view) for view in views], (hidden > 0).astype(float), groups, group_folds(groups, 4, rng)


@pytest.mark.parametrize("is_score", [True, False])
@pytest.mark.parametrize("pca_width", [None, 3])
def test_the_better_alternative_is_chosen_in_every_fold(is_score: bool, pca_width: int | None) -> None:
    views, target, groups, folds = alternatives()
    rng = np.random.default_rng(0)
    found = held_out_scores(views, target, groups, folds, is_score, rng, pca_width=pca_width)
    assert found.alternatives == (1, 1, 1, 1)
    alone = held_out_scores(views[1:], target, groups, folds, is_score, np.random.default_rng(0), pca_width=pca_width)
    assert (found.scores == alone.scores).all()
    assert found.strengths == alone.strengths


@pytest.mark.parametrize("pca_width", [None, 3])
@given(fold=st.integers(0, 3), seed=st.integers(0, 5), is_score=st.booleans())
@settings(max_examples=6, deadline=None)
def test_the_choice_never_sees_the_tested_clips(pca_width: int | None, fold: int, seed: int, is_score: bool) -> None:
    """Whatever becomes of a fold's vectors, flags and targets, its probe's choices and its other inputs stay."""
    views, target, groups, folds = alternatives(seed)
    tested = folds == fold
    rng = np.random.default_rng(seed)
    # The worse view becomes the perfect one, and the better one noise, where nobody may look.
    swapped_target = np.where(tested[:, None], 1 - target, target)
    swapped = [view.vectors.copy() for view in views]
    swapped[0][tested] = 100 * swapped_target[tested]
    swapped[1][tested] = rng.normal(size=(int(tested.sum()), 8))
    others = [ClipVectors(vectors=view, is_present=~tested | (rng.random(120) < 0.5)) for view in swapped]
    first, second = (
        held_out_scores(views, target, groups, folds, is_score, np.random.default_rng(1), pca_width=pca_width)
        for views, target in ((views, target), (others, swapped_target))
    )
    assert first.alternatives[fold] == second.alternatives[fold]
    assert first.strengths[fold] == second.strengths[fold]


def test_clips_of_no_fold_train_and_are_not_scored() -> None:
    views, target, groups, folds = alternatives()
    one_fold = np.where(folds == 0, 0, -1)
    found = held_out_scores(views, target, groups, one_fold, False, np.random.default_rng(0))
    assert (found.scores[folds != 0] == 0).all()
    every = held_out_scores(views, target, groups, folds, False, np.random.default_rng(0))
    assert (found.scores[folds == 0] == every.scores[folds == 0]).all()


def test_no_alternative_is_an_error() -> None:
    _, target, groups, folds = alternatives()
    with pytest.raises(ValueError, match="gives at least one"):
        held_out_scores([], target, groups, folds, False, np.random.default_rng(0))

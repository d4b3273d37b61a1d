"""Scores of whole titles: rank and correlation across titles, over held-out predictions of all folds together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, pearsonr

from mediafm.config import ProbeSettings
from mediafm.probes.across import across_titles, relative_to_training
from mediafm.probes.clips import Clip, ClipVectors, TaskClips
from mediafm.probes.design import PEARSON, TAU_ACROSS, TaskDesign, design_task
from mediafm.probes.labels import LabelKind
from mediafm.probes.measure import measure
from mediafm.probes.ranking import ROWS_AT_ONCE, weighted_correlation, weighted_tau
from mediafm.probes.vectors import Floats, Vectors, unit_rows

FAST = ProbeSettings(num_bootstrap=200)


@given(num_clips=st.integers(3, 30), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_they_are_the_usual_ones_and_a_draw_repeats_clips(num_clips: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, scores = rng.integers(0, 6, size=(2, num_clips)).astype(np.float64)
    target[:2], scores[:2] = (0, 1), (1, 0)
    weights = np.concatenate([np.ones((1, num_clips)), rng.integers(0, 3, size=(3, num_clips))])
    weights[:, :2] += 1  # targets differ in every draw, and so do scores
    repeated = [(np.repeat(target, w.astype(int)), np.repeat(scores, w.astype(int))) for w in weights]
    assert weighted_tau(target, scores, weights) == pytest.approx([kendalltau(*both).statistic for both in repeated])
    assert weighted_correlation(target, scores, weights) == pytest.approx([pearsonr(*both)[0] for both in repeated])


def test_many_clips_are_compared_block_by_block() -> None:
    rng = np.random.default_rng(0)
    target, scores = rng.normal(size=(2, ROWS_AT_ONCE + 70))
    found = weighted_tau(target, scores, np.ones((1, len(target))))
    assert found == pytest.approx([kendalltau(target, scores).statistic])


@pytest.mark.parametrize("statistic", [weighted_tau, weighted_correlation])
def test_equal_scores_rank_nothing_and_equal_targets_cannot_be_ranked(statistic: object) -> None:
    assert callable(statistic)
    varied, alike = np.array([1.0, 2.0, 4.0]), np.full(3, 0.1)
    one_clip = np.array([[0.0, 3.0, 0.0]])
    assert statistic(varied, alike, np.ones((1, 3))).tolist() == [0.0]
    assert np.isnan(statistic(alike, varied, np.ones((1, 3)))).all()
    assert np.isnan(statistic(varied, varied, one_clip)).all()


def test_predictions_are_told_from_the_training_parts_mean() -> None:
    target, folds = np.array([0.0, 2.0, 10.0, 30.0]), np.array([0, 0, 1, 1])
    # Fold 0 trains on 10 and 30 (mean 20, deviation 10), fold 1 on 0 and 2 (mean 1, deviation 1).
    assert relative_to_training(np.array([20.0, 30.0, 1.0, 0.0]), target, folds).tolist() == [0.0, 1.0, 0.0, -1.0]
    assert relative_to_training(np.ones(4), target, np.array([0, 0, -1, -1]))[2:].tolist() == [0.0, 0.0]


def scored(num_titles: int, seed: int, knows: float) -> tuple[TaskClips, Vectors]:
    """One clip a title; the score is a direction of the vector, `knows` of it."""
    rng = np.random.default_rng(seed)
    vectors = unit_rows(rng.normal(size=(num_titles, 8)))
    scores = 3 + knows * 8**0.5 * vectors[:, 0] + (1 - knows) * rng.normal(size=num_titles)
    clips = tuple(
        Clip(
            title_id=f"t{number}",
            group_id=f"g{number}",
            shot_index=np.zeros(1, dtype=np.int64),
            weight=np.ones(1),
            value=float(score),
            where="",
        )
        for number, score in enumerate(scores)
    )
    return TaskClips(task=f"trait-{seed}", kind=LabelKind.SCORE, clips=clips, dropped=()), vectors


def measured(design: TaskDesign, vectors: Vectors) -> dict[str, tuple[float, float, float]]:
    features = ClipVectors(vectors=vectors, is_present=np.ones(len(vectors), dtype=np.bool_))
    found = measure(design, [features]).measured
    return {name: (one.interval.value, one.interval.low or 0.0, one.chance) for name, one in found.items()}


def test_what_vectors_know_of_titles_is_found() -> None:
    task, vectors = scored(60, seed=0, knows=0.8)
    found = measured(design_task(task, FAST), vectors)
    assert set(found) == {TAU_ACROSS, PEARSON}
    assert all(value > low > chance == 0.0 for value, low, chance in found.values())
    assert found[PEARSON][0] > found[TAU_ACROSS][0] > 0.5


def test_test_groups_alone_are_ranked() -> None:
    task, vectors = scored(60, seed=0, knows=0.8)
    design = design_task(task, FAST, test_groups=[f"g{number}" for number in range(20)])
    predicted: Floats = np.where(design.is_tested[:, None], design.target, -1e6)
    assert across_titles(design, predicted, TAU_ACROSS)[0] == pytest.approx(1.0)
    assert measured(design, vectors)[TAU_ACROSS][0] > 0.4


def test_vectors_that_know_nothing_are_at_zero_on_the_average() -> None:
    """Raw held-out predictions of noise are far below zero here: the training part's mean ranks folds backwards."""
    values, raw = [], []
    for seed in range(30):
        task, vectors = scored(12, seed=seed, knows=0.0)
        design = design_task(task, FAST)
        values.append(measured(design, vectors)[PEARSON][0])
        means = [design.target[design.folds != fold, 0].mean() for fold in design.folds]
        raw.append(pearsonr(design.target[:, 0], means)[0])
    assert np.mean(raw) < -0.5
    assert abs(np.mean(values)) < 3 * np.std(values) / len(values) ** 0.5


def test_a_feature_set_without_vectors_ranks_nothing() -> None:
    task, vectors = scored(20, seed=1, knows=1.0)
    absent = ClipVectors(vectors=np.zeros_like(vectors), is_present=np.zeros(len(vectors), dtype=np.bool_))
    found = measure(design_task(task, FAST), [absent]).measured
    assert [one.interval.value for one in found.values()] == [0.0, 0.0]

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.train.evaluation import unit_rows
from mediafm.train.predictors import NUM_OFFSETS, PREDICTORS, TrivialPredictors, features_of, fit

X, Y = np.eye(2, dtype=np.float32)
CORPUS_MEAN = unit_rows(np.array([[1.0, 1.0]], np.float32))[0]
NO_SCALARS = np.zeros(2 * NUM_OFFSETS + 2)


def predict(rows, is_masked, scalars=NO_SCALARS):
    is_masked = np.array(is_masked, bool)
    return TrivialPredictors(CORPUS_MEAN, scalars).predict(np.array(rows, np.float32), ~is_masked, is_masked)


def test_predictions_by_hand():
    found = predict([X, X, Y, Y, Y, Y], [0, 1, 0, 1, 1, 0])
    assert np.allclose(found["corpus_mean"], [CORPUS_MEAN] * 3)
    assert np.allclose(found["title_mean"], [unit_rows((X + 2 * Y)[None])[0]] * 3)
    # Shot 1 lies as near to 0 as to 2: the earlier counts. Shot 3 is nearest to 2, shot 4 to 5.
    assert np.allclose(found["nearest"], [X, Y, Y])
    assert np.allclose(found["interpolation"][0], (X + Y) / 2)
    assert np.allclose(found["interpolation"][1:], [Y, Y])


def test_interpolation_weighs_by_distance_and_edges_take_the_only_neighbour():
    found = predict([Y, X, Y, Y, Y], [1, 0, 1, 1, 0])
    assert np.allclose(found["interpolation"], [X, X * 2 / 3 + Y / 3, X / 3 + Y * 2 / 3])
    assert np.allclose(found["nearest"][0], X)


def test_a_window_without_a_visible_shot_falls_back_to_the_corpus():
    found = predict([X], [1])
    for name in ("corpus_mean", "title_mean", "nearest", "interpolation"):
        assert np.allclose(found[name], CORPUS_MEAN), name
    assert set(found) == set(PREDICTORS)


def test_features_by_hand():
    rows = unit_rows(np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32))
    is_target = np.arange(30) == 12
    found = features_of(rows, ~is_target, is_target, rows[0])[0]
    assert np.allclose(found[:NUM_OFFSETS], rows[11:3:-1])
    assert np.allclose(found[NUM_OFFSETS : 2 * NUM_OFFSETS], rows[13:21])
    assert np.allclose(found[-2], unit_rows(np.delete(rows, 12, 0).sum(0, keepdims=True))[0], atol=1e-6)
    assert np.allclose(found[-1], rows[0])


@given(st.integers(2, 40), st.integers(0, 10**6))
def test_only_visible_shots_are_read(num_shots, seed):
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng.normal(size=(num_shots, 2)).astype(np.float32))
    is_masked = rng.random(num_shots) < 0.4
    is_masked[0] = True
    other = rows.copy()
    other[is_masked] = rng.normal(size=(int(is_masked.sum()), 2))
    scalars = rng.normal(size=NO_SCALARS.shape)
    one, two = predict(rows, is_masked, scalars), predict(other, is_masked, scalars)
    assert all(np.array_equal(one[name], two[name]) for name in PREDICTORS)


def test_the_regression_finds_the_scalars_that_made_the_data():
    rng = np.random.default_rng(0)
    windows = []
    for _ in range(30):
        rows = unit_rows(rng.normal(size=(40, 16)).astype(np.float32))
        is_target = np.zeros(40, bool)
        is_target[5::10] = True
        rows[5::10] = 0.7 * rows[4::10] + 0.3 * rows[6::10]
        windows.append((rows, ~is_target, is_target))
    scalars = fit(windows, rows[0]).scalars
    assert scalars[0] == pytest.approx(0.7, abs=0.02)
    assert scalars[NUM_OFFSETS] == pytest.approx(0.3, abs=0.02)
    assert np.abs(np.delete(scalars, [0, NUM_OFFSETS])).max() < 0.05

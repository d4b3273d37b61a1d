import numpy as np
from sklearn.linear_model import Ridge

from benchmarks.context_ridge import PENALTIES, one_hot, ridge_scores
from mediafm.probes.folds import group_folds


def problem(num_rows: int = 300, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(num_rows, 20)) * np.arange(1, 21) + 5).astype(np.float32)
    label = (rows[:, :3] / np.arange(1, 4) + noise * rng.normal(size=(num_rows, 3))).argmax(axis=1)
    return rows, one_hot(label, 3), group_folds([str(i // 10) for i in range(num_rows)], 3, rng)


def test_scores_are_those_of_ridge_regression_on_standardised_rows():
    rows, target, folds = problem()
    found = ridge_scores(rows[:200], target[:200], folds[:200], rows[200:])
    mean, deviation = rows[:200].mean(axis=0), rows[:200].std(axis=0)
    model = Ridge(alpha=found.penalty * 200).fit((rows[:200] - mean) / deviation, target[:200])
    # Second moments are summed in float32: about six digits.
    assert np.allclose(found.tested, model.predict((rows[200:] - mean) / deviation), atol=1e-4)


def test_the_penalty_grows_with_the_noise():
    penalties = []
    for noise in (0.1, 30.0):
        rows, target, folds = problem(noise=noise)
        penalties.append(ridge_scores(rows, target, folds, rows).penalty)
    assert penalties[0] < penalties[1]


def test_inner_scores_come_from_fits_without_the_row():
    """A random target is fitted on the rows themselves, and unknown without them."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 50)).astype(np.float32)
    target = one_hot(rng.integers(0, 2, size=60), 2)
    found = ridge_scores(rows, target, np.arange(60) % 3, rows)
    assert np.corrcoef(found.tested[:, 0], target[:, 0])[0, 1] > 0.6
    assert np.corrcoef(found.inner[:, 0], target[:, 0])[0, 1] < 0.4


def test_one_group_takes_the_greatest_penalty_and_constant_columns_say_nothing():
    rows, target, _ = problem()
    rows = np.concatenate([rows, np.full((len(rows), 1), 7.0, np.float32)], axis=1)
    found = ridge_scores(rows, target, np.zeros(len(rows), np.int64), rows)
    assert found.penalty == PENALTIES[-1]
    assert np.isfinite(found.tested).all()


def test_two_classes_are_one_column():
    assert one_hot(np.array([0, 1, 1]), 2).tolist() == [[0.0], [1.0], [1.0]]
    assert one_hot(np.array([2, 0]), 3).tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]

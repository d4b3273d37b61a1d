import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.train.ridge import PENALTIES, UNCHOSEN_PENALTY, RidgeSums, halves_of


def draw(num_rows, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(num_rows, 6)).astype(np.float32)
    weights = np.random.default_rng(9).normal(size=(6, 3))
    targets = inputs @ weights + 2.0 + noise * rng.normal(size=(num_rows, 3))
    return inputs, targets.astype(np.float32)


def fitted(inputs, targets, cut):
    sums = RidgeSums(inputs.shape[1], targets.shape[1])
    sums.add(0, inputs[:cut], targets[:cut])
    sums.add(1, inputs[cut:], targets[cut:])
    return sums.fit()


def plain(inputs, targets, penalty):
    """The same by centred normal equations on all rows at once."""
    x, y = inputs - inputs.mean(axis=0, dtype=np.float64), targets - targets.mean(axis=0, dtype=np.float64)
    gram = x.T @ x
    weights = np.linalg.solve(gram + penalty * np.trace(gram) / len(gram) * np.eye(len(gram)), x.T @ y)
    return x @ weights + targets.mean(axis=0, dtype=np.float64)


def test_a_linear_map_is_found_with_its_offset():
    inputs, targets = draw(200)
    ridge = fitted(inputs, targets, 100)
    assert ridge.penalty == min(PENALTIES)
    assert ridge.held_out == pytest.approx(1.0, abs=1e-6)
    assert np.allclose(ridge.predict(inputs), targets, atol=1e-3)


@given(st.integers(10, 190), st.integers(0, 5))
def test_streaming_equals_all_rows_at_once(cut, seed):
    inputs, targets = draw(200, seed, noise=1.0)
    ridge = fitted(inputs, targets, cut)
    assert np.allclose(ridge.predict(inputs), plain(inputs, targets, ridge.penalty), atol=1e-4)


def test_the_order_and_the_size_of_additions_move_nothing_but_rounding():
    inputs, targets = draw(100, noise=0.5)
    whole, dealt = fitted(inputs, targets, 60), RidgeSums(6, 3)
    for start in (90, 60, 0, 30):
        dealt.add(int(start >= 60), inputs[start : start + 30], targets[start : start + 30])
    assert dealt.num_rows == 100
    assert np.allclose(dealt.fit().predict(inputs), whole.predict(inputs), atol=1e-5)


def test_the_penalty_is_the_one_that_the_other_half_likes():
    inputs, targets = draw(60, noise=6.0)
    errors = {}
    for penalty in PENALTIES:
        errors[penalty] = 0.0
        for one, other in ((slice(0, 30), slice(30, 60)), (slice(30, 60), slice(0, 30))):
            x, y = inputs[one] - inputs[one].mean(axis=0), targets[one] - targets[one].mean(axis=0)
            gram = x.T @ x
            weights = np.linalg.solve(gram + penalty * np.trace(gram) / 6 * np.eye(6), x.T @ y)
            told = (inputs[other] - inputs[one].mean(axis=0)) @ weights + targets[one].mean(axis=0)
            errors[penalty] += np.square(told - targets[other]).sum()
    assert fitted(inputs, targets, 30).penalty == min(errors, key=errors.__getitem__)


def test_what_tells_nothing_is_shrunk_away():
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(200, 6)).astype(np.float32), rng.normal(size=(200, 3)).astype(np.float32)
    noise = fitted(inputs, targets, 100)
    assert noise.penalty == max(PENALTIES)
    assert noise.held_out < 0.02
    constant = fitted(np.ones_like(inputs), targets, 100)
    assert np.allclose(constant.predict(np.ones_like(inputs)), targets.mean(axis=0), atol=1e-5)
    assert constant.held_out == pytest.approx(0.0, abs=1e-9)


def test_one_half_alone_chooses_nothing():
    inputs, targets = draw(50)
    ridge = fitted(inputs, targets, 50)
    assert (ridge.penalty, ridge.held_out) == (UNCHOSEN_PENALTY, None)


def test_no_group_lies_in_both_halves():
    assert halves_of(["c", "a", "b", "a"]) == {"a": 0, "b": 1, "c": 0}

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mediafm.objective.masking import draw_mask, num_masked


@given(st.integers(1, 512), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_a_mask_hides_exactly_its_number_and_at_least_one(num_shots, share, seed):
    is_masked = draw_mask(num_shots, share, np.random.default_rng(seed))
    assert is_masked.shape == (num_shots,)
    assert is_masked.sum() == num_masked(num_shots, share)
    assert 1 <= is_masked.sum() <= num_shots


def test_the_published_fifth():
    assert [num_masked(n, 0.2) for n in (1, 2, 5, 7, 8, 25, 512)] == [1, 1, 1, 1, 2, 5, 102]


def test_every_shot_is_masked_equally_often():
    rng = np.random.default_rng(0)
    counts = sum(draw_mask(20, 0.2, rng).astype(int) for _ in range(4000))
    # 4000 draws of 4 in 20: 800 each, standard deviation 25.
    assert np.abs(counts - 800).max() < 125


def test_the_same_generator_draws_the_same_mask():
    assert np.array_equal(*(draw_mask(50, 0.2, np.random.default_rng(7)) for _ in range(2)))

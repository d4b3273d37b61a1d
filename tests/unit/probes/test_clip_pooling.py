"""Shots' vectors become a clip's: the mean by overlap, the greatest of each coordinate, or what two shots differ by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.probes.clip_pooling import Pooling, pair_vector, pool_shots
from mediafm.probes.vectors import unit_rows

SHOTS = np.array([[3, 4], [0, 2], [7, 7]], dtype=np.float32)
SEEN = np.array([True, True, False])
SECONDS = np.array([1.0, 2.0, 50.0])


def test_the_mean_weighs_by_overlap_and_the_greatest_is_of_unit_vectors() -> None:
    mean = np.array([3.0, 8.0]) / np.hypot(3.0, 8.0)
    greatest = np.array([0.6, 1.0]) / np.hypot(0.6, 1.0)
    assert pool_shots(SHOTS, SEEN, SECONDS, Pooling.MEAN) == pytest.approx(mean, abs=1e-6)
    assert pool_shots(SHOTS, SEEN, SECONDS, Pooling.MAX) == pytest.approx(greatest, abs=1e-6)
    assert pool_shots(SHOTS, SEEN, SECONDS * 9, Pooling.MAX) == pytest.approx(greatest, abs=1e-6)


@pytest.mark.parametrize("pooling", Pooling)
def test_without_a_present_shot_there_is_no_vector(pooling: Pooling) -> None:
    assert pool_shots(SHOTS[:2], np.zeros(2, dtype=bool), SECONDS[:2], pooling) is None


def test_a_pair_with_one_absent_shot_has_no_vector() -> None:
    assert pool_shots(SHOTS[1:], SEEN[1:], SECONDS[1:], Pooling.PAIR) is None


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 20))
def test_a_pair_says_the_cosine_and_the_distance_and_has_no_order(seed: int, width: int) -> None:
    first, second = unit_rows(np.random.default_rng(seed).normal(size=(2, width)))
    pair = pair_vector(first, second)
    assert len(pair) == Pooling.PAIR.width(width)
    assert pair[width:].sum() == pytest.approx(float(first @ second), abs=1e-5)
    assert np.linalg.norm(pair[:width]) == pytest.approx(float(np.linalg.norm(first - second)), abs=1e-5)
    assert (pair == pair_vector(second, first)).all()

"""Families joined: the share of each in a cosine is its weight squared, whatever its scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.encoders.joining import centred, join, signed_root


@settings(deadline=None)
@given(st.floats(0.5, 1e6), st.floats(0.1, 10))
def test_the_scale_of_a_family_does_not_matter(scale: float, weight: float) -> None:
    first, second = np.array([3, 4], np.float32), np.array([1, 0, 0], np.float32)
    joined = join((1.0, first * np.float32(scale)), (weight, second))
    np.testing.assert_allclose(joined[:2], [0.6, 0.8], rtol=1e-2)
    assert np.linalg.norm(joined[2:]) == pytest.approx(weight, rel=1e-2)
    assert joined.dtype == np.float32


def test_an_empty_family_stays_empty() -> None:
    noise = np.full(4, 1e-9, np.float32)
    assert np.abs(join((1.0, noise))).max() < 1e-5


def test_a_weight_of_zero_leaves_a_family_out() -> None:
    assert not join((0.0, np.ones(3, np.float32))).any()


def test_roots_keep_their_sign() -> None:
    np.testing.assert_allclose(signed_root(np.array([-4.0, 0.0, 9.0])), [-2, 0, 3])


def test_centring_leaves_no_common_part() -> None:
    assert centred(np.array([1.0, 2.0, 6.0])).sum() == pytest.approx(0, abs=1e-6)

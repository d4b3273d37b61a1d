"""Features without a model, against loops that read like their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from mediafm.probes.features import every_shot_alike, mean_around, minus_title_mean, own
from mediafm.probes.vectors import TitleVectors


def title(num_shots: int = 9, title_id: str = "t") -> TitleVectors:
    rng = np.random.default_rng(0)
    return TitleVectors(
        title_id=title_id,
        vectors=rng.normal(size=(num_shots, 4)).astype(np.float32),
        is_present=np.arange(num_shots) % 4 != 0,
    )


@pytest.mark.parametrize("reach", [0, 1, 3, 50])
def test_the_mean_around_is_of_the_present_shots_around(reach: int) -> None:
    one = title()
    found = mean_around(one, reach)
    assert found.width == 4
    for shot in range(9):
        around = [i for i in range(9) if abs(i - shot) <= reach and one.is_present[i]]
        assert found.is_present[shot] == bool(around)
        if around:
            mean = one.vectors[around].mean(axis=0)
            assert found.vectors[shot] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_what_stands_in_absent_rows_is_in_no_mean() -> None:
    one = title()
    filled = TitleVectors(
        title_id="t", vectors=np.where(one.is_present[:, None], one.vectors, 1e6), is_present=one.is_present
    )
    assert (mean_around(filled, 2).vectors == mean_around(one, 2).vectors).all()
    assert own(one) is one


def test_minus_the_title_mean_leaves_no_mean() -> None:
    found = minus_title_mean(title())
    assert found.vectors[found.is_present].mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-6)
    nothing = TitleVectors(title_id="t", vectors=np.ones((2, 3), dtype=np.float32), is_present=np.zeros(2, dtype=bool))
    assert minus_title_mean(nothing) is nothing


def test_every_shot_may_bear_the_title_s_vector() -> None:
    found = every_shot_alike("t", np.array([3.0, 4.0]), 5, True)
    assert (found.width, found.num_shots, found.is_present.all()) == (2, 5, True)
    assert found.vectors.tolist() == [[3.0, 4.0]] * 5

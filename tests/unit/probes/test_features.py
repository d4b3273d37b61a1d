"""Features without a model, against loops that read like their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from mediafm.errors import LineageMismatchError
from mediafm.probes.features import every_shot_alike, minus_title_mean, neighbourhood_mean, side_by_side
from mediafm.probes.vectors import TitleVectors


def title(num_shots: int = 9, title_id: str = "t") -> TitleVectors:
    rng = np.random.default_rng(0)
    return TitleVectors(
        title_id=title_id,
        vectors=rng.normal(size=(num_shots, 4)).astype(np.float32),
        is_present=np.arange(num_shots) % 4 != 0,
    )


@pytest.mark.parametrize("reach", [0, 1, 3, 50])
def test_the_neighbourhood_is_the_present_shots_around(reach: int) -> None:
    one = title()
    found = neighbourhood_mean(one, reach)
    assert found.width == 8
    for shot in range(9):
        around = [i for i in range(9) if abs(i - shot) <= reach and one.is_present[i]]
        assert found.is_present[shot] == bool(around)
        if around:
            mean = one.vectors[around].mean(axis=0)
            assert found.vectors[shot, 4:] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
        own = one.vectors[shot] / np.linalg.norm(one.vectors[shot]) if one.is_present[shot] else np.zeros(4)
        assert found.vectors[shot, :4] == pytest.approx(own, abs=1e-6)


def test_minus_the_title_mean_leaves_no_mean() -> None:
    found = minus_title_mean(title())
    assert found.vectors[found.is_present].mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-6)
    nothing = TitleVectors(title_id="t", vectors=np.ones((2, 3), dtype=np.float32), is_present=np.zeros(2, dtype=bool))
    assert minus_title_mean(nothing) is nothing


def test_side_by_side_is_present_where_any_part_is() -> None:
    one, other = title(), every_shot_alike("t", np.array([3.0, 4.0]), 9, True)
    found = side_by_side([one, other])
    assert (found.width, found.is_present.all()) == (6, True)
    assert found.vectors[0].tolist() == pytest.approx([0, 0, 0, 0, 0.6, 0.8])


@pytest.mark.parametrize("others", [[title(8)], [title(9, "u")]])
def test_parts_of_other_shots_are_refused(others: list[TitleVectors]) -> None:
    with pytest.raises(LineageMismatchError, match="side by side when they are of the same shots"):
        side_by_side([title(), *others])

from __future__ import annotations

import numpy as np
import pytest

from mediafm.errors import MediaFMError, NotFoundError
from mediafm.probes.vectors import TitleShots, TitleVectors, unit_rows
from mediafm.types import Span


def shots() -> TitleShots:
    return TitleShots(
        title_id="t", group_id="g", start_seconds=np.array([0.0, 2.0, 5.0]), end_seconds=np.array([2.0, 5.0, 9.0])
    )


def test_overlap_is_by_time() -> None:
    assert shots().overlap_seconds(Span(1.0, 6.0)).tolist() == [1.0, 3.0, 1.0]
    assert shots().overlap_seconds(Span(9.0, 10.0)).tolist() == [0.0, 0.0, 0.0]


def test_starts_and_ends_must_agree() -> None:
    with pytest.raises(MediaFMError, match="one start and one end each"):
        TitleShots(title_id="t", group_id="g", start_seconds=np.zeros(2), end_seconds=np.zeros(3))


def test_rows_are_put_where_their_shots_stand() -> None:
    found = TitleVectors.from_rows("t", np.array([2, 0]), np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float16), 4)
    assert found.is_present.tolist() == [True, False, True, False]
    assert found.vectors.tolist() == [[3, 4], [0, 0], [1, 2], [0, 0]]
    assert found.vectors.dtype == np.float32


@pytest.mark.parametrize("index", [[0, 0], [-1, 1], [1, 4]])
def test_indexes_the_title_does_not_have_are_refused(index: list[int]) -> None:
    with pytest.raises(NotFoundError, match="shots 0 to 3, each at most once"):
        TitleVectors.from_rows("t", np.array(index), np.zeros((2, 3)), 4)


def test_nan_is_refused_where_it_would_be_read_only() -> None:
    vectors = np.array([[np.nan], [1.0]], dtype=np.float32)
    TitleVectors(title_id="t", vectors=vectors, is_present=np.array([False, True]))
    with pytest.raises(MediaFMError, match="stored vectors are finite"):
        TitleVectors(title_id="t", vectors=vectors, is_present=np.array([True, True]))


def test_flags_must_agree_with_vectors() -> None:
    with pytest.raises(MediaFMError, match=r"vectors \[N, W\] and flags \[N\]"):
        TitleVectors(title_id="t", vectors=np.zeros((2, 3), dtype=np.float32), is_present=np.ones(3, dtype=bool))


def test_unit_rows_keep_zeros() -> None:
    assert unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == pytest.approx(
        np.array([[0.6, 0.8], [0.0, 0.0]]), abs=1e-6
    )

"""Exact search against a sort of everything, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mediafm.search as search_module
from mediafm.errors import IntegrityError, LineageMismatchError, MediaFMError
from mediafm.search import FIRST_NOT_HALF, Hit, StoredVectors, nearest, widened


def catalogue(rng: np.random.Generator, sizes: list[int], width: int = 6) -> list[StoredVectors]:
    return [
        StoredVectors(
            title_id=f"title-{number}",
            shot_index=np.arange(size),
            vectors=rng.normal(size=(size, width)).astype(np.float16),
            producer="abc",
        )
        for number, size in enumerate(sizes)
    ]


def sorted_everything(query: np.ndarray, titles: list[StoredVectors]) -> list[tuple[float, str, int]]:
    rows = []
    for title in titles:
        wide = title.vectors.astype(np.float64)
        cosine = wide @ query / np.linalg.norm(wide, axis=1) / np.linalg.norm(query)
        rows += [(-float(c), title.title_id, int(i)) for c, i in zip(cosine, title.shot_index, strict=True)]
    return sorted(rows)


@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(0, 30), max_size=5), k=st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_the_best_k_are_those_of_a_full_sort(seed: int, sizes: list[int], k: int) -> None:
    rng = np.random.default_rng(seed)
    titles = catalogue(rng, sizes)
    query = rng.normal(size=6)
    hits = nearest(query, titles, k)
    expected = sorted_everything(query, titles)[:k]
    assert len(hits) == len(expected)
    assert [hit.score for hit in hits] == pytest.approx([-row[0] for row in expected], abs=2e-6)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_equal_scores_are_ordered_by_title_and_shot_in_whatever_order_titles_come() -> None:
    same = [
        StoredVectors(title_id=name, shot_index=np.arange(4), vectors=np.ones((4, 3), dtype=np.float16))
        for name in "cab"
    ]
    hits = nearest(np.ones(3), same, 5)
    assert [(hit.title_id, hit.shot_index) for hit in hits] == [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("b", 0)]
    assert hits == nearest(np.ones(3), same[::-1], 5)


def test_excluded_and_absent_shots_are_never_found() -> None:
    vectors = np.array([[1, 0], [0, 0], [1, 1]], dtype=np.float16)
    title = StoredVectors(title_id="t", shot_index=np.array([4, 5, 6]), vectors=vectors)
    assert nearest(np.array([1.0, 0.0]), [title], 9, exclude=[("t", 4), ("other", 6)]) == [
        Hit("t", 6, pytest.approx(0.707107))
    ]


def test_long_titles_are_read_in_parts_with_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    titles = catalogue(rng, [100, 57])
    whole = nearest(titles[0].vectors[3], titles, 7)
    monkeypatch.setattr(search_module, "ROWS_AT_ONCE", 9)
    assert nearest(titles[0].vectors[3], titles, 7) == whole
    assert (whole[0].title_id, whole[0].shot_index, whole[0].score) == ("title-0", 3, 1.0)


def test_titles_are_read_one_at_a_time() -> None:
    alive: list[int] = []

    def stream() -> Iterator[StoredVectors]:
        for number in range(3):
            alive.append(number)
            yield StoredVectors(title_id=str(number), shot_index=np.arange(2), vectors=np.eye(2, dtype=np.float32))

    assert len(nearest(np.array([1.0, 0.0]), stream(), 2)) == 2
    assert alive == [0, 1, 2]


@pytest.mark.parametrize("producer", ["", "abc"])
def test_another_width_is_refused(producer: str) -> None:
    with pytest.raises(LineageMismatchError, match="6 wide by abc"):
        nearest(np.ones(5), catalogue(np.random.default_rng(0), [3]), 1, producer=producer)


def test_another_producer_is_refused_with_the_title() -> None:
    with pytest.raises(LineageMismatchError, match=r"title title-0.*compared with its own kind"):
        nearest(np.ones(6), catalogue(np.random.default_rng(0), [3]), 1, producer="def")


@pytest.mark.parametrize("query", [np.zeros(3), np.array([1.0, np.nan, 0.0]), np.ones((1, 3))])
def test_a_query_that_is_no_direction_is_refused(query: np.ndarray) -> None:
    with pytest.raises(MediaFMError, match="one finite vector that is not zero"):
        nearest(query, [], 1)


def test_k_below_one_is_refused() -> None:
    with pytest.raises(MediaFMError, match="at least one shot"):
        nearest(np.ones(3), [], 0)


def test_a_stored_nan_is_an_integrity_error() -> None:
    title = StoredVectors(title_id="t", shot_index=np.arange(1), vectors=np.array([[np.nan, 1.0]]))
    with pytest.raises(IntegrityError, match="title t: a vector with NaN"):
        nearest(np.ones(2), [title], 1)


def test_every_float16_is_widened_exactly_and_what_is_not_finite_is_seen() -> None:
    half = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(256, 256)
    wide, is_finite = widened(half), np.isfinite(half)
    assert wide.dtype == np.float32
    assert (wide[is_finite] == half.astype(np.float32)[is_finite]).all()
    assert (np.abs(wide[~is_finite]) >= FIRST_NOT_HALF).all()
    assert (widened(half[::2, ::3]) == wide[::2, ::3]).all()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_stored_float16_that_is_not_finite_is_an_integrity_error(bad: float) -> None:
    title = StoredVectors(title_id="t", shot_index=np.arange(2), vectors=np.array([[1, 0], [bad, 1]], dtype=np.float16))
    with pytest.raises(IntegrityError, match="stored vectors are finite"):
        nearest(np.ones(2), [title], 1)


def test_long_finite_vectors_are_found() -> None:
    vectors = np.full((1, 30), 65504, dtype=np.float16)
    title = StoredVectors(title_id="t", shot_index=np.arange(1), vectors=vectors)
    assert nearest(np.ones(30), [title], 1) == [Hit("t", 0, 1.0)]


def test_indexes_must_agree_with_vectors() -> None:
    with pytest.raises(MediaFMError, match="one shot index each"):
        StoredVectors(title_id="t", shot_index=np.arange(2), vectors=np.ones((3, 2), dtype=np.float32))

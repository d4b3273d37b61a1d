"""The neighbour measure against a slow one that reads like its definition, and its golden facts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.probes.neighbours import NeighbourSettings, neighbour_share
from mediafm.probes.vectors import TitleVectors


def title(vectors: np.ndarray, is_present: np.ndarray | None = None, title_id: str = "t") -> TitleVectors:
    present = np.ones(len(vectors), dtype=bool) if is_present is None else is_present
    return TitleVectors(title_id=title_id, vectors=vectors.astype(np.float32), is_present=present)


def slow_share(one: TitleVectors, within: int = 10) -> tuple[float, float]:
    """The definition, shot by shot."""
    present = [i for i in range(one.num_shots) if one.is_present[i]]
    hits, chances = [], []
    for i in present:
        others = [j for j in present if abs(i - j) > 1]
        if not others:
            continue
        cosines = [
            one.vectors[i] @ one.vectors[j] / np.linalg.norm(one.vectors[i]) / np.linalg.norm(one.vectors[j])
            for j in others
        ]
        hits.append(abs(others[int(np.argmax(cosines))] - i) <= within)
        chances.append(np.mean([abs(j - i) <= within for j in others]))
    return float(np.mean(hits)), float(np.mean(chances))


@given(num_shots=st.integers(14, 60), seed=st.integers(0, 2**32 - 1), share_present=st.floats(0.7, 1))
@settings(max_examples=20, deadline=None)
def test_the_measure_equals_its_definition(num_shots: int, seed: int, share_present: float) -> None:
    rng = np.random.default_rng(seed)
    one = title(rng.normal(size=(num_shots, 5)), rng.random(num_shots) < share_present)
    found = neighbour_share([one], NeighbourSettings(chunk_cells=100))
    if found.share is not None:
        assert (found.share, found.chance) == pytest.approx(slow_share(one), abs=1e-9)


def test_equal_vectors_give_exactly_chance() -> None:
    found = neighbour_share([title(np.ones((40, 3)))])
    assert found.share == pytest.approx(found.chance)


def test_scenes_are_found_and_random_vectors_are_at_chance() -> None:
    rng = np.random.default_rng(0)
    scenes = np.repeat(rng.normal(size=(12, 16)), 5, axis=0)
    good = neighbour_share([title(scenes + 0.1 * rng.normal(size=(60, 16)), title_id=str(i)) for i in range(3)])
    noise = neighbour_share([title(rng.normal(size=(60, 16)), title_id=str(i)) for i in range(20)])
    assert good.share == 1.0
    assert good.chance is not None
    assert good.chance < 0.4
    assert noise.low is not None
    assert noise.high is not None
    assert noise.chance is not None
    assert noise.low < noise.chance < noise.high


def test_titles_too_short_to_tell_are_left_out() -> None:
    rng = np.random.default_rng(0)
    found = neighbour_share([title(rng.normal(size=(n, 4))) for n in (0, 1, 2, 11, 30)])
    assert (found.num_titles, found.num_titles_left_out, found.num_shots) == (1, 4, 30)
    assert (found.low, found.high) == (None, None)


def test_nothing_to_ask_is_said() -> None:
    found = neighbour_share([])
    assert (found.share, found.chance, found.num_titles) == (None, None, 0)
    assert found.as_json()["share"] is None


def test_absent_shots_neither_ask_nor_answer() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(40, 4))
    is_present = np.arange(40) % 2 == 0
    vectors_changed = np.where(is_present[:, None], vectors, 99.0)
    assert neighbour_share([title(vectors, is_present)]) == neighbour_share([title(vectors_changed, is_present)])
    assert neighbour_share([title(vectors, is_present)]).num_shots == 20

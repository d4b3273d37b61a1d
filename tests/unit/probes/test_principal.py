"""PCA of a training part, by either Gram matrix, is the one of the singular values; tested clips take no part."""

from __future__ import annotations

import numpy as np
import pytest

from mediafm.probes.principal import Components


def clips(num_clips: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(num_clips, width)) * np.geomspace(3, 0.3, width) + 1).astype(np.float32)
    return vectors, rng.random(num_clips) < 0.8, np.arange(num_clips) % 3 != 0


@pytest.mark.parametrize(("num_clips", "width"), [(60, 12), (20, 90)])
def test_the_components_are_those_of_the_singular_values(num_clips: int, width: int) -> None:
    vectors, is_present, trains = clips(num_clips, width)
    found = Components(vectors, is_present).rows(trains, 4)
    seen = vectors[trains & is_present].astype(np.float64)
    _, _, axes = np.linalg.svd(seen - seen.mean(axis=0), full_matrices=False)
    expected = (vectors - seen.mean(axis=0)) @ axes[:4].T
    assert np.abs(found[is_present]) == pytest.approx(np.abs(expected[is_present]), abs=1e-4)
    assert (found[~is_present] == 0).all()


@pytest.mark.parametrize(("num_clips", "width"), [(60, 12), (20, 90)])
def test_what_is_tested_moves_no_component(num_clips: int, width: int) -> None:
    vectors, is_present, trains = clips(num_clips, width)
    changed = np.where(trains[:, None], vectors, 50).astype(np.float32)
    first, second = (Components(each, is_present).rows(trains, 4) for each in (vectors, changed))
    assert first[trains] == pytest.approx(second[trains], abs=1e-5)


def test_components_that_are_not_there_are_zeros() -> None:
    plane = np.outer(np.arange(9.0), [3, 4, 0, 0, 0]).astype(np.float32)
    every = np.ones(9, dtype=bool)
    found = Components(plane, every).rows(every, 3)
    assert np.abs(found[:, 0]) == pytest.approx(np.abs(np.arange(9) - 4) * 5, abs=1e-4)
    assert (found[:, 1:] == 0).all()
    assert (Components(plane, np.arange(9) == 0).rows(every, 3) == 0).all()

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mediafm.data.masks import NUM_FOLDS, SPAN_SHOTS, random_folds, span_folds, windows_of


@given(st.integers(0, 50), st.integers(0, 3000), st.integers(1, 600))
def test_windows_cover_every_shot_once_and_are_near_equal(start, length, longest):
    windows = windows_of(start, start + length, longest)
    assert [shot for a, b in windows for shot in range(a, b)] == list(range(start, start + length))
    sizes = [b - a for a, b in windows]
    assert not sizes or (max(sizes) <= longest and max(sizes) - min(sizes) <= 1)


@given(st.integers(1, 600), st.text(max_size=5))
def test_random_folds_mask_every_shot_once_and_evenly(num_shots, seed):
    folds = random_folds(num_shots, seed)
    counts = np.bincount(folds, minlength=NUM_FOLDS)
    assert len(counts) == NUM_FOLDS
    assert counts.sum() == num_shots
    assert counts.max() - counts.min() <= 1


@given(st.integers(1, 600), st.text(max_size=5))
def test_span_folds_are_runs_dealt_evenly(num_shots, seed):
    folds = span_folds(num_shots, seed)
    counts = np.bincount(folds, minlength=NUM_FOLDS)
    assert len(folds) == num_shots
    assert counts.max() - counts.min() <= SPAN_SHOTS
    length = max(1, min(SPAN_SHOTS, num_shots // NUM_FOLDS))
    assert all(len(set(folds[i : i + length])) == 1 for i in range(0, num_shots, length))


def test_folds_are_golden():
    # They are stored with a manifest, and its sha256 covers them.
    assert random_folds(12, "a").tolist() != random_folds(12, "b").tolist()
    assert random_folds(10, "seed").tolist() == [0, 4, 3, 3, 2, 1, 4, 2, 0, 1]
    assert span_folds(20, "seed").tolist() == [4] * 4 + [3] * 4 + [0] * 4 + [2] * 4 + [1] * 4

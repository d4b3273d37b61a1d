from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mediafm.probes.folds import group_folds, held_out

GROUPS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60)


@given(groups=GROUPS, num_folds=st.integers(2, 6), seed=st.integers(0, 2**32 - 1))
def test_a_group_is_in_one_fold_and_every_clip_is_tested_once(groups: list[str], num_folds: int, seed: int) -> None:
    folds = group_folds(groups, num_folds, np.random.default_rng(seed))
    assert len({(group, int(fold)) for group, fold in zip(groups, folds, strict=True)}) == len(set(groups))
    assert set(folds.tolist()) == set(range(min(num_folds, len(set(groups)))))
    tested = np.sum([is_tested for _, is_tested in held_out(folds)], axis=0)
    assert (tested == 1).all()
    for trains, is_tested in held_out(folds):
        assert not (set(np.array(groups)[trains]) & set(np.array(groups)[is_tested]))


def test_folds_are_balanced_and_follow_the_seed() -> None:
    groups = [f"g{number}" for number in range(10) for _ in range(7)]
    folds = group_folds(groups, 5, np.random.default_rng(3))
    assert np.bincount(folds).tolist() == [14] * 5
    assert (folds == group_folds(groups, 5, np.random.default_rng(3))).all()
    assert (folds != group_folds(groups, 5, np.random.default_rng(4))).any()

"""Splits by group: clips of one group never stand on both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mediafm.probes.vectors import Flags, Indexes


def group_folds(groups: Sequence[str], num_folds: int, rng: np.random.Generator) -> Indexes:
    """The fold of each clip; int64 [C] from 0. Every group is in one fold, and folds are about equally large.

    Groups are shuffled, then the largest goes first, each into the fold that has the fewest clips. There are as many
    folds as groups if there are fewer groups than `num_folds`.
    """
    names, member, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    shuffled = rng.permutation(len(names))
    filled = np.zeros(min(num_folds, len(names)), dtype=np.int64)
    fold_of_group = np.zeros(len(names), dtype=np.int64)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of_group[group] = int(filled.argmin())
        filled[fold_of_group[group]] += sizes[group]
    folds: Indexes = fold_of_group[member]
    return folds


def held_out(folds: Indexes) -> Iterator[tuple[Flags, Flags]]:
    """For each fold: which clips train (bool [C]) and which are tested (bool [C])."""
    for fold in range(int(folds.max(initial=-1)) + 1):
        is_tested = folds == fold
        yield ~is_tested, is_tested

"""The evaluation masks: drawn once, stored with the manifest, the same for every checkpoint and predictor.

A mask set gives each shot one of five folds; pass f masks the shots of fold f, so five passes mask every shot exactly
once, a fifth of each window at a time. `random` folds scatter over the window; `span` folds are runs of neighbours.
Draws come from SHA-256 of salt, title and window: they depend on no library's generator.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

NUM_FOLDS = 5
SPAN_SHOTS = 5
"""Length of a run of masked shots in a span mask, where the window is long enough for five of them."""


def windows_of(start: int, end: int, max_shots: int) -> list[tuple[int, int]]:
    """`[start, end)` cut into the fewest windows of at most `max_shots`, near-equal, none overlapping."""
    length = end - start
    count = -(-length // max_shots)
    edges = [start + length * i // count for i in range(count + 1)] if count else []
    return list(pairwise(edges))


def random_folds(num_shots: int, seed_text: str) -> NDArray[np.int8]:
    """int8 [num_shots]: a random fold for each shot; the folds' sizes differ by at most one."""
    order = _shuffled(num_shots, seed_text)
    folds = np.empty(num_shots, np.int8)
    folds[order] = np.arange(num_shots) % NUM_FOLDS
    return folds


def span_folds(num_shots: int, seed_text: str) -> NDArray[np.int8]:
    """int8 [num_shots]: runs of neighbouring shots share a fold; runs are dealt to folds at random, evenly."""
    length = max(1, min(SPAN_SHOTS, num_shots // NUM_FOLDS))
    runs = np.arange(num_shots) // length
    num_runs = int(runs[-1]) + 1 if num_shots else 0
    fold_of_run = np.empty(num_runs, np.int8)
    for first in range(0, num_runs, NUM_FOLDS):
        size = min(NUM_FOLDS, num_runs - first)
        dealt = _shuffled(NUM_FOLDS, f"{seed_text}\x00{first}")[:size]
        fold_of_run[first : first + size] = dealt
    return fold_of_run[runs] if num_shots else fold_of_run


def _shuffled(count: int, seed_text: str) -> NDArray[np.int64]:
    """0 .. count-1 in the order of their digests."""
    prefix = hashlib.sha256(seed_text.encode())
    keys = []
    for item in range(count):
        digest = prefix.copy()
        digest.update(item.to_bytes(8, "big"))
        keys.append(digest.digest())
    return np.array(sorted(range(count), key=keys.__getitem__), np.int64)

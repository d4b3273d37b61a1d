"""Exact search, title by title, beside numpy on everything in memory at once.

Ours gets float16 title by title, as a store gives it. The first rival gets the same and puts it into one float32 matrix
for each query; the second holds that matrix, already of unit rows, for ever: the fastest that numpy can do, in memory
that grows with the catalogue. All must give equal answers.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.row import Row, alternate_seconds
from mediafm.search import StoredVectors, nearest

NUM_TITLES, SHOTS_PER_TITLE, WIDTH, K, REPEATS = 200, 500, 256, 10, 5
SEED = 0


def rows(catalog: Path | None) -> list[Row]:
    """`catalog` is not used: the data is made from a seed."""
    titles = _titles()
    query = titles[NUM_TITLES // 2].vectors[7].astype(np.float32)
    everything = _matrix(titles)
    _refuse_other_answers(titles, query, everything)
    ours, rival = alternate_seconds(
        lambda: nearest(query, iter(titles), K), lambda: _brute_force(query, everything), REPEATS
    )
    again, from_stored = alternate_seconds(
        lambda: nearest(query, iter(titles), K), lambda: _brute_force(query, _matrix(titles)), REPEATS
    )
    num_shots = len(everything)
    ours_bytes = _peak_bytes(lambda: nearest(query, _titles_anew(), K))
    shape = f"{num_shots:,} shots x {WIDTH}, best {K}"
    return [
        Row(
            name=f"search: {shape}",
            value=again,
            unit="s",
            rival="numpy, one float32 matrix per query",
            rival_value=from_stored,
            goal=1.0,
            better="lower",
        ),
        Row(
            name=f"search: {shape}",
            value=ours,
            unit="s",
            rival="numpy, one float32 matrix kept in memory",
            rival_value=rival,
            better="lower",
        ),
        Row(name="search: shots compared", value=num_shots / ours, unit="shots/s", better="higher"),
        Row(
            name=f"search: most memory at once, {shape}",
            value=ours_bytes / 1e6,
            unit="MB",
            rival="numpy, one float32 matrix kept in memory",
            rival_value=everything.nbytes / 1e6,
            goal=0.1,
            better="lower",
        ),
    ]


def _titles() -> list[StoredVectors]:
    return list(_titles_anew())


def _titles_anew() -> Iterator[StoredVectors]:
    """One title at a time, as a store would read them."""
    rng = np.random.default_rng(SEED)
    for number in range(NUM_TITLES):
        vectors = rng.standard_normal((SHOTS_PER_TITLE, WIDTH), dtype=np.float32)
        yield StoredVectors(
            title_id=f"title-{number:04d}",
            shot_index=np.arange(SHOTS_PER_TITLE),
            vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16),
        )


def _matrix(titles: list[StoredVectors]) -> NDArray[np.float32]:
    everything = np.concatenate([title.vectors for title in titles]).astype(np.float32)
    everything /= np.linalg.norm(everything, axis=1, keepdims=True)
    return everything


def _brute_force(query: NDArray[np.float32], everything: NDArray[np.float32]) -> list[tuple[int, float]]:
    score = everything @ (query / np.linalg.norm(query))
    best = np.argpartition(score, -K)[-K:]
    return [(int(row), float(score[row])) for row in best[np.argsort(-score[best])]]


def _refuse_other_answers(
    titles: list[StoredVectors], query: NDArray[np.float32], everything: NDArray[np.float32]
) -> None:
    ours = [(hit.title_id, hit.shot_index) for hit in nearest(query, iter(titles), K)]
    rival = [
        (titles[row // SHOTS_PER_TITLE].title_id, row % SHOTS_PER_TITLE) for row, _ in _brute_force(query, everything)
    ]
    if ours != rival:
        raise AssertionError(f"search and brute force disagree: {ours} and {rival}")


def _peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak

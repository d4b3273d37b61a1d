"""Requests within an endpoint's limits, vectors that were seen lately, and a bill that is shared out exactly."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.encoders.host import VectorCache

MAX_RECENT_BYTES = 32 * 1024**2
"""Vectors kept in memory: spares paying twice where there is no cache, and look-ups where there is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A piece of a text as it is sent.

    key: in the cache.
    num_tokens: as counted here, for limits and costs.
    weight: in the mean of its text's pieces; alike on every machine, whatever counts its tokens.
    """

    key: str
    text: str
    num_tokens: int
    weight: int


class Batches:
    """Gathers texts into requests that pass neither limit.

    Args:
        max_inputs: texts per request.
        max_tokens: tokens per request; a single text never has more.
    """

    def __init__(self, max_inputs: int, max_tokens: int) -> None:
        self._max_inputs = max_inputs
        self._max_tokens = max_tokens
        self._gathered: list[Wanted] = []
        self._num_tokens = 0

    def add(self, wanted: Wanted) -> list[Wanted]:
        """Takes a text in; the request that had no room for it is handed out, if there was one."""
        is_full = len(self._gathered) == self._max_inputs
        full = self.rest() if is_full or self._num_tokens + wanted.num_tokens > self._max_tokens else []
        self._gathered.append(wanted)
        self._num_tokens += wanted.num_tokens
        return full

    def rest(self) -> list[Wanted]:
        """What is gathered so far, handed out."""
        gathered, self._gathered, self._num_tokens = self._gathered, [], 0
        return gathered


class KnownVectors:
    """The host's cache behind a small memory of its own. Used by several threads.

    Args:
        cache: of the host; asked by one thread at a time.
        width: of the vectors; others under a key count as unknown.
    """

    def __init__(self, cache: VectorCache, width: int) -> None:
        self._cache = cache
        self._width = width
        self._recent: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._max_recent = max(1, MAX_RECENT_BYTES // (4 * width))
        self._lock = threading.Lock()

    def get(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The known ones among `keys`."""
        with self._lock:
            found = {key: self._recent[key] for key in keys if key in self._recent}
            kept = self._cache.get([key for key in keys if key not in found])
            sound = {key: vector for key, vector in kept.items() if _is_sound(vector, self._width)}
            self._remember(sound)
        return found | sound

    def put(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Keeps bought vectors."""
        with self._lock:
            self._remember(vectors)
            self._cache.put(vectors)

    def _remember(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        self._recent.update(vectors)
        while len(self._recent) > self._max_recent:
            self._recent.popitem(last=False)


def _is_sound(vector: NDArray[np.float32], width: int) -> bool:
    return vector.shape == (width,) and bool(np.isfinite(vector).all())


def shared_out(total: int, weights: Sequence[int]) -> list[int]:
    """`total` as whole numbers in proportion to `weights`, by largest remainder: they add up to it exactly."""
    sum_of_weights = sum(weights)
    if not sum_of_weights:
        weights, sum_of_weights = [1] * len(weights), len(weights)
    shares = [total * weight // sum_of_weights for weight in weights]
    remainders = [total * weight % sum_of_weights for weight in weights]
    largest = sorted(range(len(weights)), key=lambda place: -remainders[place])
    for place in largest[: total - sum(shares)]:
        shares[place] += 1
    return shares

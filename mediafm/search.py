"""Exact search: the nearest stored shots to a vector, one title in memory at a time.

Cosine in float32 over vectors stored as float16, rounded to six decimals, which is all that float32 can promise;
equal scores are ordered by title and shot, so that the same store gives the same answer.

Legend: N shots of a title, W width.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.errors import IntegrityError, LineageMismatchError, MediaFMError
from mediafm.types import Json

ROWS_AT_ONCE = 8192
"""How many rows of a title are widened to float32 at once: the bound on memory."""
SCORE_DECIMALS = 6
SMALLEST_NORM = 1e-6
FIRST_NOT_HALF = 65536.0
"""Beyond every finite float16."""


@dataclass(frozen=True, kw_only=True)
class StoredVectors:
    """The vectors of one title as a store holds them.

    title_id: whose they are.
    shot_index: int [N].
    vectors: float16 or float32 [N, W]; a row shorter than `SMALLEST_NORM` is absent and never found.
    producer: what made them (the short fingerprint of space or checkpoint); "" if unknown.
    """

    title_id: str
    shot_index: NDArray[np.integer]
    vectors: NDArray[np.floating]
    producer: str = ""

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.shot_index.shape != (len(self.vectors),):
            raise MediaFMError(
                f"vectors {self.vectors.shape} with shot indexes {self.shot_index.shape}",
                rule="stored vectors are [N, W] with one shot index each",
                where=f"title {self.title_id}",
            )


@dataclass(frozen=True, slots=True)
class Hit:
    """A shot that was found, and its cosine to the query."""

    title_id: str
    shot_index: int
    score: float

    def as_json(self) -> dict[str, Json]:
        return {"title_id": self.title_id, "shot_index": self.shot_index, "score": self.score}


def nearest(
    query: NDArray[np.floating],
    titles: Iterable[StoredVectors],
    k: int,
    exclude: Collection[tuple[str, int]] = (),
    producer: str = "",
) -> list[Hit]:
    """The `k` shots whose vectors have the greatest cosine to `query`, best first; fewer if there are fewer.

    Args:
        query: float [W].
        titles: read once, one at a time.
        k: how many are wanted, at least 1.
        exclude: (title_id, shot_index) that are not wanted: usually the query itself.
        producer: what made the query's vector; a title made by another is refused unless either is "".

    Raises:
        MediaFMError: k below 1, or a query that is no direction (zero, NaN, not one-dimensional).
        LineageMismatchError: a title's vectors have another width or another producer.
        IntegrityError: a stored vector holds NaN or infinity.
    """
    unit_W = _unit_query(query, k)
    unwanted: dict[str, list[int]] = {}
    for title_id, shot_index in exclude:
        unwanted.setdefault(title_id, []).append(shot_index)
    best: list[Hit] = []
    for title in titles:
        _refuse_strangers(title, len(unit_W), producer)
        best = _merged(best, _title_hits(title, unit_W, k, unwanted.get(title.title_id, []), best), k)
    return best


def _merged(best: list[Hit], found: Iterator[Hit], k: int) -> list[Hit]:
    return sorted([*best, *found], key=lambda hit: (-hit.score, hit.title_id, hit.shot_index))[:k]


def _title_hits(
    title: StoredVectors, unit_W: NDArray[np.float32], k: int, unwanted: list[int], best: list[Hit]
) -> Iterator[Hit]:
    """All of the title's shots that may be among the best k, ties with the k-th included."""
    floor = best[-1].score if len(best) == k else -np.inf
    for start in range(0, len(title.vectors), ROWS_AT_ONCE):
        index = title.shot_index[start : start + ROWS_AT_ONCE]
        score = _cosines(title, start, unit_W)
        score[np.isin(index, unwanted)] = -np.inf
        if len(score) > k:
            floor = max(floor, float(np.partition(score, -k)[-k]))
        for row in np.flatnonzero((score >= floor) & np.isfinite(score)):
            yield Hit(title.title_id, int(index[row]), float(score[row]))


def _cosines(title: StoredVectors, start: int, unit_W: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rounded cosines of some rows; absent rows get -inf."""
    stored = title.vectors[start : start + ROWS_AT_ONCE]
    rows_NW = widened(stored)
    norm = np.sqrt(np.einsum("nw,nw->n", rows_NW, rows_NW))
    if not (norm < FIRST_NOT_HALF).all() and not np.isfinite(stored).all():
        raise IntegrityError(
            "a vector with NaN or infinity",
            rule="stored vectors are finite",
            where=f"title {title.title_id}",
            remedy="Embed the title again.",
        )
    cosine = (rows_NW @ unit_W) / np.maximum(norm, SMALLEST_NORM)
    score: NDArray[np.float64] = np.round(cosine.astype(np.float64), SCORE_DECIMALS)
    score[norm < SMALLEST_NORM] = -np.inf
    return score


def widened(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """float16 as float32, about ten times faster than numpy's cast, which takes most of a search's time.

    The bits are moved to float32's places and the exponent's bias is mended by one product: exact for every finite
    float16, subnormal ones too. Infinity and NaN come out as finite values from `FIRST_NOT_HALF` on.
    """
    if vectors.dtype != np.float16:
        return vectors.astype(np.float32)
    bits = np.ascontiguousarray(vectors).view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= np.int32(~0x7000_1FFF)
    wide: NDArray[np.float32] = bits.view(np.float32)
    wide *= np.float32(2.0**112)
    return wide


def _unit_query(query: NDArray[np.floating], k: int) -> NDArray[np.float32]:
    if k < 1:
        raise MediaFMError(f"k = {k}", rule="a search wants at least one shot", remedy="Ask for 1 or more.")
    norm = float(np.linalg.norm(query.astype(np.float64))) if query.ndim == 1 else 0.0
    if not (np.isfinite(norm) and norm >= SMALLEST_NORM):
        raise MediaFMError(
            f"a query of shape {query.shape} and length {norm:.3g}",
            rule="a query is one finite vector that is not zero",
            remedy="Choose a shot that has an embedding.",
        )
    return (query.astype(np.float64) / norm).astype(np.float32)


def _refuse_strangers(title: StoredVectors, width: int, producer: str) -> None:
    if title.vectors.shape[1] != width or (producer and title.producer and title.producer != producer):
        raise LineageMismatchError(
            f"vectors {title.vectors.shape[1]} wide by {title.producer or 'unknown'}",
            rule=f"a query {width} wide by {producer or 'unknown'} is compared with its own kind only",
            where=f"title {title.title_id}",
            remedy="Search among vectors of one space or checkpoint.",
        )

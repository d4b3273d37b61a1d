"""What probes see of a title: where its shots lie in time, and one stored vector per shot.

Legend: N shots of a title, W width of a feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.errors import MediaFMError, NotFoundError
from mediafm.types import Span

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Flags = NDArray[np.bool_]
Indexes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TitleShots:
    """The shots of one title in time: the table `spans`, and the group that the title belongs to.

    title_id, group_id: titles of one group are never on both sides of a probe's split.
    start_seconds, end_seconds: float64 [N], half-open spans in order; NaN where a shot's times are not known.
    """

    title_id: str
    group_id: str
    start_seconds: Floats
    end_seconds: Floats

    def __post_init__(self) -> None:
        if self.start_seconds.ndim != 1 or self.start_seconds.shape != self.end_seconds.shape:
            raise MediaFMError(
                f"starts {self.start_seconds.shape} and ends {self.end_seconds.shape}",
                rule="a title's shots have one start and one end each",
                where=f"title {self.title_id}",
            )

    @property
    def num_shots(self) -> int:
        return len(self.start_seconds)

    @property
    def has_times(self) -> bool:
        """Whether every shot's times are known; titles of imported vectors may have none."""
        return bool(np.isfinite(self.start_seconds).all() and np.isfinite(self.end_seconds).all())

    @property
    def weights(self) -> Floats:
        """How much each shot counts in the whole: its seconds, or all alike where times are not known; float64 [N]."""
        weights: Floats = self.end_seconds - self.start_seconds if self.has_times else np.ones(self.num_shots)
        return weights

    def overlap_seconds(self, span: Span) -> Floats:
        """How long each shot holds together with `span`, 0 where its times are not known; float64 [N]."""
        latest_start = np.maximum(self.start_seconds, span.start_seconds)
        earliest_end = np.minimum(self.end_seconds, span.end_seconds)
        overlap: Floats = np.nan_to_num(np.maximum(0.0, earliest_end - latest_start))
        return overlap


@dataclass(frozen=True, kw_only=True)
class TitleVectors:
    """One stored vector per shot of a title; row i belongs to shot i.

    vectors: float32 [N, W] (float16 is widened); what stands in absent rows is never read.
    is_present: bool [N], False where the shot has no such vector (no sound, no text).
    """

    title_id: str
    vectors: Vectors
    is_present: Flags

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.is_present.shape != (len(self.vectors),):
            raise MediaFMError(
                f"vectors {self.vectors.shape} and flags {self.is_present.shape}",
                rule="a title has vectors [N, W] and flags [N]",
                where=f"title {self.title_id}",
            )
        widened = np.asarray(self.vectors, dtype=np.float32)
        if not np.isfinite(widened[self.is_present]).all():
            raise MediaFMError(
                "a vector with NaN or infinity",
                rule="stored vectors are finite",
                where=f"title {self.title_id}",
                remedy="Embed the title again.",
            )
        object.__setattr__(self, "vectors", widened)
        object.__setattr__(self, "is_present", np.asarray(self.is_present, dtype=np.bool_))

    @property
    def width(self) -> int:
        return int(self.vectors.shape[1])

    @property
    def num_shots(self) -> int:
        return len(self.vectors)

    @staticmethod
    def from_rows(
        title_id: str, shot_index: NDArray[np.integer], vectors: NDArray[np.floating], num_shots: int
    ) -> TitleVectors:
        """Vectors of some shots, put where the shots stand; the others are absent.

        Args:
            title_id: whose they are.
            shot_index: int [M], each shot at most once.
            vectors: [M, W].
            num_shots: how many shots the title has.

        Raises:
            NotFoundError: an index that the title does not have, or one that comes twice.
        """
        index = np.asarray(shot_index, dtype=np.int64)
        if len(index) and (index.min() < 0 or index.max() >= num_shots or len(np.unique(index)) != len(index)):
            raise NotFoundError(
                f"shot indexes from {index.min()} to {index.max()}, {len(np.unique(index))} of {len(index)} distinct",
                rule=f"the title has shots 0 to {num_shots - 1}, each at most once",
                where=f"title {title_id}",
                remedy="Embed the title again: its vectors and its spans do not belong together.",
            )
        placed = np.zeros((num_shots, vectors.shape[1]), dtype=np.float32)
        placed[index] = vectors
        is_present = np.zeros(num_shots, dtype=np.bool_)
        is_present[index] = True
        return TitleVectors(title_id=title_id, vectors=placed, is_present=is_present)


def unit_rows(vectors: NDArray[np.floating], smallest_norm: float = 1e-12) -> Vectors:
    """Each row of [N, W] at length one; rows shorter than `smallest_norm` become zeros."""
    wide = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: Vectors = np.where(norms > smallest_norm, wide / np.maximum(norms, smallest_norm), 0.0).astype(np.float32)
    return unit

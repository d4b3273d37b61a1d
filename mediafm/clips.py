"""A clip of a title as one vector: which shots it has, for how long, and how their vectors become one.

A shot's vector always comes from the whole shot: nothing is decoded again where a clip's edge cuts it. It counts by the
seconds that it shares with the clip (our choice; labels are pooled in the same way by `mediafm.probes.clips`).

Legend: N shots of a title, n shots of a clip that have a vector, D width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from mediafm.errors import ConfigError, MediaFMError, NotFoundError
from mediafm.probes.vectors import TitleShots
from mediafm.types import Json, Span

Context: TypeAlias = Literal["title", "clip", "none"]
Pool: TypeAlias = Literal["mean", "plain", "max"]
CONTEXTS: tuple[Context, ...] = get_args(Context)
POOLS: tuple[Pool, ...] = get_args(Pool)
MIN_POOLED_NORM = 1e-6
"""A pooled vector shorter than this has no direction: the shots' vectors cancel out."""


@dataclass(frozen=True, kw_only=True)
class ClipShots:
    """The shots of a clip.

    start_seconds, end_seconds: the span in the title's time; None for a whole title whose shots have no times.
    shot_index: int64, in order, at least one.
    overlap_seconds: float64, the seconds that each shares with the clip, above 0; NaN where shots have no times.
    """

    start_seconds: float | None
    end_seconds: float | None
    shot_index: NDArray[np.int64]
    overlap_seconds: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipEmbedding:
    """A clip, or a whole title, as one vector, with the shots' vectors that it was pooled from.

    title_id: whose clip.
    vector: float32 [D], unit norm.
    shots: float32 [n, D], a row for each shot of the clip that has a vector.
    shot_index: int64 [n], which shots those are.
    overlap_seconds: float64 [n], the seconds that each shares with the clip; NaN where the title has no times.
    absent_shot_index: int64, the clip's other shots: no modality gave them a vector.
    start_seconds, end_seconds: the clip; the first shot's start and the last one's end for a whole title, None where
        the title has no times.
    context: "title", "clip" or "none", see `mediafm.embed`.
    pool: "mean", "plain" or "max", see `pooled`.
    with_metadata: whether [GLOBAL] was told the title's metadata; False where no model was used.
    checkpoint_sha256: whose vectors; None where no model was used.
    space_id: of the fused vectors that were read. Vectors compare within one space and checkpoint only.
    fingerprints: table -> fingerprint of each stored value of the title that this was made from.
    """

    title_id: str
    vector: NDArray[np.float32]
    shots: NDArray[np.float32]
    shot_index: NDArray[np.int64]
    overlap_seconds: NDArray[np.float64]
    absent_shot_index: NDArray[np.int64]
    start_seconds: float | None
    end_seconds: float | None
    context: Context
    pool: Pool
    with_metadata: bool
    checkpoint_sha256: str | None
    space_id: str
    fingerprints: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.shots.shape != (len(self.shot_index), len(self.vector)) or self.overlap_seconds.shape != (
            len(self.shot_index),
        ):
            raise MediaFMError(
                f"vector {self.vector.shape}, shots {self.shots.shape}, {len(self.shot_index)} indexes, "
                f"{len(self.overlap_seconds)} overlaps",
                rule="a clip has one vector [D], and for each of its shots a row [D], an index and an overlap",
                where=f"title {self.title_id}",
            )

    def as_json(self, *, with_shot_vectors: bool = False) -> dict[str, Json]:
        """Everything; the shots' own vectors only if they are asked for. Unknown times are null."""
        known = np.isfinite(self.overlap_seconds)
        seconds = [float(one) if is_known else None for one, is_known in zip(self.overlap_seconds, known, strict=True)]
        return {
            "title_id": self.title_id,
            "start_seconds": self.start_seconds,
            "end_seconds": self.end_seconds,
            "context": self.context,
            "pool": self.pool,
            "with_metadata": self.with_metadata,
            "checkpoint_sha256": self.checkpoint_sha256,
            "space_id": self.space_id,
            "fingerprints": dict(self.fingerprints),
            "vector": self.vector.tolist(),
            "shot_index": self.shot_index.tolist(),
            "overlap_seconds": seconds,
            "absent_shot_index": self.absent_shot_index.tolist(),
            **({"shots": self.shots.tolist()} if with_shot_vectors else {}),
        }


def clip_shots(
    title: TitleShots, start_seconds: float | None, end_seconds: float | None, min_overlap_share: float = 0.0
) -> ClipShots:
    """The shots that a clip overlaps.

    Args:
        title: the title's shots in time.
        start_seconds, end_seconds: half-open, in the title's own time; None is where the title begins or ends.
        min_overlap_share: in [0, 1]; shots of which a smaller share of their length lies in the clip are left out.

    Raises:
        ConfigError: the ends are not finite, the span is empty or inverted, or the share is not in [0, 1].
        NotFoundError: no shot is left: the clip lies outside the title, the shots have no times, or all are cut short.
    """
    where = f"title {title.title_id}"
    if not title.num_shots:
        raise NotFoundError("no shots", rule="a clip is made of a title's shots", where=where)
    if not 0.0 <= min_overlap_share <= 1.0:
        raise ConfigError(
            f"min_overlap_share {min_overlap_share}", rule="the share of a shot's length is from 0 to 1", where=where
        )
    if not title.has_times:
        return _without_times(title, start_seconds, end_seconds)
    span = _span(title, start_seconds, end_seconds, where)
    overlap = title.overlap_seconds(span)
    if not overlap.any():
        raise NotFoundError(
            f"the clip {span.start_seconds} to {span.end_seconds} s lies outside the title",
            rule=f"the title's shots lie in {title.start_seconds[0]:.2f} to {title.end_seconds[-1]:.2f} s",
            where=where,
            remedy="`mediafm sql` shows each shot's times: SELECT * FROM shots.",
        )
    share = overlap / (title.end_seconds - title.start_seconds)
    index = np.flatnonzero((overlap > 0) & (share >= min_overlap_share))
    if not len(index):
        raise NotFoundError(
            f"at most {share.max():.0%} of a shot lies in the clip {span.start_seconds} to {span.end_seconds} s",
            rule=f"shots count from {min_overlap_share:.0%} of their length on",
            where=where,
            remedy="Lower min_overlap_share, or widen the clip.",
        )
    return ClipShots(
        start_seconds=span.start_seconds,
        end_seconds=span.end_seconds,
        shot_index=index,
        overlap_seconds=overlap[index],
    )


def pooled(vectors_nD: NDArray[np.float32], overlap_seconds: NDArray[np.float64], pool: Pool) -> NDArray[np.float32]:
    """One vector of the shots', float32 [D] with unit norm.

    "mean" weights each shot by the seconds that it shares with the clip (all alike where times are not known), "plain"
    counts every shot alike, as the stored title vectors do, and "max" takes the greatest of each coordinate.

    Raises:
        ConfigError: another pool.
        MediaFMError: the vectors cancel out.
    """
    if pool not in POOLS:
        raise ConfigError(f"pool {pool!r}", rule=f"shots are pooled by {', '.join(POOLS)}")
    wide_nD = np.asarray(vectors_nD, dtype=np.float64)
    if pool == "max":
        found_D = wide_nD.max(axis=0)
    else:
        is_plain = pool == "plain" or not np.isfinite(overlap_seconds).all()
        found_D = np.average(wide_nD, axis=0, weights=None if is_plain else overlap_seconds)
    norm = np.linalg.norm(found_D)
    if norm < MIN_POOLED_NORM:
        raise MediaFMError(
            f"a pooled vector of length {norm:.1e}",
            rule="vectors that cancel out have no direction",
            where=f"{len(wide_nD)} shots by {pool}",
            remedy="Use the shots' own vectors.",
        )
    unit_D: NDArray[np.float32] = (found_D / norm).astype(np.float32)
    return unit_D


def _span(title: TitleShots, start_seconds: float | None, end_seconds: float | None, where: str) -> Span:
    start = float(title.start_seconds[0]) if start_seconds is None else float(start_seconds)
    end = float(title.end_seconds[-1]) if end_seconds is None else float(end_seconds)
    if not (math.isfinite(start) and math.isfinite(end)) or end <= start:
        raise ConfigError(
            f"a clip from {start} to {end} s",
            rule="a clip's ends are finite seconds, and it ends after it starts",
            where=where,
            remedy=f"The title lies in {title.start_seconds[0]:.2f} to {title.end_seconds[-1]:.2f} s.",
        )
    return Span(start, end)


def _without_times(title: TitleShots, start_seconds: float | None, end_seconds: float | None) -> ClipShots:
    if start_seconds is not None or end_seconds is not None:
        raise NotFoundError(
            f"a clip from {start_seconds} to {end_seconds} s of a title whose shots have no times",
            rule="a clip is found by its shots' times; vectors that were imported may have none",
            where=f"title {title.title_id}",
            remedy="Leave start and end out for the whole title, or import its vectors again with times.",
        )
    return ClipShots(
        start_seconds=None,
        end_seconds=None,
        shot_index=np.arange(title.num_shots),
        overlap_seconds=np.full(title.num_shots, np.nan),
    )

"""What of a title is tagged: its shots, its pairs of neighbouring shots, the whole of it, or a span.

Legend: N shots of a title.
"""

from __future__ import annotations

import numpy as np

from mediafm.errors import NotFoundError
from mediafm.probes.clip_pooling import Pooling
from mediafm.probes.clips import Clip
from mediafm.probes.vectors import Floats, Indexes, TitleShots
from mediafm.types import Span

SHOT, TITLE, SPAN = "shot", "title", "span"
UNITS = (SHOT, TITLE)
"""What may be asked for by name; a span is given by its ends."""


def units_of(shots: TitleShots, unit: str, span: Span | None, pooling: Pooling) -> list[Clip]:
    """The clips of a title that are to be scored, as labels of them would be found.

    Args:
        unit: "shot" (under `Pooling.PAIR` each two neighbouring shots), "title", or "span".
        span: for "span".

    Raises:
        NotFoundError: the span lies outside the title, or its shots have no times.
    """
    if span is not None:
        overlap = _overlap(shots, span)
        return [_clip(shots, np.flatnonzero(overlap > 0), overlap)]
    if unit == TITLE:
        return [_clip(shots, np.arange(shots.num_shots), shots.weights)] if shots.num_shots else []
    size = 2 if pooling is Pooling.PAIR else 1
    firsts = range(shots.num_shots - size + 1)
    return [_clip(shots, np.arange(first, first + size), shots.weights) for first in firsts]


def _clip(shots: TitleShots, index: Indexes, weight_N: Floats) -> Clip:
    return Clip(
        title_id=shots.title_id,
        group_id=shots.group_id,
        shot_index=index,
        weight=weight_N[index],
        value=False,
        where="",
    )


def _overlap(shots: TitleShots, span: Span) -> Floats:
    overlap = shots.overlap_seconds(span)
    if shots.has_times and overlap.any():
        return overlap
    ends = f"it ends at {shots.end_seconds[-1]:.2f} s" if shots.has_times and shots.num_shots else "its shots have none"
    raise NotFoundError(
        f"no shot from {span.start_seconds} to {span.end_seconds} s",
        rule=f"a span lies inside its title by the times of its shots; {ends}",
        where=f"title {shots.title_id}",
        remedy="Give --start and --end inside it, or leave them out.",
    )

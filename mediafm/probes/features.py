"""Features made from stored vectors without a model: what a contextual embedding has to beat.

Legend: N shots of a title, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mediafm.errors import LineageMismatchError
from mediafm.probes.vectors import TitleVectors, Vectors, unit_rows


def neighbourhood_mean(title: TitleVectors, num_shots_each_side: int) -> TitleVectors:
    """[own vector ++ mean of the present shots within `num_shots_each_side`, itself included], each at length one."""
    reach = num_shots_each_side
    weight = np.concatenate([[0.0], np.cumsum(title.is_present, dtype=np.float64)])
    total = np.concatenate(
        [np.zeros((1, title.width)), np.cumsum(title.vectors * title.is_present[:, None], axis=0, dtype=np.float64)]
    )
    start = np.maximum(np.arange(title.num_shots) - reach, 0)
    stop = np.minimum(np.arange(title.num_shots) + reach + 1, title.num_shots)
    count = weight[stop] - weight[start]
    mean = (total[stop] - total[start]) / np.maximum(count, 1)[:, None]
    own = unit_rows(np.where(title.is_present[:, None], title.vectors, 0))
    return TitleVectors(
        title_id=title.title_id, vectors=np.concatenate([own, unit_rows(mean)], axis=1), is_present=count > 0
    )


def minus_title_mean(title: TitleVectors) -> TitleVectors:
    """Each present vector less the mean of the title's present ones: what tells a shot from its title."""
    if not title.is_present.any():
        return title
    mean: Vectors = title.vectors[title.is_present].mean(axis=0)
    return TitleVectors(title_id=title.title_id, vectors=title.vectors - mean, is_present=title.is_present)


def side_by_side(parts: Sequence[TitleVectors]) -> TitleVectors:
    """The vectors of several tables of one title, each at length one, side by side; absent parts are zeros.

    Raises:
        LineageMismatchError: the parts are of several titles, or count different shots.
    """
    if len({(part.title_id, part.num_shots) for part in parts}) != 1:
        raise LineageMismatchError(
            ", ".join(f"{part.num_shots} shots of {part.title_id}" for part in parts) or "nothing",
            rule="vectors stand side by side when they are of the same shots",
            remedy="Embed the title again.",
        )
    blocks = [unit_rows(np.where(part.is_present[:, None], part.vectors, 0)) for part in parts]
    return TitleVectors(
        title_id=parts[0].title_id,
        vectors=np.concatenate(blocks, axis=1),
        is_present=np.logical_or.reduce([part.is_present for part in parts]),
    )


def every_shot_alike(title_id: str, vector: NDArray[np.floating], num_shots: int, is_present: bool) -> TitleVectors:
    """A title's one vector (its metadata) as the vector of each of its shots."""
    return TitleVectors(
        title_id=title_id,
        vectors=np.broadcast_to(np.asarray(vector, dtype=np.float32), (num_shots, len(vector))),
        is_present=np.full(num_shots, is_present),
    )

"""What a shot's vector becomes without a model: what a contextual embedding has to beat.

Legend: N shots of a title, W width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mediafm.probes.vectors import TitleVectors, Vectors, unit_rows


def own(title: TitleVectors) -> TitleVectors:
    """The vectors as they stand."""
    return title


def mean_around(title: TitleVectors, num_shots_each_side: int) -> TitleVectors:
    """The mean of the present shots within `num_shots_each_side`, itself included, at length one; float32 [N, W].

    Present where any of them is: a silent shot has a mean of its neighbours' sound.
    """
    reach = num_shots_each_side
    weight = np.concatenate([[0], np.cumsum(title.is_present)])
    total = np.zeros((title.num_shots + 1, title.width))
    np.cumsum(np.where(title.is_present[:, None], title.vectors, 0), axis=0, dtype=np.float64, out=total[1:])
    start = np.maximum(np.arange(title.num_shots) - reach, 0)
    stop = np.minimum(np.arange(title.num_shots) + reach + 1, title.num_shots)
    count = weight[stop] - weight[start]
    mean = (total[stop] - total[start]) / np.maximum(count, 1)[:, None]
    return TitleVectors(title_id=title.title_id, vectors=unit_rows(mean), is_present=count > 0)


def minus_title_mean(title: TitleVectors) -> TitleVectors:
    """Each present vector less the mean of the title's present ones: what tells a shot from its title."""
    if not title.is_present.any():
        return title
    mean: Vectors = title.vectors[title.is_present].mean(axis=0)
    return TitleVectors(title_id=title.title_id, vectors=title.vectors - mean, is_present=title.is_present)


def every_shot_alike(title_id: str, vector: NDArray[np.floating], num_shots: int, is_present: bool) -> TitleVectors:
    """A title's one vector (its metadata) as the vector of each of its shots."""
    return TitleVectors(
        title_id=title_id,
        vectors=np.broadcast_to(np.asarray(vector, dtype=np.float32), (num_shots, len(vector))),
        is_present=np.full(num_shots, is_present),
    )

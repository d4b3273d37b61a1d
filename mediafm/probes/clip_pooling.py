"""How the vectors of a clip's shots become one vector.

Legend: M shots of a clip, W width of a shot's vector.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from mediafm.probes.vectors import Flags, Floats, Vectors, unit_rows


class Pooling(StrEnum):
    """How the shots of a clip are pooled. PAIR is what two neighbouring shots get, whatever is configured."""

    MEAN = "mean"
    MAX = "max"
    PAIR = "pair"

    def width(self, shot_width: int) -> int:
        """How wide a clip's vector is."""
        return 2 * shot_width if self is Pooling.PAIR else shot_width


def pool_shots(vectors: Vectors, is_present: Flags, weight: Floats, pooling: Pooling) -> Vectors | None:
    """One vector for the clip; None where it has none.

    Args:
        vectors: float32 [M, W], the clip's shots in order; absent rows are not read.
        is_present: bool [M].
        weight: float64 [M], the seconds that each shot shares with the clip.
        pooling: MEAN weighs present shots by overlap, MAX takes the greatest of each coordinate of their unit vectors;
            both give float32 [W] at length one. PAIR gives `pair_vector`, and None unless both shots are present.
    """
    if pooling is Pooling.PAIR:
        return pair_vector(*unit_rows(vectors)) if is_present.all() else None
    if not is_present.any():
        return None
    seen, seconds = vectors[is_present], weight[is_present]
    found = unit_rows(seen).max(axis=0) if pooling is Pooling.MAX else seconds @ seen.astype(np.float64) / seconds.sum()
    unit: Vectors = unit_rows(found[None, :])[0]
    return unit


def pair_vector(first: Vectors, second: Vectors) -> Vectors:
    """[|a - b| ++ a * b] of two unit vectors [W]; float32 [2W], not brought to length one: its length is the distance.

    These are the two comparing parts of Conneau et al., "Supervised Learning of Universal Sentence Representations"
    (2017), section 3.1. The products sum to the cosine, so a linear probe can weigh likeness by coordinate. Our choice
    is to leave out a and b themselves: no linear function of the two says how alike they are, and a boundary is to be
    known from the change, not from what is shown.
    """
    pair: Vectors = np.concatenate([np.abs(first - second), first * second])
    return pair

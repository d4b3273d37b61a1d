"""Vectors that a contextual model has to beat, and the oracle that says how much there is to win.

A vector function takes a `SceneTitle` and gives float32 [N, W]. N shots, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mediafm.data.scenes import SceneTitle

Vectors = NDArray[np.float32]
VectorFunction: TypeAlias = Callable[[SceneTitle], Vectors]

REACHES = (1, 2, 4)
"""Shots on each side that a smoothed row averages."""
NUM_NEAREST = 5
"""Shots of the title that `nearest` averages."""


def unit_rows(vectors_NW: Vectors) -> Vectors:
    """Rows of norm 1; a row of zeros stays."""
    norms = np.linalg.norm(vectors_NW, axis=1, keepdims=True)
    return np.asarray(vectors_NW / np.maximum(norms, 1e-12), np.float32)


def joined(*parts: Vectors) -> Vectors:
    """Unit rows beside each other, so that each part has one say in a cosine."""
    return np.concatenate([unit_rows(part) for part in parts], axis=1)


def fused(title: SceneTitle) -> Vectors:
    return np.asarray(title.sequence.fused, np.float32)


def minus_title_mean(title: SceneTitle) -> Vectors:
    vectors = fused(title)
    return unit_rows(vectors - vectors.mean(axis=0))


def smoothed(reach: int) -> VectorFunction:
    """Fused, joined with the mean of up to `reach` shots on each side, the shot itself left out."""

    def vectors(title: SceneTitle) -> Vectors:
        own = fused(title)
        apart = np.abs(np.arange(len(own))[:, None] - np.arange(len(own)))
        return joined(own, _mean_of((apart > 0) & (apart <= reach), own))

    return vectors


def nearest(title: SceneTitle) -> Vectors:
    """Fused, joined with the mean of the shots of the title that are nearest by cosine, itself left out.

    Attention without training: what looking for like shots is worth before anything is learnt.
    """
    own = fused(title)
    similarity = unit_rows(own) @ unit_rows(own).T
    np.fill_diagonal(similarity, -np.inf)
    chosen = np.argsort(-similarity, axis=1, kind="stable")[:, : min(NUM_NEAREST, len(own) - 1)]
    chooses_NN = np.zeros(similarity.shape, np.bool_)
    np.put_along_axis(chooses_NN, chosen, True, axis=1)
    return joined(own, _mean_of(chooses_NN, own))


def oracle(title: SceneTitle) -> Vectors:
    """Fused, joined with the mean over the shots of the same true scene and over those of the same true character.

    An upper bound for rows that find scenes and people and average, not for every conceivable one. Zeros in the third
    part where nobody is on screen.
    """
    own = fused(title)
    scene, character = title.script.scene, title.script.character
    is_together = (character[:, None] == character) & (character >= 0)
    return joined(own, _mean_of(scene[:, None] == scene, own), _mean_of(is_together, own))


def baselines() -> dict[str, VectorFunction]:
    """Name -> vector function: all rows that need no model; the oracle last."""
    return {
        "fused": fused,
        "fused - title mean": minus_title_mean,
        **{f"fused ++ mean of +-{reach}": smoothed(reach) for reach in REACHES},
        f"fused ++ mean of {NUM_NEAREST} nearest": nearest,
        "oracle": oracle,
    }


def _mean_of(chooses_NN: NDArray[np.bool_], vectors_NW: Vectors) -> Vectors:
    """For each shot the mean of those it chooses; zeros if none."""
    weights = chooses_NN / np.maximum(chooses_NN.sum(axis=1, keepdims=True), 1)
    return np.asarray(weights.astype(np.float32) @ vectors_NW)

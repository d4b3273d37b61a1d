"""What is measured on one title's vectors without labels: neighbours, rank, spread. Our choice, but for the rank.

N shots, W width of a vector.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mediafm.train.evaluation import Floats

NEIGHBOURHOOD_SHOTS = 10
_TIE = 1e-6
"""Cosines that differ by less, in float32, do not differ."""


def neighbourhood_of(num_shots: int) -> int:
    """How far a neighbourhood reaches: ten shots, an eighth of a short title, at least two."""
    return max(2, min(NEIGHBOURHOOD_SHOTS, num_shots // 8))


def neighbour_hits(vectors_NW: Floats) -> NDArray[np.float64]:
    """[N]: 1.0 where a shot's nearest neighbour, adjacent shots left out, lies in its neighbourhood.

    Of several equally near the share counts, so that vectors that are all alike reach chance and no more.
    """
    num_shots = len(vectors_NW)
    apart = np.abs(np.arange(num_shots)[:, None] - np.arange(num_shots))
    similarity = np.where(apart <= 1, -np.inf, vectors_NW @ vectors_NW.T)
    is_nearest = similarity >= similarity.max(axis=1, keepdims=True) - _TIE
    is_near = apart <= neighbourhood_of(num_shots)
    return np.asarray((is_nearest & is_near).sum(axis=1) / is_nearest.sum(axis=1), np.float64)


def chance_shares(num_shots: int) -> NDArray[np.float64]:
    """[N]: the same for a neighbour drawn at random."""
    apart = np.abs(np.arange(num_shots)[:, None] - np.arange(num_shots))
    near = (apart > 1) & (apart <= neighbourhood_of(num_shots))
    return np.asarray(near.sum(axis=1) / (apart > 1).sum(axis=1), np.float64)


def effective_rank(vectors_NW: Floats) -> float:
    """exp of the entropy of the normalised singular values (Roy and Vetterli 2007), of the centred vectors."""
    # torch, because its threads are those that the run sets.
    centred = torch.from_numpy(vectors_NW - vectors_NW.mean(axis=0))
    values = torch.linalg.svdvals(centred).numpy().astype(np.float64)
    share = values[values > 1e-9] / max(values.sum(), 1e-12)
    return float(np.exp(-(share * np.log(share)).sum())) if len(share) else 1.0


def spread(vectors_NW: Floats) -> float:
    """1 - the squared length of the mean of the unit vectors: 0 when all are one vector."""
    return 1.0 - float(np.square(vectors_NW.mean(axis=0)).sum())

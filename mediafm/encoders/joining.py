"""How families of descriptors become one vector: each of unit length, weighted, joined."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

Floats = NDArray[np.float32]

Weight = Annotated[float, Field(ge=0, le=100)]
"""How much a family counts in the cosine; 0 leaves it out."""

MIN_FAMILY_NORM = 1e-3
"""Added to a family's length before dividing, so that the rounding noise of an empty one is not blown up."""


def join(*families: tuple[float, Floats]) -> Floats:
    """(weight, numbers) of each family as one vector: the share of a family in a cosine is its weight squared."""
    return np.concatenate([np.float32(weight) * _unit(numbers) for weight, numbers in families])


def signed_root(values: NDArray[np.floating[Any]]) -> Floats:
    """Square roots that keep the sign: large values count less."""
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)), np.float32)


def centred(values: NDArray[np.floating[Any]]) -> Floats:
    """Without the part that all numbers share: histograms then spread around zero, not along one direction."""
    return np.asarray(values - values.mean(), np.float32)


def _unit(values: Floats) -> Floats:
    return np.asarray(values / (np.linalg.norm(values) + MIN_FAMILY_NORM), np.float32)

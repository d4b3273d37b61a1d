"""Which shots a training step masks.

Published (Netflix, "MediaFM", 23 February 2026): 20 % of a sequence's shots are replaced by a learned [MASK]. Our
choice: exactly `max(1, round(share * n))` of them, drawn uniformly without replacement from a generator that is given.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def num_masked(num_shots: int, share: float) -> int:
    """How many of `num_shots` are masked; at least one of a sequence that has any."""
    return min(num_shots, max(1, round(share * num_shots)))


def draw_mask(num_shots: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """bool [num_shots]: True for the masked shots."""
    is_masked = np.zeros(num_shots, np.bool_)
    is_masked[rng.choice(num_shots, num_masked(num_shots, share), replace=False)] = True
    return is_masked

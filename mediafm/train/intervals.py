"""95 % intervals by resampling groups (Efron and Tibshirani 1993, chapter 13: the percentile method)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
MIN_GROUPS = 2
"""One group alone has no interval: resampling it gives itself."""


def resampled_counts(num_groups: int, num_bootstrap: int, seed: int) -> NDArray[np.float64]:
    """[num_bootstrap, num_groups]: how often each resample drew each group."""
    rng = np.random.default_rng(seed)
    share = np.full(num_groups, 1.0 / num_groups)
    return rng.multinomial(num_groups, share, num_bootstrap).astype(np.float64)


def resampled_means(means_G: NDArray[np.float64], counts_RG: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over each resample's groups, [R]; groups with NaN are left out; NaN where nothing is left."""
    is_there = np.isfinite(means_G)
    total = counts_RG[:, is_there] @ means_G[is_there]
    weight = counts_RG[:, is_there].sum(axis=1)
    means = np.full(len(counts_RG), np.nan)
    means[weight > 0] = total[weight > 0] / weight[weight > 0]
    return means


def interval(values_R: NDArray[np.float64]) -> tuple[float, float] | None:
    """The middle 95 % of the finite values; None if there are none."""
    finite = values_R[np.isfinite(values_R)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

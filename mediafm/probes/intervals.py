"""Intervals by bootstrap over groups (or titles), honest for small numbers of them.

The replicates give the standard error, Student's t the factor: value +- t * se * sqrt(G / (G - 1)) for G groups, the
"t interval with bootstrap standard error" of Hesterberg, "What Teachers Should Know About the Bootstrap" (The American
Statistician 69, 2015). Percentiles of the replicates would be too narrow over few groups, and off centre for average
precision, which a group that is drawn twice lifts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.probes.vectors import Floats

CONFIDENCE = 0.95
"""Of every interval that is shown."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured value and its 95 % interval; the ends are None where there are fewer than two groups."""

    value: float
    low: float | None
    high: float | None


def draw_weights(num_groups: int, num_bootstrap: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each group is drawn in each replicate; int64 [num_bootstrap, num_groups], rows sum to num_groups."""
    drawn: NDArray[np.int64] = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=num_bootstrap)
    return drawn


def interval(
    value: float,
    replicates: Floats,
    num_groups: int,
    lowest: float = -np.inf,
    highest: float = np.inf,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The interval around `value`, cut to what the measure can be.

    Args:
        value: what was measured on all groups.
        replicates: float64 [num_bootstrap], the same measure on drawn groups; NaN where a draw cannot be measured.
        num_groups: how many groups there were to draw from.
        lowest, highest: the bounds of the measure.
        confidence: two-sided.
    """
    half_width = _half_width(replicates, num_groups, (1 + confidence) / 2)
    if half_width is None:
        return Interval(value, None, None)
    return Interval(value, max(lowest, value - half_width), min(highest, value + half_width))


def lower_bound(value: float, replicates: Floats, num_groups: int, confidence: float = CONFIDENCE) -> float | None:
    """What the truth lies above with this one-sided confidence; None below two groups. Arguments as for `interval`."""
    half_width = _half_width(replicates, num_groups, confidence)
    return None if half_width is None else value - half_width


def _half_width(replicates: Floats, num_groups: int, quantile: float) -> float | None:
    """Student's quantile times the standard error; None where fewer than two groups or usable replicates are there."""
    from scipy.stats import t

    usable = replicates[np.isfinite(replicates)]
    if num_groups < 2 or len(usable) < 2:
        return None
    return float(t.ppf(quantile, num_groups - 1) * usable.std(ddof=1) * np.sqrt(num_groups / (num_groups - 1)))


def mean_interval(
    values: Floats, num_bootstrap: int, rng: np.random.Generator, lowest: float = -np.inf, highest: float = np.inf
) -> Interval:
    """The interval of a plain mean over titles; `values` float64 [num_titles], at least one."""
    weights = draw_weights(len(values), num_bootstrap, rng)
    return interval(float(values.mean()), weights @ values / len(values), len(values), lowest, highest)

"""From which probability a class is tagged."""

from __future__ import annotations

import numpy as np

from mediafm.probes.vectors import Flags, Floats


def best_threshold(is_positive: Flags, probability: Floats) -> tuple[float, float]:
    """The threshold with the greatest F1 on these clips, and that F1; of equally good ones the highest. Our choice.

    It lies half-way between the least probability that is tagged and the next one below (0 where there is none), so
    that rounding moves no clip across. Where nothing tells the class apart, tagging everything has the greatest F1
    (Lipton, Elkan and Naryanaswamy, "Optimal Thresholding of Classifiers to Maximize F1 Measure", 2014): ask first
    whether the scores are above chance.

    Args:
        is_positive: bool [C], at least one. probability: float64 [C].
    """
    order = np.argsort(-probability, kind="stable")
    falling = probability[order]
    is_last = np.append(falling[1:] < falling[:-1], True)
    num_tagged = np.flatnonzero(is_last) + 1
    num_right = np.cumsum(is_positive[order])[is_last]
    f1 = 2 * num_right / (num_tagged + is_positive.sum())
    best = int(f1.argmax())
    values = np.append(falling[is_last], 0.0)
    return float((values[best] + values[best + 1]) / 2), float(f1[best])

"""Scores of whole titles: how well held-out predictions rank titles against each other.

Predictions are pooled over the folds (our choice): a fold of ten often holds two or three titles, where no correlation
means anything. Each is first expressed as deviations of its training part's scores from their mean. Without that the
training part's mean itself would rank folds, backwards: it is high where the held-out titles are low.

Legend: C clips, B bootstrap draws.
"""

from __future__ import annotations

import numpy as np

from mediafm.probes.design import TAU_ACROSS, TaskDesign
from mediafm.probes.folds import held_out
from mediafm.probes.ranking import weighted_correlation, weighted_tau
from mediafm.probes.vectors import Floats, Indexes

DECIMALS = 9
"""Of standardised predictions: a probe that sees nothing predicts one number, but for rounding, and ranks nothing."""


def across_titles(design: TaskDesign, scores: Floats, measure_name: str) -> tuple[float, Floats]:
    """`TAU_ACROSS` or `PEARSON` between held-out predictions and scores, and its replicates, float64 [B].

    Args:
        design: of a task whose scores are ranked across titles.
        scores: float64 [C, 1], predicted by probes that did not see the clip's group.
    """
    tested = design.is_tested
    target = design.target[:, 0]
    predicted = relative_to_training(scores[:, 0], target, design.folds)[tested]
    statistic = weighted_tau if measure_name == TAU_ACROSS else weighted_correlation
    value = statistic(target[tested], predicted, np.ones((1, len(predicted))))
    return float(value[0]), statistic(target[tested], predicted, design.draws_BG[:, design.group[tested]])


def relative_to_training(scores: Floats, target: Floats, folds: Indexes) -> Floats:
    """Predictions in deviations of the training part's targets from their mean; float64 [C], 0 where no fold tests."""
    relative = np.zeros(len(scores))
    for trains, is_tested in held_out(folds):
        deviation = target[trains].std()
        relative[is_tested] = (scores[is_tested] - target[trains].mean()) / (deviation if deviation > 0 else 1.0)
    rounded: Floats = np.round(relative, DECIMALS)
    return rounded

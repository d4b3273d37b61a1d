"""How well scores rank: average precision, Kendall's tau-b and correlation, for all clips and for drawn groups.

Legend: C clips, K classes, B bootstrap draws.
"""

from __future__ import annotations

import numpy as np

from mediafm.probes.vectors import Flags, Floats, Indexes

ROWS_AT_ONCE = 512
"""Of the clips by clips comparison in `weighted_tau`: bounds its memory."""


def average_precision(is_positive: Flags, scores: Floats) -> float:
    """Average precision, expected over random orders of equal scores; NaN without positives or without negatives.

    Equal to scikit-learn's where no scores are equal. Ties are averaged (our choice) because the best-case and
    worst-case orders both favour somebody, and because all-equal scores then give exactly what a random ranking gives.

    Args:
        is_positive: bool [C]. scores: float64 [C], greater is more likely positive.
    """
    num_positive = int(is_positive.sum())
    if num_positive in {0, len(is_positive)}:
        return float("nan")
    _, block, block_size = np.unique(-scores, return_inverse=True, return_counts=True)
    block_positive = np.bincount(block, weights=is_positive)
    num_before = np.concatenate([[0], np.cumsum(block_size)[:-1]])
    positive_before = np.concatenate([[0], np.cumsum(block_positive)[:-1]])
    # Per rank: its block, its place in the block from 0, the odds of a positive there, and the positives up to it.
    rank_block = np.repeat(np.arange(len(block_size)), block_size)
    place = np.arange(len(scores)) - num_before[rank_block]
    odds = (block_positive / block_size)[rank_block]
    others = ((block_positive - 1) / np.maximum(block_size - 1, 1))[rank_block]
    positives_so_far = positive_before[rank_block] + 1 + place * others
    return float((odds * positives_so_far / np.arange(1, len(scores) + 1)).sum() / num_positive)


def drawn_average_precision(is_positive: Flags, scores: Floats, weights_BC: Floats) -> Floats:
    """Average precision of weighted clips, once per draw; float64 [B], NaN where a draw has only one side.

    Equal scores are one threshold, as in scikit-learn: these are replicates for a standard error.
    """
    order = np.argsort(-scores, kind="stable")
    _, starts = np.unique(-scores[order], return_index=True)
    weight = np.add.reduceat(weights_BC[:, order], starts, axis=1)
    positive = np.add.reduceat(weights_BC[:, order] * is_positive[order], starts, axis=1)
    num_positive = positive.sum(axis=1)
    is_measurable = (num_positive > 0) & (num_positive < weight.sum(axis=1))
    precision = np.cumsum(positive, axis=1) / np.maximum(np.cumsum(weight, axis=1), 1e-12)
    drawn: Floats = (positive * precision).sum(axis=1) / np.maximum(num_positive, 1e-12)
    return np.where(is_measurable, drawn, np.nan)


def tau_within_titles(target: Floats, scores: Floats, titles: Indexes) -> dict[int, float]:
    """Kendall's tau-b of each title with at least two distinct targets: title number -> tau.

    Scores that are all equal rank nothing: their tau is 0 (our choice; the formula divides by zero there).
    """
    from scipy.stats import kendalltau

    taus: dict[int, float] = {}
    for title in np.unique(titles).tolist():
        inside = titles == title
        if len(np.unique(target[inside])) >= 2:
            has_order = len(np.unique(scores[inside])) >= 2
            taus[title] = float(kendalltau(scores[inside], target[inside]).statistic) if has_order else 0.0
    return taus


def weighted_tau(target: Floats, scores: Floats, weights_BC: Floats) -> Floats:
    """Kendall's tau-b over all pairs of clips, once per draw; float64 [B].

    A clip that is drawn twice counts twice; two copies of it are a tie. NaN where a draw's targets are all equal, 0
    where its scores are, as in `tau_within_titles`.

    Args:
        target, scores: float64 [C]. weights_BC: how often each clip is drawn.
    """
    # Sums over ordered pairs: concordant minus discordant, and those untied in target and in scores.
    agreement, untied_target, untied_scores = np.zeros((3, len(weights_BC)))
    for start in range(0, len(target), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        target_sign = np.sign(target[rows, None] - target)
        score_sign = np.sign(scores[rows, None] - scores)
        for sums, pairs in (
            (agreement, target_sign * score_sign),
            (untied_target, np.abs(target_sign)),
            (untied_scores, np.abs(score_sign)),
        ):
            sums += (weights_BC[:, rows] * (weights_BC @ pairs.T)).sum(axis=1)
    tau: Floats = agreement / np.sqrt(np.maximum(untied_target * untied_scores, 1e-12))
    return np.where(untied_target > 0, tau, np.nan)


def weighted_correlation(target: Floats, scores: Floats, weights_BC: Floats) -> Floats:
    """Pearson's correlation of weighted clips, once per draw; float64 [B]. NaN and 0 as in `weighted_tau`."""
    total = np.maximum(weights_BC.sum(axis=1, keepdims=True), 1e-12)
    target_BC = target - (weights_BC @ target)[:, None] / total
    scores_BC = scores - (weights_BC @ scores)[:, None] / total
    target_energy, score_energy = ((weights_BC * part_BC**2).sum(axis=1) for part_BC in (target_BC, scores_BC))
    together = (weights_BC * target_BC * scores_BC).sum(axis=1)
    # What is left of equal numbers by rounding is no variation.
    is_varied, has_order = (
        energy > 1e-20 * np.maximum(1.0, (weights_BC * part**2).sum(axis=1))
        for energy, part in ((target_energy, target), (score_energy, scores))
    )
    found = together / np.sqrt(np.maximum(target_energy * score_energy, 1e-300))
    return np.where(is_varied, np.where(has_order, found, 0.0), np.nan)


def drawn_fold_mean(replicates_FB: Floats, shares_FB: Floats) -> Floats:
    """Per draw, the mean over folds of what was measured on its drawn groups; float64 [B], NaN where no fold could be.

    A fold counts as often as its groups were drawn. Were every fold that was drawn at all to count alike, folds of one
    group each would vary far too little: measured with ten groups in ten folds, a label that is noise was above chance
    in 10 rows of 100 instead of the 2.5 that a 95 % interval allows.

    Args:
        replicates_FB: float64 [F folds, B], NaN where a fold cannot be measured.
        shares_FB: how often the groups of each fold were drawn, on the average over them.
    """
    weight = np.where(np.isfinite(replicates_FB), shares_FB, 0.0)
    total = weight.sum(axis=0)
    mean: Floats = (weight * np.nan_to_num(replicates_FB)).sum(axis=0) / np.maximum(total, 1e-12)
    return np.where(total > 0, mean, np.nan)


def nan_mean(values: Floats, axis: int) -> Floats:
    """The mean of what is not NaN; NaN where nothing is."""
    is_known = np.isfinite(values)
    total = np.where(is_known, values, 0.0).sum(axis=axis)
    count = is_known.sum(axis=axis)
    mean: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean

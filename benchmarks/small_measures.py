"""What is measured on small catalogues, always as a paired difference: exported vectors minus others, over titles.

Several seeds' vectors are judged by the mean of what each seed's reach; an interval is over titles, not over seeds,
whose values are told one by one. T titles, K traits, B draws, W width, N shots of a title.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.context_ridge import ridge_scores
from benchmarks.context_table import JudgedRow
from benchmarks.row import Row
from mediafm.probes.folds import group_folds, held_out
from mediafm.probes.intervals import Interval, draw_weights, interval, mean_interval
from mediafm.probes.vectors import Floats, Vectors
from mediafm.train.layer_measures import neighbour_hits
from mediafm.train.layer_meters import MIN_TITLE_SHOTS

NUM_BOOTSTRAP = 1000
NUM_FOLDS, NUM_INNER_FOLDS = 5, 3
SEED = 0
"""Of folds and draws; the same for every row, so that differences are paired."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """values: ours, one a seed. other: what the rival reaches. apart: mean of ours minus that, with its interval."""

    values: tuple[float, ...]
    other: float
    apart: Interval

    @property
    def value(self) -> float:
        return statistics.mean(self.values)

    @property
    def is_below(self) -> bool:
        """Whether ours are surely worse: the whole interval is below zero."""
        return self.apart.high is not None and self.apart.high < 0

    def as_row(self, what: str, unit: str, rival: str, goal: float | None = None) -> Row:
        """One line of the table; the difference stands in its name."""
        told = "" if self.apart.low is None else f", {self.apart.low:+.3f} to {self.apart.high:+.3f}"
        seeds = " ".join(f"{value:.3f}" for value in self.values)
        return Row(
            name=f"small: {what} (difference {self.apart.value:+.3f}{told}; seeds {seeds})",
            value=self.value,
            unit=unit,
            rival=rival,
            rival_value=self.other,
            goal=goal,
            better="higher",
        )


def judged(rows: Sequence[JudgedRow], other: JudgedRow, task: str) -> Paired:
    """A judge's rows, one a seed, against another of its rows."""
    found, base = [row.scores[task] for row in rows], other.scores[task]
    values = tuple(score.measured.value for score in found)
    replicates = np.mean([score.replicates for score in found], axis=0) - base.replicates
    apart = interval(statistics.mean(values) - base.measured.value, replicates, base.num_groups)
    return Paired(values=values, other=base.measured.value, apart=apart)


def neighbours(by_seed: Sequence[Mapping[str, Vectors]], fused: Mapping[str, Vectors]) -> Paired:
    """Share of shots whose nearest neighbour, adjacent ones left out, lies near them in time; no label is needed.

    Args:
        by_seed: title id -> unit rows [N, W], for each seed; titles that are too short are left out.
        fused: the same of fused vectors.
    """
    titles = [title_id for title_id, rows in fused.items() if len(rows) >= MIN_TITLE_SHOTS]
    ours_ST = np.array([[neighbour_hits(vectors[title_id]).mean() for title_id in titles] for vectors in by_seed])
    other_T = np.array([neighbour_hits(fused[title_id]).mean() for title_id in titles])
    apart = mean_interval(ours_ST.mean(axis=0) - other_T, NUM_BOOTSTRAP, np.random.default_rng(SEED))
    return Paired(values=tuple(ours_ST.mean(axis=1).tolist()), other=float(other_T.mean()), apart=apart)


def traits(by_seed: Sequence[Vectors], fused_TW: Vectors, traits_TK: Floats) -> Paired:
    """Mean correlation over traits of ridge predictions from title vectors, each title told by a fit without it."""
    drawn_BT = draw_weights(len(traits_TK), NUM_BOOTSTRAP, np.random.default_rng(SEED)).astype(np.float64)
    whole_1T = np.ones((1, len(traits_TK)))
    told = [predicted(rows_TW, traits_TK) for rows_TW in (*by_seed, fused_TW)]
    values = [float(correlations(one, traits_TK, whole_1T).mean()) for one in told]
    drawn = [correlations(one, traits_TK, drawn_BT).mean(axis=1) for one in told]
    apart = interval(statistics.mean(values[:-1]) - values[-1], np.mean(drawn[:-1], axis=0) - drawn[-1], len(traits_TK))
    return Paired(values=tuple(values[:-1]), other=values[-1], apart=apart)


def predicted(rows_TW: Vectors, traits_TK: Floats) -> Floats:
    """[T, K]: what ridge regressions fitted on the other folds' titles say of each title; traits in deviations."""
    standard = (traits_TK - traits_TK.mean(axis=0)) / np.maximum(traits_TK.std(axis=0), 1e-12)
    names = [str(number) for number in range(len(rows_TW))]
    told = np.zeros(standard.shape, np.float64)
    for is_fit, is_tested in held_out(group_folds(names, NUM_FOLDS, np.random.default_rng(SEED))):
        own = [name for name, is_own in zip(names, is_fit, strict=True) if is_own]
        inner = group_folds(own, NUM_INNER_FOLDS, np.random.default_rng(SEED))
        told[is_tested] = ridge_scores(rows_TW[is_fit], standard[is_fit], inner, rows_TW[is_tested]).tested
    return told


def correlations(told_TK: Floats, true_TK: Floats, weights_BT: Floats) -> Floats:
    """Pearson's r [B, K] where title t counts `weights_BT[b, t]` times; 0 where one side does not vary."""
    share_BT = weights_BT / weights_BT.sum(axis=1, keepdims=True)
    one, two = told_TK - told_TK.mean(axis=0), true_TK - true_TK.mean(axis=0)
    mean_one, mean_two = share_BT @ one, share_BT @ two
    covariance = share_BT @ (one * two) - mean_one * mean_two
    variances = (share_BT @ one**2 - mean_one**2) * (share_BT @ two**2 - mean_two**2)
    return np.asarray(covariance / np.sqrt(np.maximum(variances, 1e-24)), np.float64)

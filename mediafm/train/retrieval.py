"""In-title retrieval: does a prediction point at its own shot among the other masked shots of the same mask?

Candidates are the masked shots of one title under one mask; passes with fewer than ten of them are left out. Ties count
mid-rank: a predictor that says the same for all gets exactly chance. Numbers are means over groups of means over shots.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.data.corpus import Corpus
from mediafm.train.evaluation import FUSED_VIEW, EvaluationItem, Floats, GroupSums, fused_rows, unit_rows, view_rows
from mediafm.train.predictors import PREDICTORS, TrivialPredictors
from mediafm.types import Json

MIN_CANDIDATES = 10


@dataclass(frozen=True, kw_only=True)
class RetrievalReport:
    """Share of masked shots whose prediction ranks its own shot first, and the mean reciprocal rank.

    top1, reciprocal_rank: predictor ("model" and the trivial ones) -> value.
    chance_top1: of a random order.
    num_shots, num_groups: behind them.
    """

    top1: Mapping[str, float]
    reciprocal_rank: Mapping[str, float]
    chance_top1: float
    num_shots: int
    num_groups: int

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


def retrieval(
    items: Sequence[EvaluationItem],
    predicted: Sequence[Floats],
    corpus: Corpus,
    fused_predictors: TrivialPredictors,
) -> RetrievalReport | None:
    """Retrieval of the model (`predicted`, aligned with `items`) and of every trivial predictor; None if no title is
    long enough."""
    top1 = {name: GroupSums() for name in ("model", *PREDICTORS)}
    reciprocal = {name: GroupSums() for name in ("model", *PREDICTORS)}
    chance = GroupSums()
    for passes in _by_title_and_fold(items).values():
        parts = [_targets_and_predictions(items[at], predicted[at], corpus, fused_predictors) for at in passes]
        targets = np.concatenate([part[0] for part in parts])
        if len(targets) < MIN_CANDIDATES:
            continue
        group = items[passes[0]].group_id
        chance.add(group, np.full(len(targets), 1.0 / len(targets)))
        for name in top1:
            ranks = mid_ranks(np.concatenate([part[1][name] for part in parts]), targets)
            top1[name].add(group, np.clip(2.0 - ranks, 0.0, 1.0))
            reciprocal[name].add(group, 1.0 / ranks)
    if not chance.count:
        return None
    return RetrievalReport(
        top1={name: sums.mean for name, sums in top1.items()},
        reciprocal_rank={name: sums.mean for name, sums in reciprocal.items()},
        chance_top1=chance.mean,
        num_shots=sum(chance.count.values()),
        num_groups=len(chance.count),
    )


def mid_ranks(predicted_mW: Floats, target_mW: Floats) -> NDArray[np.float64]:
    """Rank of each prediction's own target among all targets, from 1; equal similarities share the mean rank."""
    similarity = (unit_rows(predicted_mW) @ target_mW.T).astype(np.float64).round(6)
    own = np.diagonal(similarity)[:, None]
    better = (similarity > own).sum(axis=1)
    equal = (similarity == own).sum(axis=1) - 1
    return np.asarray(1.0 + better + equal / 2.0, np.float64)


def _by_title_and_fold(items: Sequence[EvaluationItem]) -> dict[tuple[str, int], list[int]]:
    found: dict[tuple[str, int], list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        found[item.window.title_id, item.fold].append(at)
    return found


def _targets_and_predictions(
    item: EvaluationItem, predicted: Floats, corpus: Corpus, predictors: TrivialPredictors
) -> tuple[Floats, dict[str, Floats]]:
    fused, present = fused_rows(corpus, item.window)
    rows, _ = view_rows(fused, present, FUSED_VIEW, slice(None))
    trivial = predictors.predict(rows, ~item.is_masked, item.is_masked)
    return rows[item.is_masked], {"model": predicted, **trivial}

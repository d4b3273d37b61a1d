"""In-title retrieval: does a prediction point at its own shot among the other masked shots of the same mask?

Candidates are the masked shots of one title under one mask; passes with fewer than ten of them are left out. Ties count
mid-rank: a predictor that says the same for all gets exactly chance. Numbers are means over groups of means over shots.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

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
    predicted: Iterable[Floats],
    corpus: Corpus,
    fused_predictors: TrivialPredictors,
) -> RetrievalReport | None:
    """Retrieval of the model (`predicted`, aligned with `items`) and of every trivial predictor; None if no title is
    long enough."""
    meter = RetrievalMeter(items, corpus, fused_predictors)
    for _ in meter.watching(predicted):
        pass
    return meter.report()


class RetrievalMeter:
    """Takes in predictions as they are made, and holds those of one title at a time.

    Args:
        items: what is predicted, title by title.
    """

    def __init__(self, items: Sequence[EvaluationItem], corpus: Corpus, fused_predictors: TrivialPredictors) -> None:
        self._items = items
        self._corpus = corpus
        self._predictors = fused_predictors
        self._top1 = {name: GroupSums() for name in ("model", *PREDICTORS)}
        self._reciprocal = {name: GroupSums() for name in ("model", *PREDICTORS)}
        self._chance = GroupSums()

    def watching(self, predicted: Iterable[Floats]) -> Iterator[Floats]:
        """Hands on the predictions, aligned with the items, once they are looked at."""
        aligned = zip(self._items, predicted, strict=True)
        for _, title in groupby(aligned, key=lambda pair: pair[0].window.title_id):
            passes: dict[int, list[tuple[EvaluationItem, Floats]]] = defaultdict(list)
            for item, rows in title:
                passes[item.fold].append((item, rows))
                yield rows
            for parts in passes.values():
                self._add(parts)

    def report(self) -> RetrievalReport | None:
        """What was found; None if no title was long enough."""
        if not self._chance.count:
            return None
        return RetrievalReport(
            top1={name: sums.mean for name, sums in self._top1.items()},
            reciprocal_rank={name: sums.mean for name, sums in self._reciprocal.items()},
            chance_top1=self._chance.mean,
            num_shots=sum(self._chance.count.values()),
            num_groups=len(self._chance.count),
        )

    def _add(self, passes: Sequence[tuple[EvaluationItem, Floats]]) -> None:
        parts = [_targets_and_predictions(item, rows, self._corpus, self._predictors) for item, rows in passes]
        targets = np.concatenate([part[0] for part in parts])
        if len(targets) < MIN_CANDIDATES:
            return
        group = passes[0][0].group_id
        self._chance.add(group, np.full(len(targets), 1.0 / len(targets)))
        for name in self._top1:
            ranks = mid_ranks(np.concatenate([part[1][name] for part in parts]), targets)
            self._top1[name].add(group, np.clip(2.0 - ranks, 0.0, 1.0))
            self._reciprocal[name].add(group, 1.0 / ranks)


def mid_ranks(predicted_mW: Floats, target_mW: Floats) -> NDArray[np.float64]:
    """Rank of each prediction's own target among all targets, from 1; equal similarities share the mean rank."""
    similarity = (unit_rows(predicted_mW) @ target_mW.T).astype(np.float64).round(6)
    own = np.diagonal(similarity)[:, None]
    better = (similarity > own).sum(axis=1)
    equal = (similarity == own).sum(axis=1) - 1
    return np.asarray(1.0 + better + equal / 2.0, np.float64)


def _targets_and_predictions(
    item: EvaluationItem, predicted: Floats, corpus: Corpus, predictors: TrivialPredictors
) -> tuple[Floats, dict[str, Floats]]:
    fused, present = fused_rows(corpus, item.window)
    rows, _ = view_rows(fused, present, FUSED_VIEW, slice(None))
    trivial = predictors.predict(rows, ~item.is_masked, item.is_masked)
    return rows[item.is_masked], {"model": predicted, **trivial}

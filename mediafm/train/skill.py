"""Skill: how much better than the best trivial predictor a checkpoint predicts what it was not shown.

Skill = 1 - L / L_ref. L is the mean over groups of the mean cosine distance over masked shots; L_ref that of the best
trivial predictor on the same stored masks. It is taken per modality over shots where that is present, and in total as
the mean of those. "Above zero" means that the lower end of the 95 % interval over groups is. Our choice throughout; a
raw cosine to fixed targets flatters itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.split import Split
from mediafm.fusion import Space
from mediafm.train.evaluation import (
    FUSED_VIEW,
    EvaluationItem,
    Flags,
    Floats,
    GroupSums,
    distances,
    fused_rows,
    items_of,
    unit_rows,
    view_rows,
    views_of,
)
from mediafm.train.intervals import MIN_GROUPS, interval, resampled_counts, resampled_means
from mediafm.train.predictors import PREDICTORS, TrivialPredictors, fit
from mediafm.types import Json

MODEL = "model"
FIT_MAX_SHOTS = 20_000
"""Training shots behind corpus means and regression scalars; beyond them windows are taken evenly."""
MIN_REFERENCE_LOSS = 1e-6
"""A reference that is never wrong leaves no room for skill, and must not divide by zero."""


@dataclass(frozen=True, kw_only=True)
class ViewSkill:
    """Skill in one modality (or on the whole vector, for information).

    skill: 1 - loss / reference_loss.
    interval: its 95 % interval over groups; None with fewer than two groups.
    loss: the checkpoint's.
    reference, reference_loss: the best trivial predictor and its loss.
    losses: of every trivial predictor.
    num_groups, num_shots: behind it.
    """

    skill: float
    interval: tuple[float, float] | None
    loss: float
    reference: str
    reference_loss: float
    losses: Mapping[str, float]
    num_groups: int
    num_shots: int


@dataclass(frozen=True, kw_only=True)
class SkillReport:
    """Skill under one mask set.

    mask_set: "random" or "span".
    skill: the mean of the modalities' skills; None if no masked shot has any modality.
    interval: its 95 % interval over groups; None with fewer than two groups.
    by_modality: modality -> its skill; a modality that is nowhere present is left out.
    fused: the same on whole vectors, for information.
    num_groups, num_shots: masked shots in all, and the groups that they are of.
    """

    mask_set: str
    skill: float | None
    interval: tuple[float, float] | None
    by_modality: Mapping[str, ViewSkill]
    fused: ViewSkill | None
    num_groups: int
    num_shots: int

    @property
    def is_above_zero(self) -> bool:
        """Whether the lower end of the interval is above zero; never without an interval."""
        return self.interval is not None and self.interval[0] > 0

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "is_above_zero": self.is_above_zero}


class SkillMeter:
    """Measures skill on one split and mask set; the trivial predictors are scored once, at construction."""

    def __init__(
        self,
        manifest: TrainingManifest,
        corpus: Corpus,
        predictors: Mapping[str, TrivialPredictors],
        split: Split,
        mask_set: str,
        max_shots: int | None = None,
    ) -> None:
        self.items = items_of(manifest, split, mask_set, max_shots)
        self.mask_set = mask_set
        self._corpus = corpus
        self._views = views_of(Space.from_json(manifest.space))
        self._predictors = predictors
        self._trivial = self._trivial_sums()

    def losses(self, predictions: Iterable[Floats]) -> dict[str, GroupSums]:
        """View -> the checkpoint's distances, by group.

        Args:
            predictions: for each of `items` [masked shots, E]; read one by one.
        """
        sums = {view: GroupSums() for view in self._views}
        for item, predicted in zip(self.items, predictions, strict=True):
            fused, present = fused_rows(self._corpus, item.window)
            for view, where in self._views.items():
                rows, is_present = view_rows(fused, present, view, where)
                is_target = is_present & item.is_masked
                chosen = is_target[item.is_masked]
                sums[view].add(item.group_id, distances(predicted[chosen][:, where], rows[is_target]))
        return sums

    def report(self, model: Mapping[str, GroupSums], num_bootstrap: int, seed: int) -> SkillReport:
        """Skill of the checkpoint whose distances are `model`, with intervals."""
        groups = sorted(model[FUSED_VIEW].count)
        counts = resampled_counts(len(groups), num_bootstrap, seed) if len(groups) >= MIN_GROUPS else None
        found, resampled = {}, {}
        for view in self._views:
            if model[view].count:
                found[view], resampled[view] = self._view_skill(view, model[view], groups, counts)
        modalities = [view for view in found if view != FUSED_VIEW]
        total = np.array([resampled[view] for view in modalities])
        return SkillReport(
            mask_set=self.mask_set,
            skill=float(np.mean([found[view].skill for view in modalities])) if modalities else None,
            interval=_total_interval(total) if counts is not None and modalities else None,
            by_modality={view: found[view] for view in modalities},
            fused=found.get(FUSED_VIEW),
            num_groups=len(groups),
            num_shots=sum(model[FUSED_VIEW].count.values()),
        )

    def quick(self, model: Mapping[str, GroupSums]) -> tuple[float | None, dict[str, float]]:
        """Total skill and skill by modality without intervals: what the curves show."""
        by_modality = {}
        for view in self._views:
            if view != FUSED_VIEW and model[view].count:
                reference = min(self._trivial[view][name].mean for name in PREDICTORS)
                by_modality[view] = _skill(model[view].mean, reference)
        return (float(np.mean(list(by_modality.values()))) if by_modality else None), by_modality

    def _view_skill(
        self, view: str, model: GroupSums, groups: Sequence[str], counts_RG: NDArray[np.float64] | None
    ) -> tuple[ViewSkill, NDArray[np.float64]]:
        trivial = self._trivial[view]
        losses = {name: trivial[name].mean for name in PREDICTORS}
        reference = min(PREDICTORS, key=losses.__getitem__)
        resampled = np.full(0, np.nan)
        if counts_RG is not None:
            # The best predictor is chosen anew in each resample: it is part of the statistic.
            best = np.min([resampled_means(trivial[name].means(groups), counts_RG) for name in PREDICTORS], axis=0)
            own = resampled_means(model.means(groups), counts_RG)
            resampled = 1.0 - own / np.maximum(best, MIN_REFERENCE_LOSS)
        skill = ViewSkill(
            skill=_skill(model.mean, losses[reference]),
            interval=interval(resampled) if len(model.count) >= MIN_GROUPS else None,
            loss=model.mean,
            reference=reference,
            reference_loss=losses[reference],
            losses=losses,
            num_groups=len(model.count),
            num_shots=sum(model.count.values()),
        )
        return skill, resampled

    def _trivial_sums(self) -> dict[str, dict[str, GroupSums]]:
        sums = {view: {name: GroupSums() for name in PREDICTORS} for view in self._views}
        for item in self.items:
            fused, present = fused_rows(self._corpus, item.window)
            for view, where in self._views.items():
                rows, is_present = view_rows(fused, present, view, where)
                is_target = is_present & item.is_masked
                if is_target.any():
                    predicted = self._predictors[view].predict(rows, is_present & ~item.is_masked, is_target)
                    for name, vectors in predicted.items():
                        sums[view][name].add(item.group_id, distances(vectors, rows[is_target]))
        return sums


def fit_predictors(manifest: TrainingManifest, corpus: Corpus, mask_set: str) -> dict[str, TrivialPredictors]:
    """View -> the trivial predictors, fitted on training titles under their stored masks of `mask_set`."""
    items = items_of(manifest, Split.TRAIN, mask_set, FIT_MAX_SHOTS)
    views = views_of(Space.from_json(manifest.space))
    means = corpus_means(manifest, corpus)
    found = {}
    for view, where in views.items():
        found[view] = fit(_training_windows(items, corpus, view, where), means[view])
    return found


def corpus_means(manifest: TrainingManifest, corpus: Corpus) -> dict[str, Floats]:
    """View -> the renormalised mean of the training shots' unit vectors; zeros where a modality is nowhere present."""
    views = views_of(Space.from_json(manifest.space))
    totals = {view: np.zeros(where.stop - where.start) for view, where in views.items()}
    for item in items_of(manifest, Split.TRAIN, "random", FIT_MAX_SHOTS):
        fused, present = fused_rows(corpus, item.window)
        for view, where in views.items():
            rows, _ = view_rows(fused, present, view, where)
            totals[view] += rows[item.is_masked].sum(axis=0)
    return {view: unit_rows(total[None])[0] for view, total in totals.items()}


def _training_windows(
    items: Sequence[EvaluationItem], corpus: Corpus, view: str, where: slice
) -> Iterator[tuple[Floats, Flags, Flags]]:
    for item in items:
        fused, present = fused_rows(corpus, item.window)
        rows, is_present = view_rows(fused, present, view, where)
        yield rows, is_present & ~item.is_masked, is_present & item.is_masked


def _skill(loss: float, reference_loss: float) -> float:
    return 1.0 - loss / max(reference_loss, MIN_REFERENCE_LOSS)


def _total_interval(resampled_VR: NDArray[np.float64]) -> tuple[float, float] | None:
    is_there = np.isfinite(resampled_VR)
    counts = is_there.sum(axis=0)
    totals = np.where(is_there, resampled_VR, 0.0).sum(axis=0)
    return interval(np.divide(totals, counts, out=np.full(len(counts), np.nan), where=counts > 0))

"""Linear probes on frozen vectors: scores of held-out clips, with all that is chosen chosen inside the training part.

Features are standardised on the training part; what is absent stands at its mean and so says nothing. Rows are scaled
by 1/sqrt(width), so that one grid of strengths serves every width. Where features outnumber clips the problem is
rotated into the span of the training clips, which changes no L2-regularised solution and much of the time.

Legend: C clips, W width, K classes, R the smaller of W and the training clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mediafm.probes.clips import ClipVectors
from mediafm.probes.fits import Fitting
from mediafm.probes.folds import group_folds, held_out
from mediafm.probes.principal import Components
from mediafm.probes.vectors import Flags, Floats, Indexes, Vectors


@dataclass(frozen=True, kw_only=True)
class LinearSettings:
    """How a probe is fitted.

    inverse_strengths: what regularisation is chosen from: C of the logistic probe, 1 / alpha of ridge.
    num_inner_folds: folds by group inside the training part, for that choice.
    max_iterations: of the logistic solver.
    torch_above: training clips x width (as fitted, at most the clips) above which torch makes the products.
    torch_device: where it does; None for numpy whatever the size. Meant for a GPU: on a processor torch in one thread
        took 0.4 of numpy's time for one class of 6,000 clips x 2,304, and 2.9 of it for ten.
    """

    inverse_strengths: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)
    num_inner_folds: int = 3
    max_iterations: int = 1000
    torch_above: int = 20_000_000
    torch_device: str | None = None


LINEAR = LinearSettings()


@dataclass(frozen=True, kw_only=True)
class HeldOutScores:
    """The score of each clip by the probe that did not see its group.

    scores: float64 [C, K]; zeros for clips that no fold tests.
    strengths: the inverse strength chosen in each fold. alternatives: the number of the vectors chosen in each.
    num_unconverged: fits that ran out of iterations.
    """

    scores: Floats
    strengths: tuple[float, ...]
    alternatives: tuple[int, ...]
    num_unconverged: int


def held_out_scores(
    alternatives: Sequence[ClipVectors],
    target: Floats,
    groups: Sequence[str],
    folds: Indexes,
    is_score: bool,
    rng: np.random.Generator,
    settings: LinearSettings = LINEAR,
    pca_width: int | None = None,
) -> HeldOutScores:
    """Fits one probe per fold and class and scores the clips of that fold.

    Among the alternatives and the strengths those are taken which have the least loss over the inner folds; the first
    alternative and the greatest regularisation where the training part is one group. Tested clips take no part.

    Args:
        alternatives: of the clips, at least one.
        target: float64 [C, K]: 0 or 1 for classes (logistic), any number for scores (ridge).
        groups: the group of each clip; the choice splits by it.
        folds: int64 [C] from `group_folds`; clips of fold -1 always train.
        is_score: whether targets are scores.
        rng: shuffles the inner folds.
        pca_width: components that each training part's vectors are brought to first; None to leave them.
    """
    scores = np.zeros_like(target)
    prepared = [_Prepared(one) for one in alternatives]
    strengths, chosen = [], []
    num_unconverged = 0
    for trains, is_tested in held_out(folds):
        inner = group_folds(np.asarray(groups)[trains].tolist(), settings.num_inner_folds, rng)
        best = None
        for number, one in enumerate(prepared):
            parts = one.parts(trains, is_tested, pca_width)
            fitting = fitting_of(parts[0], is_score, settings)
            loss, strength, failed = least_loss(parts[0], target[trains], inner, fitting, settings.inverse_strengths)
            num_unconverged += failed
            if best is None or loss < best[0]:
                best = (loss, strength, number, parts, fitting)
        if best is None:
            raise ValueError("no alternatives; a feature set gives at least one")
        _, strength, number, (train, test), fitting = best
        fitted = fitting.fit(train, target[trains], strength)
        scores[is_tested] = fitted.log_odds(test)[0]
        strengths.append(strength)
        chosen.append(number)
        num_unconverged += not fitted.has_converged
    return HeldOutScores(
        scores=scores, strengths=tuple(strengths), alternatives=tuple(chosen), num_unconverged=num_unconverged
    )


def standardised(vectors: Vectors, is_present: Flags, trains: Flags, is_tested: Flags) -> tuple[Floats, Floats]:
    """Training and tested rows, float64, by mean and deviation of the present training rows; absent rows are zeros."""
    seen = vectors[trains & is_present].astype(np.float64)
    if not len(seen):
        return np.zeros((int(trains.sum()), 1)), np.zeros((int(is_tested.sum()), 1))
    deviation = seen.std(axis=0)
    scale = np.where(deviation > 1e-8, deviation, np.inf) * np.sqrt(vectors.shape[1])
    scaled = (vectors - seen.mean(axis=0)) / scale * is_present[:, None]
    return scaled[trains], scaled[is_tested]


def reduced(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    """Both rotated into the span of the training rows [C, R], where features outnumber them."""
    if train.shape[1] <= train.shape[0]:
        return train, test
    energy, basis = np.linalg.eigh(train @ train.T)
    keeps = energy > 1e-10 * max(energy[-1], 1e-300)
    length = np.sqrt(energy[keeps])
    return basis[:, keeps] * length, test @ train.T @ (basis[:, keeps] / length)


class _Prepared:
    """One alternative's vectors, and what all folds share of them."""

    def __init__(self, one: ClipVectors) -> None:
        self._one = one
        self._components: Components | None = None

    def parts(self, trains: Flags, is_tested: Flags, pca_width: int | None) -> tuple[Floats, Floats]:
        """Training and tested rows, ready to fit."""
        vectors, is_present = self._one.vectors, self._one.is_present
        if pca_width is not None:
            self._components = self._components or Components(vectors, is_present)
            vectors = self._components.rows(trains, pca_width)
        return reduced(*standardised(vectors, is_present, trains, is_tested))


def fitting_of(train: Floats, is_score: bool, settings: LinearSettings) -> Fitting:
    """How probes are fitted on training rows of this size."""
    return Fitting(
        is_score=is_score,
        max_iterations=settings.max_iterations,
        torch_device=settings.torch_device if train.size > settings.torch_above else None,
    )


def least_loss(
    rows: Floats, target: Floats, folds: Indexes, fitting: Fitting, strengths: tuple[float, ...]
) -> tuple[float, float, int]:
    """The least held-out loss over all classes, at which strength, and how many fits did not converge.

    The greatest regularisation where there is one fold.
    """
    if folds.max(initial=0) == 0:
        return 0.0, min(strengths), 0
    losses, num_unconverged = fitting.losses(rows, target, folds, strengths)
    best = int(losses.argmin())
    return float(losses[best]), strengths[best], num_unconverged

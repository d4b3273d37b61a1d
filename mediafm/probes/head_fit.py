"""Fits a head: weights on every labelled clip given, calibration and thresholds on what held-out fits said of clips.

The regularisation of the kept weights is chosen by folds of groups over all clips, that of each held-out fit inside its
own training part. Held-out scores calibrate the kept weights, as scikit-learn's `CalibratedClassifierCV` does with
`ensemble=False`.

Legend: C clips, W width, K classes.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np

from mediafm.config import ProbeSettings
from mediafm.errors import TrainingError
from mediafm.probes.calibration import Sigmoid, fit_sigmoid
from mediafm.probes.clips import ClipVectors, TaskClips
from mediafm.probes.design import TaskDesign, design_task
from mediafm.probes.folds import held_out
from mediafm.probes.head import Head, HeadOrigin, HeadQuality, calibrated
from mediafm.probes.head_linear import LinearFit, fit_linear
from mediafm.probes.head_quality import Judged, quality
from mediafm.probes.labels import LabelKind
from mediafm.probes.linear import LINEAR, LinearSettings
from mediafm.probes.thresholds import best_threshold
from mediafm.probes.vectors import Flags, Floats, Vectors

MIN_SIDE_CLIPS = 10
"""A class with fewer clips on one side is calibrated all the same, and that is said."""
MAX_DROPPED_NAMED = 20
"""Clips and classes that are named in a head's notes; the others are counted."""
DEFAULTS = ProbeSettings()
_AS_IT_IS = Sigmoid(1.0, 0.0)


def fit_head(
    task: TaskClips,
    features: ClipVectors,
    origin: HeadOrigin,
    settings: ProbeSettings = DEFAULTS,
    linear: LinearSettings = LINEAR,
) -> Head:
    """The head of one task.

    Args:
        task: the clips to fit on: those of test groups are not to be among them. Those without a vector are left out.
        features: their vectors, of `clip_vectors`.
        origin: what labels and vectors are.
        settings: folds, draws, seed, and the least number of groups for a class.

    Raises:
        TrainingError: too few groups, or no class in enough of them.
    """
    design = _design(task, features, settings)
    vectors = features.vectors[features.is_present]
    with _one_thread():
        rng = np.random.default_rng(design.seed)
        plain, has_converged = _held_out_scores(design, vectors, rng, linear)
        kept = fit_linear(vectors, design.target, design.task.groups, _is_score(design), rng, linear)
    held = quality(Judged.of_design(design, plain, _cross_calibrated(design, plain)))
    calibration, thresholds, said = _decisions(design, plain, held)
    notes = [f"{problem.where}: {problem.sentence}" for problem in design.dropped[:MAX_DROPPED_NAMED]]
    if len(design.dropped) > MAX_DROPPED_NAMED:
        notes.append(f"and {len(design.dropped) - MAX_DROPPED_NAMED} more clips or classes were dropped")
    if num_absent := int((~features.is_present).sum()):
        notes.append(f"{num_absent} clip(s) without a vector were left out")
    if not (has_converged and kept.has_converged):
        notes.append(f"a fit ran out of its {linear.max_iterations} iterations")
    return _head(design, origin, kept, held, calibration, thresholds, (*notes, *said))


def _one_thread() -> AbstractContextManager[object]:
    """Linear algebra in one thread: equal clips then give equal bytes, and small matrices are sooner done.

    The solvers are loaded first: a library that is loaded inside the limit is not limited.
    """
    import scipy.optimize  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def _design(task: TaskClips, features: ClipVectors, settings: ProbeSettings) -> TaskDesign:
    clips = tuple(clip for clip, has in zip(task.clips, features.is_present, strict=True) if has)
    design = design_task(replace(task, clips=clips), settings)
    if design.impossible:
        raise TrainingError(
            design.impossible,
            rule="a head is fitted, and judged, on labels of several groups of titles that are not test groups",
            where=f"task {task.task}",
            remedy="Label titles of more series.",
        )
    return design


def _head(
    design: TaskDesign,
    origin: HeadOrigin,
    kept: LinearFit,
    held: HeadQuality,
    calibration: tuple[Sigmoid, ...],
    thresholds: tuple[float | None, ...],
    notes: tuple[str, ...],
) -> Head:
    return Head(
        task=design.task.task,
        kind=design.task.kind,
        classes=design.classes,
        mean=kept.mean,
        scale=kept.scale,
        weights=kept.weights,
        bias=kept.bias,
        calibration=calibration,
        thresholds=thresholds,
        held_out=held,
        origin=origin,
        inverse_strength=kept.strength,
        notes=notes,
    )


def _is_score(design: TaskDesign) -> bool:
    return design.task.kind is LabelKind.SCORE


def _held_out_scores(
    design: TaskDesign, vectors: Vectors, rng: np.random.Generator, linear: LinearSettings
) -> tuple[Floats, bool]:
    """Each clip's plain score by the fit that did not see its group [C, K], and whether every fit converged."""
    plain = np.zeros_like(design.target)
    groups = np.asarray(design.task.groups)
    has_converged = True
    for trains, is_tested in held_out(design.folds):
        fitted = fit_linear(
            vectors[trains], design.target[trains], groups[trains].tolist(), _is_score(design), rng, linear
        )
        plain[is_tested] = fitted.scores(vectors[is_tested])
        has_converged &= fitted.has_converged
    return plain, has_converged


def _sigmoids(target: Floats, plain: Floats) -> tuple[Sigmoid, ...]:
    return tuple(fit_sigmoid(scores, column > 0.5) for scores, column in zip(plain.T, target.T, strict=True))


def _cross_calibrated(design: TaskDesign, plain: Floats) -> Floats:
    """Probabilities of each fold by sigmoids of the other folds, so that no clip judges its own calibration [C, K]."""
    if _is_score(design):
        return plain
    found = np.zeros_like(plain)
    for others, at in held_out(design.folds):
        found[at] = calibrated(plain[at], _sigmoids(design.target[others], plain[others]), design.task.kind)
    return found


def _decisions(
    design: TaskDesign, plain: Floats, held: HeadQuality
) -> tuple[tuple[Sigmoid, ...], tuple[float | None, ...], list[str]]:
    """A sigmoid and a threshold per class, and what is to be said of them."""
    if _is_score(design):
        return (_AS_IT_IS,), (None,), []
    sigmoids = _sigmoids(design.target, plain)
    probability = calibrated(plain, sigmoids, design.task.kind)
    thresholds: list[float | None] = []
    notes: list[str] = []
    for number, (found, sigmoid) in enumerate(zip(held.classes, sigmoids, strict=True)):
        is_positive: Flags = design.target[:, number] > 0.5
        is_told_apart = found.is_above_chance and sigmoid.slope > 0
        is_argmax = design.task.kind is LabelKind.SINGLE_LABEL
        thresholds.append(
            best_threshold(is_positive, probability[:, number])[0] if is_told_apart and not is_argmax else None
        )
        if not is_told_apart:
            fate = "doubtful wherever it is tagged" if is_argmax else "scored but never tagged"
            notes.append(f"the class {found.name!r} is not above chance on held-out groups: it is {fate}")
        num_side = min(found.num_positive, len(is_positive) - found.num_positive)
        if num_side < MIN_SIDE_CLIPS:
            notes.append(f"the class {found.name!r} is calibrated on {num_side} clip(s) of its rarer side")
    return sigmoids, tuple(thresholds), notes

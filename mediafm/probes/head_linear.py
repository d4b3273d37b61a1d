"""One linear probe over all classes as weights on the vectors themselves, to be kept.

The objective and the standardising are those of `mediafm.probes.linear`: rows by mean and deviation, scaled by
1/sqrt(width); log loss + |w|^2 / 2C for classes, squared error for scores; where features outnumber clips the
problem is solved in the span of the clips and turned back.

Legend: C clips, W width, K classes, S strengths, R the smaller of W and C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mediafm.probes.folds import group_folds, held_out
from mediafm.probes.linear import LinearSettings, reduced
from mediafm.probes.logistic import fit_jointly
from mediafm.probes.vectors import Floats, Indexes, Vectors


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearFit:
    """mean, scale: float64 [W]. weights: float64 [W, K]. bias: float64 [K]. strength: the inverse strength chosen.

    has_converged: whether every solver arrived.
    """

    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats
    strength: float
    has_converged: bool

    def scores(self, vectors: Vectors) -> Floats:
        """Log-odds (or predicted ranks) of [C, W]; float64 [C, K]."""
        found: Floats = (vectors.astype(np.float64) - self.mean) / self.scale @ self.weights + self.bias
        return found


def fit_linear(
    vectors: Vectors,
    target: Floats,
    groups: list[str],
    is_score: bool,
    rng: np.random.Generator,
    settings: LinearSettings,
) -> LinearFit:
    """Fits on all clips given, with the strength that loses least on folds of their groups.

    The strongest regularisation is taken where all clips are of one group.

    Args:
        vectors: float32 [C, W]. target: float64 [C, K]. groups: of each clip.
        is_score: ridge instead of logistic regression.
        rng: shuffles the groups.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    deviation = vectors.std(axis=0, dtype=np.float64)
    is_constant = deviation <= 1e-8
    scale = np.where(is_constant, 1.0, deviation) * np.sqrt(vectors.shape[1])
    rows = np.where(is_constant, 0.0, (vectors - mean) / scale)
    rows_R, rotation_WR = reduced(rows, np.eye(vectors.shape[1]))
    folds = group_folds(groups, settings.num_inner_folds, rng)
    strength, has_converged = _choose(rows_R, target, folds, is_score, settings)
    weights_SRK, bias_SK, arrived = _fit(rows_R, target, (strength,), is_score, settings)
    return LinearFit(
        mean=mean,
        scale=scale,
        weights=np.where(is_constant[:, None], 0.0, rotation_WR @ weights_SRK[0]),
        bias=bias_SK[0],
        strength=strength,
        has_converged=has_converged and arrived,
    )


def _choose(
    rows: Floats, target: Floats, folds: Indexes, is_score: bool, settings: LinearSettings
) -> tuple[float, bool]:
    """The strength with the least held-out loss over all classes, and whether every fit converged."""
    if folds.max(initial=0) == 0:
        return min(settings.inverse_strengths), True
    losses = np.zeros(len(settings.inverse_strengths))
    has_converged = True
    for trains, is_tested in held_out(folds):
        weights_SRK, bias_SK, arrived = _fit(
            rows[trains], target[trains], settings.inverse_strengths, is_score, settings
        )
        plain, truth = rows[is_tested] @ weights_SRK + bias_SK[:, None, :], target[is_tested]
        loss = (plain - truth) ** 2 if is_score else np.logaddexp(0, plain) - truth * plain
        losses += loss.sum(axis=(1, 2))
        has_converged &= arrived
    return settings.inverse_strengths[int(losses.argmin())], has_converged


def _fit(
    rows: Floats, target: Floats, strengths: tuple[float, ...], is_score: bool, settings: LinearSettings
) -> tuple[Floats, Floats, bool]:
    """weights [S, R, K] and bias [S, K] at every strength, and whether the solver arrived.

    A class with one side only gets no weights and the log-odds of its share, plus one clip of each side.
    """
    num_classes = target.shape[1]
    if is_score:
        from sklearn.linear_model import Ridge

        models = [Ridge(alpha=1 / strength).fit(rows, target) for strength in strengths]
        weights = np.stack([np.asarray(model.coef_).reshape(num_classes, -1).T for model in models])
        return weights, np.stack([np.atleast_1d(model.intercept_) for model in models]), True
    num_positive = target.sum(axis=0)
    weights = np.zeros((len(strengths), rows.shape[1], num_classes))
    bias = np.tile(np.log((num_positive + 1) / (len(target) - num_positive + 1)), (len(strengths), 1))
    has_both = np.flatnonzero((num_positive > 0) & (num_positive < len(target)))
    if not len(has_both):
        return weights, bias, True
    found = fit_jointly(rows, target[:, has_both], strengths, settings.max_iterations)
    weights[:, :, has_both], bias[:, has_both] = found.weights, found.intercepts
    return weights, bias, found.has_converged

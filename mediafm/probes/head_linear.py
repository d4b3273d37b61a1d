"""One linear probe over all classes as weights on the vectors themselves, to be kept.

The objective and the standardising are those of `mediafm.probes.linear`: rows by mean and deviation, scaled by
1/sqrt(width); log loss + |w|^2 / 2C for classes, squared error for scores; where features outnumber clips the
problem is solved in the span of the clips and turned back.

Legend: C clips, W width, K classes, R the smaller of W and C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mediafm.probes.folds import group_folds
from mediafm.probes.linear import LinearSettings, fitting_of, least_loss, reduced
from mediafm.probes.vectors import Floats, Vectors


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
    fitting = fitting_of(rows_R, is_score, settings)
    _, strength, num_unconverged = least_loss(rows_R, target, folds, fitting, settings.inverse_strengths)
    fitted = fitting.fit(rows_R, target, strength)
    return LinearFit(
        mean=mean,
        scale=scale,
        weights=np.where(is_constant[:, None], 0.0, rotation_WR @ fitted.weights[0]),
        bias=fitted.intercepts[0],
        strength=strength,
        has_converged=fitted.has_converged and not num_unconverged,
    )

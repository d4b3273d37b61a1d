"""Principal components of a training part: what brings feature sets of any width to one.

Legend: C clips, W width, D components, T present training clips.
"""

from __future__ import annotations

import numpy as np

from mediafm.probes.vectors import Flags, Floats, Vectors

SMALLEST_SHARE = 1e-10
"""Of the greatest variance; components below it are rounding, and are zeros."""


def principal_rows(vectors: Vectors, is_present: Flags, trains: Flags, num_components: int) -> Vectors:
    """All clips in the first principal components of the present training clips; float32 [C, D], absent rows zeros.

    By the eigenvectors of the smaller Gram matrix, W x W or T x T. No label is seen. Where the training part spans
    fewer components the rest are zeros, which no probe sees.

    Args:
        vectors: float32 [C, W]. is_present, trains: bool [C].
        num_components: D.
    """
    rows = np.zeros((len(vectors), num_components), dtype=np.float32)
    seen_TW = vectors[trains & is_present].astype(np.float64)
    if len(seen_TW) < 2:
        return rows
    mean_W = seen_TW.mean(axis=0)
    basis_WD = _basis(seen_TW - mean_W, num_components)
    rows[is_present, : basis_WD.shape[1]] = (vectors[is_present] - mean_W) @ basis_WD
    return rows


def _basis(centred_TW: Floats, num_components: int) -> Floats:
    """Orthonormal columns, the strongest first; as many as there are, at most `num_components`."""
    from scipy.linalg import eigh

    num_clips, width = centred_TW.shape
    is_tall = width <= num_clips
    gram = centred_TW.T @ centred_TW if is_tall else centred_TW @ centred_TW.T
    first = max(0, len(gram) - num_components)
    energy, vectors = eigh(gram, subset_by_index=(first, len(gram) - 1), check_finite=False)
    energy, vectors = energy[::-1], vectors[:, ::-1]
    keeps = energy > SMALLEST_SHARE * max(float(energy[0]), 1e-300)
    if is_tall:
        found: Floats = vectors[:, keeps]
        return found
    turned: Floats = centred_TW.T @ (vectors[:, keeps] / np.sqrt(energy[keeps]))
    return turned

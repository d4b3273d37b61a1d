"""Principal components of a training part: what brings feature sets of any width to one.

Legend: C clips, W width, D components, T present training clips, P present clips.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from mediafm.probes.vectors import Flags, Floats, Vectors

SMALLEST_SHARE = 1e-10
"""Of the greatest variance; components below it are rounding, and are zeros."""


class Components:
    """The clips of a feature set, in the principal components of whichever of them train.

    Args:
        vectors: float32 [C, W]. is_present: bool [C].
    """

    def __init__(self, vectors: Vectors, is_present: Flags) -> None:
        self._vectors = vectors
        self._is_present = is_present

    def rows(self, trains: Flags, num_components: int) -> Vectors:
        """All clips in the first principal components of the present training clips; float32 [C, D], absent rows zeros.

        By the eigenvectors of the smaller Gram matrix: W x W, or that of the clips, which all training parts share. No
        label is seen. Where the training part spans fewer components the rest are zeros, which no probe sees.

        Args:
            trains: bool [C]. num_components: D.
        """
        found = np.zeros((len(self._vectors), num_components), dtype=np.float32)
        seen = (trains & self._is_present)[self._is_present]
        if seen.sum() >= 2:
            by_width = self._vectors.shape[1] <= seen.sum()
            rows = self._by_width(seen, num_components) if by_width else self._by_clips(seen, num_components)
            found[self._is_present, : rows.shape[1]] = rows
        return found

    @cached_property
    def _wide(self) -> Floats:
        """[P, W]."""
        return self._vectors[self._is_present].astype(np.float64)

    @cached_property
    def _gram(self) -> Floats:
        """[P, P]."""
        found: Floats = self._wide @ self._wide.T
        return found

    def _by_width(self, seen: Flags, num_components: int) -> Floats:
        mean_W = self._wide[seen].mean(axis=0)
        centred_TW = self._wide[seen] - mean_W
        _, basis_WD = _strongest(centred_TW.T @ centred_TW, num_components)
        found: Floats = (self._wide - mean_W) @ basis_WD
        return found

    def _by_clips(self, seen: Flags, num_components: int) -> Floats:
        """Products with the training clips, both sides less the training mean: rows of the centred Gram matrix."""
        to_seen_PT = self._gram[:, seen]
        to_mean_P = to_seen_PT.mean(axis=1)
        centred_PT = to_seen_PT - to_mean_P[:, None] - to_mean_P[seen] + to_mean_P[seen].mean()
        energy_D, basis_TD = _strongest(centred_PT[seen], num_components)
        found: Floats = centred_PT @ (basis_TD / np.sqrt(energy_D))
        return found


def _strongest(gram: Floats, num_components: int) -> tuple[Floats, Floats]:
    """The greatest eigenvalues [D] and their vectors [n, D], the greatest first; fewer where the others are nothing."""
    from scipy.linalg import eigh

    first = max(0, len(gram) - num_components)
    energy, basis = eigh(gram, subset_by_index=(first, len(gram) - 1), check_finite=False)
    keeps = energy[::-1] > SMALLEST_SHARE * max(float(energy[-1]), 1e-300)
    return energy[::-1][keeps], basis[:, ::-1][:, keeps]

"""One title's fused vectors in order: what the model reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mediafm.data.manifest import ManifestTitle
from mediafm.errors import LineageMismatchError

NUM_MODALITIES = 3


@dataclass(frozen=True, eq=False)
class TitleSequence:
    """The shots of a title that have a vector, in order.

    title_id: whose.
    fused: float16 or float32 [N, E], unit rows.
    is_present: bool [N, 3], columns in the order of `Modality`; a row has at least one True.
    metadata: float32 [M], or None for a title without metadata.
    """

    title_id: str
    fused: NDArray[np.float16] | NDArray[np.float32]
    is_present: NDArray[np.bool_]
    metadata: NDArray[np.float32] | None

    def __post_init__(self) -> None:
        where = f"title {self.title_id}"
        if self.fused.ndim != 2 or self.is_present.shape != (len(self.fused), NUM_MODALITIES):
            raise LineageMismatchError(
                f"vectors {self.fused.shape} with presence {self.is_present.shape}",
                rule="a sequence is [N, E] vectors with [N, 3] presence flags",
                where=where,
            )
        if self.metadata is not None and self.metadata.ndim != 1:
            raise LineageMismatchError(
                f"metadata {self.metadata.shape}", rule="a title has one metadata vector [M]", where=where
            )

    @property
    def num_shots(self) -> int:
        return len(self.fused)


Loader: TypeAlias = Callable[[ManifestTitle], TitleSequence]
"""Reads one title's sequence from the store."""

"""Collapse: exported vectors that no longer tell shots apart. Watched while a run goes, and judged at its end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.split import Split
from mediafm.model.export import combine_layers, layer_vectors
from mediafm.model.mediafm import MediaFM
from mediafm.train.evaluation import unit_rows
from mediafm.train.layer_measures import effective_rank

MAX_TITLES = 8
MIN_TITLE_SHOTS = 8


@dataclass(frozen=True, kw_only=True)
class CollapseLimits:
    """Below these, exported vectors count as collapsed (our choice).

    min_rank_share: effective rank, as a share of the fused vectors' on the same titles.
    min_spread: 1 - the squared length of their mean.
    """

    min_rank_share: float = 0.1
    min_spread: float = 1e-3


class CollapseWatch:
    """The effective rank of what a network would export (the mean of its blocks) against the fused vectors'.

    On the first validation titles that are long enough; titles are few, because it is looked at often.
    """

    def __init__(self, manifest: TrainingManifest, corpus: Corpus) -> None:
        long = [
            planned.title.title_id
            for planned, part in manifest.parts(Split.VALIDATION)
            if part.end - part.start >= MIN_TITLE_SHOTS
        ]
        self._titles = [corpus.title(title_id) for title_id in sorted(set(long))[:MAX_TITLES]]
        self._fused_rank = self._mean([effective_rank(unit_rows(title.fused)) for title in self._titles])

    def rank_share(self, model: MediaFM) -> float | None:
        """Exported over fused, means over titles; None without a title that is long enough."""
        if not self._titles:
            return None
        model.eval()
        ranks = []
        for title in self._titles:
            layers = layer_vectors(
                model,
                torch.from_numpy(title.fused.astype(np.float32)),
                torch.from_numpy(np.array(title.is_present)),
                None if title.metadata is None else torch.from_numpy(np.array(title.metadata)),
            )
            ranks.append(effective_rank(combine_layers(layers, range(1, len(layers))).numpy()))
        return self._mean(ranks) / max(self._fused_rank, 1e-9)

    @staticmethod
    def _mean(values: list[float]) -> float:
        return float(np.mean(values)) if values else 1.0

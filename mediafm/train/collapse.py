"""Collapse: exported vectors that no longer tell shots apart. Watched while a run goes, and judged at its end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.split import Split
from mediafm.model.export import combine_layers, layer_vectors
from mediafm.model.mediafm import MediaFM
from mediafm.train.batches import title_tensors
from mediafm.train.evaluation import unit_rows
from mediafm.train.layer_measures import effective_rank, spread

MAX_TITLES = 8
MIN_TITLE_SHOTS = 8


@dataclass(frozen=True, kw_only=True)
class CollapseSigns:
    """What is looked at, as means over titles.

    rank_share: effective rank of the exported vectors, as a share of the fused vectors' on the same titles.
    spread: 1 - the squared length of the exported vectors' mean; 0 when all are one vector.
    """

    rank_share: float
    spread: float


@dataclass(frozen=True, kw_only=True)
class CollapseLimits:
    """Signs below these count as collapsed (our choice).

    Both are needed: vectors that shrank to a point keep the rank of what noise is left, and vectors along a line are
    spread.
    """

    min_rank_share: float = 0.1
    min_spread: float = 1e-3

    def complaint(self, signs: CollapseSigns) -> str:
        """What is below its limit, "" where nothing is."""
        if signs.rank_share < self.min_rank_share:
            share, least = signs.rank_share, self.min_rank_share
            return f"the exported vectors' effective rank is {share:.3f} of the fused vectors', below {least}"
        if signs.spread < self.min_spread:
            return f"the exported vectors' spread is {signs.spread:.2g}, below {self.min_spread}"
        return ""


class CollapseWatch:
    """Effective rank and spread of what a network would export (the mean of its blocks).

    On the first validation titles that are long enough; titles are few, because it is looked at often.
    """

    def __init__(self, manifest: TrainingManifest, corpus: Corpus) -> None:
        long = [
            planned.title.title_id
            for planned, part in manifest.parts(Split.VALIDATION)
            if part.end - part.start >= MIN_TITLE_SHOTS
        ]
        self._titles = [corpus.title(title_id) for title_id in sorted(set(long))[:MAX_TITLES]]
        ranks = [effective_rank(unit_rows(title.fused)) for title in self._titles]
        self._fused_rank = float(np.mean(ranks)) if ranks else 1.0

    def look(self, model: MediaFM) -> CollapseSigns | None:
        """The network as it stands; None without a title that is long enough."""
        if not self._titles:
            return None
        model.eval()
        ranks, spreads = [], []
        for title in self._titles:
            layers = layer_vectors(model, *title_tensors(title))
            vectors_ND = combine_layers(layers, range(1, len(layers))).numpy()
            ranks.append(effective_rank(vectors_ND))
            spreads.append(spread(vectors_ND))
        rank_share = float(np.mean(ranks)) / max(self._fused_rank, 1e-9)
        return CollapseSigns(rank_share=rank_share, spread=float(np.mean(spreads)))

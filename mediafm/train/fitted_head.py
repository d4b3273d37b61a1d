"""A head in closed form, for objectives that do not train it: ridge from what stands at masked positions.

Without it the validation loss of such a run would follow how fast a head can chase a moving network, not the network.
Fitted on training titles under their stored masks, its penalty chosen there. Our choice.

M masked shots, D model width, E fused width.
"""

from __future__ import annotations

import torch

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.split import Split
from mediafm.model.batch import pack
from mediafm.model.mediafm import MediaFM
from mediafm.train.evaluation import EvaluationItem, batches_of, items_of, unit_rows
from mediafm.train.layer_meters import evenly_masked
from mediafm.train.layer_sources import item_view
from mediafm.train.ridge import RidgeSums, halves_of

MAX_FIT_MASKED = 4000
"""Masked training shots behind a fit, taken evenly: it is repeated at every evaluation."""
SHOTS_PER_BATCH = 8192


class FittedHead:
    """Knows its training shots; sets a network's head whenever it is asked to. Draws nothing."""

    def __init__(self, manifest: TrainingManifest, corpus: Corpus) -> None:
        self._corpus = corpus
        self._items = evenly_masked(items_of(manifest, Split.TRAIN, "random"), MAX_FIT_MASKED)
        self._halves = halves_of(item.group_id for item in self._items)

    @torch.no_grad()
    def set(self, model: MediaFM) -> None:
        """Replaces the weights and bias of `model.head`; nothing else of it is touched."""
        model.eval()
        sums = RidgeSums(model.config.hidden_dim, model.config.fused_dim)
        for run in batches_of(self._items, SHOTS_PER_BATCH):
            self._add(sums, model, run)
        ridge = sums.fit()
        weights_WE = ridge.weights_WE
        model.head.weight.copy_(weights_WE.T)
        model.head.bias.copy_(ridge.bias_E - ridge.mean_W @ weights_WE)

    def _add(self, sums: RidgeSums, model: MediaFM, run: list[EvaluationItem]) -> None:
        views = [item_view(self._corpus, item) for item in run]
        device = next(model.parameters()).device
        batch = pack([view.tensors() for view in views], model.config.metadata_dim).to(device)
        tokens_MD = model.final_norm(model.shot_tokens(batch)[batch.is_masked_N]).float().cpu()
        counts = [int(view.is_hidden.sum()) for view in views]
        for item, view, rows_mD in zip(run, views, torch.split(tokens_MD, counts), strict=True):
            sums.add(self._halves[item.group_id], rows_mD.numpy(), unit_rows(view.fused[view.is_hidden]))

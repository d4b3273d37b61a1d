"""The common read-out: skill that any objective has, whether or not its own head predicts fused vectors.

A ridge regression is fitted from a layer's outputs at masked positions to the fused vectors that were masked: on
training titles under their stored masks, its penalty chosen there too. It is scored on another split's stored masks
against the trivial predictors, by the machinery that scores a head. So layers of one model, and models of different
objectives, are compared by what stands at a masked position. Our choice.

Both sides are capped, taken evenly: a regression of some thousand rows is fitted well before the catalogue ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.split import Split
from mediafm.model.export import combine_layers
from mediafm.model.mediafm import MediaFM
from mediafm.train.evaluation import EvaluationItem, Floats, batches_of, items_of, unit_rows
from mediafm.train.layer_meters import evenly_masked
from mediafm.train.layer_sources import item_view, unit_layers
from mediafm.train.predictors import TrivialPredictors
from mediafm.train.ridge import RidgeSums, halves_of
from mediafm.train.skill import SkillMeter, SkillReport, fit_predictors

MAX_FIT_MASKED = 20_000
"""Masked training shots behind a fit; beyond them passes are taken evenly."""
MAX_SCORED_SHOTS = 10_000
"""Shots of the scored split; beyond them windows are taken evenly."""
SHOTS_PER_BATCH = 8192
NUM_BOOTSTRAP = 1000

Layers = Mapping[str, Sequence[int]]
"""Name -> the blocks whose normalised mean is read; block 0 is the first's input."""


def readout_skill(
    model: MediaFM,
    manifest: TrainingManifest,
    corpus: Corpus,
    split: Split,
    mask_set: str,
    layers: Layers,
    *,
    predictors: Mapping[str, TrivialPredictors] | None = None,
    max_shots: int | None = MAX_SCORED_SHOTS,
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> dict[str, SkillReport]:
    """Name -> skill of a ridge read-out of these layers at masked positions.

    Args:
        split: scored; its titles fit nothing.
        mask_set: "random" or "span", for the fit and the score.
        predictors: `fit_predictors` of the same mask set, if the caller has them already.
        max_shots: of `split`; None for all.
        num_bootstrap, seed: of the intervals.
    """
    model.eval()
    predictors = predictors or fit_predictors(manifest, corpus, mask_set)
    meter = SkillMeter(manifest, corpus, predictors, split, mask_set, max_shots)
    fit_items = evenly_masked(items_of(manifest, Split.TRAIN, mask_set), MAX_FIT_MASKED)
    halves = halves_of(item.group_id for item in fit_items)
    sums = {name: RidgeSums(model.config.hidden_dim, corpus.fused_dim) for name in layers}
    for item, target_ME, found in _masked_outputs(model, corpus, fit_items, layers):
        for name, rows_MD in found.items():
            sums[name].add(halves[item.group_id], rows_MD, target_ME)
    # Outputs are kept, not predictions: a model is narrower than the fused vectors that it tells.
    outputs: dict[str, list[Floats]] = {name: [] for name in layers}
    for _, _, found in _masked_outputs(model, corpus, meter.items, layers):
        for name, rows_MD in found.items():
            outputs[name].append(rows_MD)
    reports = {}
    for name in layers:
        ridge = sums.pop(name).fit()
        losses = meter.losses(map(ridge.predict, outputs.pop(name)))
        reports[name] = meter.report(losses, num_bootstrap, seed)
    return reports


def _masked_outputs(
    model: MediaFM, corpus: Corpus, items: Sequence[EvaluationItem], layers: Layers
) -> Iterator[tuple[EvaluationItem, Floats, dict[str, Floats]]]:
    """(item, the masked shots' unit fused vectors [M, E], name -> their outputs [M, D]) of each item, in order."""
    for run in batches_of(items, SHOTS_PER_BATCH):
        views = [item_view(corpus, item) for item in run]
        for item, view, blocks in zip(run, views, unit_layers(model, views), strict=True):
            masked = [x_nD[torch.from_numpy(item.is_masked)] for x_nD in blocks]
            rows = {name: combine_layers(masked, chosen).numpy() for name, chosen in layers.items()}
            yield item, unit_rows(view.fused[item.is_masked]), rows

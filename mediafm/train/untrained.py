"""The same architecture before its first step: what a run's vectors owe to its first weights alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.model.mediafm import MediaFM
from mediafm.train.config import TrainConfig
from mediafm.train.evaluation import FUSED_VIEW, training_shots
from mediafm.train.skill import corpus_means
from mediafm.train.trainer import FIRST_WEIGHTS_MAX_SHOTS, first_model


def untrained_models(config: TrainConfig, manifest: TrainingManifest, corpus: Corpus) -> dict[str, MediaFM]:
    """How its weights were made -> the network, from the run's own seed: "random", and "data" if the run began so."""
    rows_NE, _ = training_shots(manifest, corpus, FIRST_WEIGHTS_MAX_SHOTS)
    head_bias = corpus_means(manifest, corpus)[FUSED_VIEW]
    kinds: list[Literal["random", "data"]] = ["random"]
    if config.first_weights == "data":
        kinds.append("data")
    return {made: first_model(replace(config, first_weights=made), rows_NE, head_bias).eval() for made in kinds}

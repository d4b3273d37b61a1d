"""From a configuration to an objective."""

from __future__ import annotations

from mediafm.model.mediafm import MediaFM
from mediafm.objective.blocks import Blocks
from mediafm.objective.config import ObjectiveConfig
from mediafm.objective.contextual import Contextual
from mediafm.objective.msm import MaskedShots
from mediafm.objective.objective import Objective


def create(config: ObjectiveConfig, model: MediaFM, blocks: Blocks, seed: int) -> Objective:
    """The objective that `config` describes; its first own weights are drawn from `seed`.

    Args:
        model: with its first weights; a teacher begins as its copy.
        blocks: the statistics of the training shots' blocks.
    """
    if config.family == "contextual":
        return Contextual(config, model, seed)
    return MaskedShots(config, blocks, model.config.hidden_dim)

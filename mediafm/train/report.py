"""What a run found, written down once: skill, layers, collapse, data, environment; and the checkpoint that holds it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mediafm.data.manifest import TrainingManifest
from mediafm.data.split import Split
from mediafm.errors import TrainingError
from mediafm.model.mediafm import num_parameters
from mediafm.train.checkpoint import Checkpoint, make_checkpoint
from mediafm.train.collapse import CollapseLimits
from mediafm.train.evaluation import FUSED_VIEW
from mediafm.train.layer_rows import LayerTable
from mediafm.train.layers import choose_layers
from mediafm.train.predictors import TrivialPredictors
from mediafm.train.readout import MAX_FIT_MASKED, MAX_SCORED_SHOTS, readout_skill
from mediafm.train.retrieval import RetrievalMeter
from mediafm.train.skill import SkillMeter, fit_predictors
from mediafm.train.trainer import Trainer
from mediafm.train.untrained import untrained_models
from mediafm.types import Json

MASK_SETS = ("random", "span")


def finish(
    trainer: Trainer,
    manifest: TrainingManifest,
    predictors: Mapping[str, TrivialPredictors],
    facts: Mapping[str, Any],
) -> Checkpoint:
    """The checkpoint of the trainer's present weights, with its report: test skill, layers chosen on validation.

    Two skills stand in it: "skill" by the network's own head, "readout" by a ridge of each block, for any objective.

    Raises:
        TrainingError: the weights hold a number that is not finite.
    """
    _check_weights(trainer)
    untrained = untrained_models(trainer.config, manifest, trainer.corpus)
    untrained = {made: model.to(trainer.device) for made, model in untrained.items()}
    table = choose_layers(trainer.exported, manifest, trainer.corpus, untrained)
    fitted = {
        mask_set: predictors if mask_set == "random" else fit_predictors(manifest, trainer.corpus, mask_set)
        for mask_set in MASK_SETS
    }
    report: dict[str, Json] = {
        "run": dict(facts),
        "preset": trainer.config.preset,
        "num_parameters": num_parameters(trainer.exported),
        "data": manifest.summary(),
        "manifest_sha256": manifest.sha256,
        "skill": _skill(trainer, manifest, fitted),
        "readout": _readout(trainer, manifest, fitted, table.export_layers),
        "layers": table.as_json(),
        "is_uncollapsed": is_uncollapsed(table),
        "environment": {**environment(trainer.device), "num_ranks": trainer.ranks.count, **trainer.build_facts()},
    }
    return make_checkpoint(
        trainer.exported, table.export_layers, manifest.space, manifest.sha256, trainer.config.as_json(), report
    )


def is_uncollapsed(table: LayerTable, limits: CollapseLimits | None = None) -> bool:
    """Whether the exported vectors still tell shots apart; True where no title was long enough to say."""
    limits = limits or CollapseLimits()
    exported, fused = table.row(table.export_layers), table.baseline("fused")
    if exported is None or fused is None:
        return True
    has_rank = exported.effective_rank >= limits.min_rank_share * fused.effective_rank
    return bool(has_rank and exported.spread >= limits.min_spread)


def environment(device: torch.device) -> dict[str, Json]:
    """What the run ran on, as far as it moves numbers; no host, no user."""
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": device.type,
        "num_threads": torch.get_num_threads(),
    }


def _skill(
    trainer: Trainer, manifest: TrainingManifest, predictors: Mapping[str, Mapping[str, TrivialPredictors]]
) -> dict[str, Json]:
    """Skill on test under both mask sets, and retrieval under the random one."""
    found: dict[str, Json] = {"split": "test", "is_within_title": manifest.is_within_title}
    for mask_set, fitted in predictors.items():
        meter = SkillMeter(manifest, trainer.corpus, fitted, Split.TEST, mask_set)
        ranked = RetrievalMeter(meter.items, trainer.corpus, fitted[FUSED_VIEW])
        # One pass: a test split's predictions may be larger than memory.
        losses = meter.losses(ranked.watching(trainer.predict(meter.items)))
        skill = meter.report(losses, trainer.config.num_bootstrap, trainer.config.seed)
        found[mask_set] = skill.as_json()
        if mask_set == "random":
            retrieval = ranked.report()
            found["retrieval"] = retrieval.as_json() if retrieval else None
    return found


def _readout(
    trainer: Trainer,
    manifest: TrainingManifest,
    predictors: Mapping[str, Mapping[str, TrivialPredictors]],
    export_layers: tuple[int, ...],
) -> dict[str, Json]:
    """Skill on test of a ridge read-out of every block and of the exported mean, under both mask sets."""
    blocks = {f"block {layer}": (layer,) for layer in range(trainer.config.model.num_layers + 1)}
    found: dict[str, Json] = {"split": "test", "max_fit_masked": MAX_FIT_MASKED, "max_scored_shots": MAX_SCORED_SHOTS}
    for mask_set, fitted in predictors.items():
        reports = readout_skill(
            trainer.exported,
            manifest,
            trainer.corpus,
            Split.TEST,
            mask_set,
            {**blocks, "exported": export_layers},
            predictors=fitted,
            num_bootstrap=trainer.config.num_bootstrap,
            seed=trainer.config.seed,
        )
        found[mask_set] = {name: report.as_json() for name, report in reports.items()}
    return found


def _check_weights(trainer: Trainer) -> None:
    wrong = [name for name, tensor in trainer.exported.state_dict().items() if not torch.isfinite(tensor).all()]
    if wrong:
        raise TrainingError(
            f"{', '.join(wrong[:10])} not finite",
            rule="a checkpoint's weights are finite",
            where=f"step {trainer.step}",
            remedy="Lower the learning rates.",
        )

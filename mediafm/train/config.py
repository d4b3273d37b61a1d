"""What a training run is told: the architecture, the optimizers, the step, when to look and when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from mediafm.config import TrainingSettings
from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.masks import NUM_FOLDS
from mediafm.data.split import Split
from mediafm.errors import ConfigError, LineageMismatchError
from mediafm.fusion import Space
from mediafm.model import presets
from mediafm.model.config import ModelConfig
from mediafm.objective import config as objectives
from mediafm.objective.config import ObjectiveConfig
from mediafm.optim.optimizers import OptimConfig
from mediafm.train.precision import PrecisionSetting
from mediafm.types import Json

SHOTS_PER_STEP = 2048
MAX_VALIDATION_SHOTS = 20_000
MAX_STEPS = 20_000
"""Bound on a run that the configuration does not bound; early stopping ends it long before."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run; round-trips through JSON exactly.

    preset: the name that `model` was made from.
    model, objective, optim: the architecture, what is minimised, and the optimizers.
    seed: of first weights, order, masks and intervals.
    is_first_block_held: whether the projection and the first block keep the first weights that the data gave them (our
        choice; `benchmarks.context` says why). Without such weights there is nothing to hold.
    first_weights: "data" begins from the training vectors (see `model.from_data`), "random" from the seed alone.
    shots_per_step: about how many shots one step sees (at least one title).
    shots_per_micro_step: about how many go through the model at once; a step's gradient does not depend on it.
    metadata_drop_share: how often [GLOBAL] is told "no metadata" although there is some, so that it is learnt.
    warmup_steps: of the learning rates.
    evaluate_every_steps: how often the validation loss is taken.
    save_every_steps: how often the state that a stopped run goes on from is written; it moves nothing.
    patience_evaluations: so many without a better one, and the decay begins.
    min_improvement: by how much a validation loss must fall to count as better.
    decay_share: length of the decay, as a share of the steps behind the state that it starts from.
    max_steps: bound on all steps, the decay included.
    max_seconds: bound on the loop's wall clock; None for none. A run that ends by it is not reproducible.
    max_validation_shots: validation windows beyond so many shots wait for the final report.
    weight_ema: share of itself that a moving average of the weights keeps a step; the average is then what is
        evaluated and exported. 0 for none.
    explosion_factor: a training loss greater than this many times the median of the last steps' stops the run.
    precision: "bfloat16" autocasts the model, "auto" does so where it wins (see `train.precision`); the loss is float32
        always.
    compile: `torch.compile` of the blocks; where it fails the run goes on without it and says so.
    corpus_device_share: the corpus lives on a GPU where it takes at most this share of what is free there; 0 for never.
    num_bootstrap: resamples behind each interval.
    """

    preset: str
    model: ModelConfig
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    seed: int = 0
    is_first_block_held: bool = True
    first_weights: Literal["data", "random"] = "data"
    shots_per_step: int = SHOTS_PER_STEP
    shots_per_micro_step: int = 16_384
    metadata_drop_share: float = 0.3
    warmup_steps: int = 10
    evaluate_every_steps: int = 20
    save_every_steps: int = 100
    patience_evaluations: int = 10
    min_improvement: float = 1e-4
    decay_share: float = 0.2
    max_steps: int = MAX_STEPS
    max_seconds: float | None = None
    max_validation_shots: int = MAX_VALIDATION_SHOTS
    weight_ema: float = 0.0
    explosion_factor: float = 10.0
    precision: PrecisionSetting = "auto"
    compile: bool = False
    corpus_device_share: float = 0.5
    num_bootstrap: int = 1000

    def __post_init__(self) -> None:
        is_possible = (
            0 <= self.metadata_drop_share <= 1
            and 0 <= self.weight_ema < 1
            and self.explosion_factor > 1
            and 0 <= self.decay_share <= 1
            and 0 <= self.corpus_device_share <= 1
            and min(self.shots_per_step, self.shots_per_micro_step, self.max_steps) >= 1
            and min(self.evaluate_every_steps, self.save_every_steps) >= 1
            and self.patience_evaluations >= 1
        )
        if not is_possible:
            raise ConfigError(
                f"{self.as_json()}", rule="shares lie in [0, 1], counts are at least 1", where="training config"
            )

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, parts: Mapping[str, Any]) -> TrainConfig:
        """The inverse of `as_json`, also after the JSON was text.

        Raises:
            ConfigError: a field is missing, unknown or impossible.
        """
        unknown = set(parts) - {item.name for item in fields(cls)}
        if unknown:
            raise ConfigError(f"{sorted(unknown)}", rule="every field is known", where="training config")
        optim = {**parts["optim"], "adamw_betas": tuple(parts["optim"]["adamw_betas"])}
        made = {
            "model": ModelConfig.from_json(parts["model"]),
            "objective": ObjectiveConfig.from_json(parts["objective"]),
            "optim": OptimConfig(**optim),
        }
        return cls(**{**parts, **made})


def resolve(settings: TrainingSettings, manifest: TrainingManifest, corpus: Corpus) -> TrainConfig:
    """The run that the configuration asks for on this manifest; "auto" chooses the preset by the training shots.

    Raises:
        LineageMismatchError: the corpus is not as wide as the manifest's space.
    """
    space = Space.from_json(manifest.space)
    found, wanted = (corpus.fused_dim, corpus.metadata_dim), (space.width, space.metadata_width)
    if found[0] != wanted[0] or found[1] not in {0, wanted[1]}:
        raise LineageMismatchError(
            f"fused and metadata vectors {found} wide",
            rule=f"the manifest's space has {wanted}",
            where="training corpus",
            remedy="Embed the titles again, then materialise training_manifest.",
        )
    name = presets.resolve(settings.preset, manifest.num_shots(Split.TRAIN))
    return TrainConfig(
        preset=name,
        model=presets.PRESETS[name](space.width, space.metadata_width),
        objective=objectives.resolve(settings.objective, settings.objective_settings),
        seed=settings.seed,
        first_weights="random" if name.startswith("published") else "data",
        evaluate_every_steps=_evaluate_every(manifest),
        max_seconds=settings.max_seconds,
        max_steps=settings.max_steps or MAX_STEPS,
        save_every_steps=settings.save_every_steps,
        compile=settings.compile,
        corpus_device_share=settings.corpus_device_share,
    )


def _evaluate_every(manifest: TrainingManifest) -> int:
    """So many steps between evaluations that these take about a fifth of the time, at least five.

    An evaluation passes five times over the validation shots; a step costs about three passes over its own.
    """
    evaluated = NUM_FOLDS * min(manifest.num_shots(Split.VALIDATION), MAX_VALIDATION_SHOTS)
    stepped = 3 * min(manifest.num_shots(Split.TRAIN), SHOTS_PER_STEP)
    return max(5, round(4 * evaluated / stepped))

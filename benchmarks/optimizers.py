"""Muon against AdamW: steps to the same validation loss, each with the best of one grid, and what a step costs more.

Both train the same model on the same titles, windows and masks; they differ in what moves the blocks' matrices. Every
learning rate and weight decay of the grid is tried with the first seed; the best of each optimizer, by its lowest
validation loss, is then run with every seed. A seed's targets are the lowest losses that its AdamW run reached in all
of its steps, and, since the end of a run is flat, in shares of them. The rate is warmed up and then constant, as in a
run's stable phase.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.row import Row, alternate_seconds
from benchmarks.training import make_workload, our_loop
from mediafm.config import TrainingSettings
from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import build_manifest
from mediafm.data.scenes import SceneCatalog
from mediafm.data.scenes_settings import SceneSettings
from mediafm.data.split import Split
from mediafm.model import presets
from mediafm.optim.optimizers import OptimConfig
from mediafm.optim.schedule import Schedule
from mediafm.train.config import TrainConfig
from mediafm.train.evaluation import FUSED_VIEW
from mediafm.train.skill import SkillMeter, corpus_means, fit_predictors
from mediafm.train.threads import cpu_threads
from mediafm.train.trainer import Trainer

PRESET, COST_PRESET = "tiny", "small"
NUM_TITLES, WIDTH = 200, 64
RATES = (1e-4, 3e-4, 1e-3)
DECAYS = (0.01, 0.1, 0.5)
SEEDS = (0, 1, 2)
NUM_STEPS, EVALUATE_EVERY, WARMUP_STEPS = 160, 10, 10
SHOTS_PER_STEP, MAX_VALIDATION_SHOTS = 512, 600
NUM_REPEATS = 4
SHARES = (0.25, 0.5, 1.0)
GOAL_STEPS = 0.75


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Validation losses after every `EVALUATE_EVERY` steps, the untrained model's first."""

    losses: tuple[float, ...]

    @property
    def lowest(self) -> float:
        return min(self.losses)

    def lowest_within(self, share: float) -> float:
        """The lowest loss within the first share of the steps."""
        return min(self.losses[: 1 + round(share * (len(self.losses) - 1))])

    def steps_to(self, loss: float) -> float:
        """Steps until the loss was first that low, interpolated; 0 if it began there, infinity if it never was."""
        if self.losses[0] <= loss:
            return 0.0
        for number, (before, after) in enumerate(itertools.pairwise(self.losses)):
            if after <= loss:
                return EVALUATE_EVERY * (number + (before - loss) / max(before - after, 1e-12))
        return float("inf")


class Race:
    """The titles and the measure that all runs share."""

    def __init__(self, folder: Path) -> None:
        catalog = SceneCatalog(SceneSettings(num_titles=NUM_TITLES, width=WIDTH))
        self.manifest = build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())
        self.corpus = open_corpus(self.manifest, catalog.load, folder)
        self._bias = corpus_means(self.manifest, self.corpus)[FUSED_VIEW]
        predictors = fit_predictors(self.manifest, self.corpus, "random")
        self._meter = SkillMeter(
            self.manifest, self.corpus, predictors, Split.VALIDATION, "random", MAX_VALIDATION_SHOTS
        )

    def run(self, optimizer: str, rate: float, decay: float, seed: int) -> Curve:
        """One run of `NUM_STEPS` steps."""
        config = TrainConfig(
            preset=PRESET,
            model=presets.PRESETS[PRESET](3 * WIDTH, WIDTH),
            optim=OptimConfig(muon_lr=rate, adamw_lr=rate, weight_decay=decay, hidden_optimizer=optimizer),
            seed=seed,
            shots_per_step=SHOTS_PER_STEP,
        )
        trainer = Trainer(self.manifest, self.corpus, config, self._bias, "cpu")
        schedule = Schedule(warmup_steps=WARMUP_STEPS)
        losses = [self._loss(trainer)]
        for step in range(NUM_STEPS):
            trainer.take_step(schedule.scale(step))
            if (step + 1) % EVALUATE_EVERY == 0:
                losses.append(self._loss(trainer))
        trainer.close()
        return Curve(losses=tuple(losses))

    def best(self, optimizer: str) -> tuple[float, float]:
        """The rate and decay of the grid that reach the lowest loss with the first seed."""
        grid = itertools.product(RATES, DECAYS)
        return min(grid, key=lambda cell: self.run(optimizer, *cell, SEEDS[0]).lowest)

    def _loss(self, trainer: Trainer) -> float:
        return self._meter.losses(trainer.predict(self._meter.items))[FUSED_VIEW].mean


def rows(catalog: Path | None = None) -> list[Row]:
    """Steps to the same loss, and the cost of a step. `catalog` is not looked at."""
    with tempfile.TemporaryDirectory(prefix="mediafm-bench-") as folder, cpu_threads(1):
        race = Race(Path(folder))
        chosen = {name: race.best(name) for name in ("muon", "adamw")}
        curves = {name: [race.run(name, *cell, seed) for seed in SEEDS] for name, cell in chosen.items()}
        return [*compare(curves["muon"], curves["adamw"], chosen), _cost_row(Path(folder) / "cost")]


def compare(muon: Sequence[Curve], adamw: Sequence[Curve], chosen: dict[str, tuple[float, float]]) -> list[Row]:
    """The rows on runs of the same seeds."""
    told = ", ".join(f"{name} {rate:g}/{decay:g}" for name, (rate, decay) in chosen.items())
    return [
        *(_steps_row(muon, adamw, share, told) for share in SHARES),
        Row(
            name=f"optimizers: lowest validation loss in {NUM_STEPS} steps",
            value=statistics.mean(curve.lowest for curve in muon),
            unit="cosine distance",
            rival="AdamW",
            rival_value=statistics.mean(curve.lowest for curve in adamw),
        ),
    ]


def _steps_row(muon: Sequence[Curve], adamw: Sequence[Curve], share: float, told: str) -> Row:
    """Steps to what AdamW reached within that share of its own; who never does counts as one step more than all."""
    targets = [curve.lowest_within(share) for curve in adamw]
    steps = [min(curve.steps_to(loss), NUM_STEPS + 1.0) for curve, loss in zip(muon, targets, strict=True)]
    rival = [max(1.0, curve.steps_to(loss)) for curve, loss in zip(adamw, targets, strict=True)]
    ratios = [one / other for one, other in zip(steps, rival, strict=True)]
    return Row(
        name=f"optimizers: steps to AdamW's lowest loss in {share:.0%} of its steps "
        f"(rate/decay {told}; seeds {min(ratios):.2f} to {max(ratios):.2f})",
        value=statistics.mean(steps),
        unit="steps",
        rival="AdamW",
        rival_value=statistics.mean(rival),
        ratio=statistics.mean(ratios),
        goal=GOAL_STEPS if share == 1 else None,
    )


def _cost_row(folder: Path) -> Row:
    """Seconds of a whole step, Muon's over AdamW's."""
    workload = make_workload(folder).of(COST_PRESET)
    loops = [
        our_loop(replace(workload, config=replace(workload.config, optim=OptimConfig(hidden_optimizer=name))), "cpu")
        for name in ("muon", "adamw")
    ]
    for loop in loops:
        loop()
    muon, adamw = alternate_seconds(loops[0], loops[1], NUM_REPEATS)
    return Row(
        name=f"optimizers: a step of {COST_PRESET}, {int(np.mean([len(step) for step in workload.steps]))} titles",
        value=muon / len(workload.steps),
        unit="s",
        rival="AdamW",
        rival_value=adamw / len(workload.steps),
    )

"""A training run from manifest to checkpoint: warm-up, stable, and, when patience ends, back to the best and decay.

The stable phase lasts until the validation loss has not improved for `patience_evaluations`, or the bounds on steps or
seconds are near. Then the run goes back to its best state, takes `decay_share` of that state's steps again while the
learning rates fall to zero, and exports the better of the two by validation loss.

A run with a `RunFolder` writes its state every `save_every_steps`; stopped at any step and begun again, it goes on from
the last one and ends with the weights of never having stopped: bitwise on the same machine, build and thread count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.sampler import MaskedWindow
from mediafm.data.split import Split
from mediafm.errors import TrainingError
from mediafm.optim.schedule import Schedule
from mediafm.train.checkpoint import Checkpoint
from mediafm.train.collapse import CollapseLimits, CollapseSigns, CollapseWatch
from mediafm.train.config import TrainConfig
from mediafm.train.curves import CurvePoint
from mediafm.train.evaluation import FUSED_VIEW
from mediafm.train.ranks import ALONE, Ranks
from mediafm.train.report import finish
from mediafm.train.run_state import RunFolder, RunState, finite_or_none
from mediafm.train.skill import SkillMeter, corpus_means, fit_predictors
from mediafm.train.threads import build_facts, cpu_threads, threads_for
from mediafm.train.trainer import Trainer, TrainState, titles_of
from mediafm.types import Json

Progress = Callable[[int, int], None]
"""Called with (steps taken, the most there can be)."""
EXPLOSION_STEPS = 20
"""Steps whose median loss says what is usual."""
MIN_USUAL_LOSS = 1e-3
"""A loss near zero may grow many times without meaning anything."""
_AGAINST_COLLAPSE = {
    "msm": "Raise spread_weight or visible_weight, or lower the learning rates.",
    "contextual": "Raise tau_start and tau_end, lower the learning rates, or take the objective msm.",
}
OnMetrics = Callable[[CurvePoint], None]
"""Called at each evaluation."""


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What a run gives.

    checkpoint: the best state by validation loss, with its report inside.
    curves: one point an evaluation.
    report: skill, layers, data, environment, as JSON; the same as `checkpoint.report`.
    seconds: wall clock of the whole run, evaluation included. Not in the report, so that equal work gives equal bytes.
    resumed_at_step: steps that a run before this process had taken and this one went on from; None if it began anew.
    notes: what is to be said of the resumption, one sentence each.
    """

    checkpoint: Checkpoint
    curves: tuple[CurvePoint, ...]
    report: dict[str, Json]
    seconds: float
    resumed_at_step: int | None = None
    notes: tuple[str, ...] = ()


def train(
    manifest: TrainingManifest,
    corpus: Corpus,
    config: TrainConfig,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
    on_metrics: OnMetrics | None = None,
    folder: RunFolder | None = None,
    ranks: Ranks = ALONE,
) -> TrainResult:
    """Trains one checkpoint, or goes on with one that was stopped.

    Of several ranks each calls this with the same arguments and gets the same result; the first one writes states.

    Args:
        manifest: what the run sees.
        corpus: its vectors.
        config: everything else; `train.config.resolve` makes it from the configuration.
        device: a torch device.
        progress, on_metrics: told of every step, and of every evaluation of this process.
        folder: where the run's states rest; they must be those of this manifest, configuration and device.
        ranks: this process among those that train together.

    Raises:
        TrainingError: a number was not finite, the loss exploded, or the run collapsed; says where it may go on from.
    """
    with cpu_threads(threads_for(config.model, device)):
        run = _Run(manifest, corpus, config, device, progress, on_metrics, folder, ranks)
        with closing(run.trainer):
            run.stable_phase()
            run.decay_phase()
            run.trainer.restore(run.best_state)
            checkpoint = finish(run.trainer, manifest, run.predictors, run.facts())
    return TrainResult(
        checkpoint, tuple(run.curves), dict(checkpoint.report), run.elapsed(), run.resumed_at_step, tuple(run.notes)
    )


class _Run:
    """The loop's memory: the best state so far, the curve, and the clock."""

    def __init__(
        self,
        manifest: TrainingManifest,
        corpus: Corpus,
        config: TrainConfig,
        device: str,
        progress: Progress | None,
        on_metrics: OnMetrics | None,
        folder: RunFolder | None,
        ranks: Ranks,
    ) -> None:
        self.config = config
        self.ranks = ranks
        self.began = time.monotonic()
        self._seconds_before = 0.0
        self.predictors = fit_predictors(manifest, corpus, "random")
        mean = corpus_means(manifest, corpus)[FUSED_VIEW]
        self.trainer = Trainer(manifest, corpus, config, mean, device, ranks)
        self.meter = SkillMeter(
            manifest, corpus, self.predictors, Split.VALIDATION, "random", config.max_validation_shots
        )
        self._watch = CollapseWatch(manifest, corpus)
        self.schedule = Schedule(warmup_steps=config.warmup_steps)
        self.curves: list[CurvePoint] = []
        self.best_state: TrainState = self.trainer.state()
        self.best_loss = float("inf")
        self.num_worse = 0
        self.num_steps = 0
        self.stop_reason = "patience"
        self.is_stable_over = False
        self._progress, self._on_metrics = progress, on_metrics
        self._steps: list[dict[str, float]] = []
        self._recent_losses: list[float] = []
        self._norm = self._seconds = self._stall_seconds = 0.0
        self._num_shots = 0
        self.resumed_at_step: int | None = None
        self.notes: list[str] = []
        self._folder = folder
        saved = folder.load() if folder is not None else None
        if saved is not None:
            self._go_on_from(saved)
        self.trainer.check_ranks()

    def elapsed(self) -> float:
        """Seconds that the run has taken, those of earlier processes included."""
        return self._seconds_before + time.monotonic() - self.began

    def stable_phase(self) -> None:
        """Steps until patience or a bound ends it; leaves the best state in `best_state`."""
        last_step = max(1, int(self.config.max_steps / (1 + self.config.decay_share)))
        while not self.is_stable_over:
            self._take_step()
            is_bound = self._bound_reached(last_step)
            if is_bound or self.trainer.step % self.config.evaluate_every_steps == 0:
                self._evaluate("stable")
            self.is_stable_over = is_bound or self.num_worse >= self.config.patience_evaluations
            self._save_if_due()

    def decay_phase(self) -> None:
        """Goes back to the best state and lets the learning rates fall to zero from there."""
        if self.schedule.decay_start is None:
            num_steps = round(self.config.decay_share * self.best_state.step)
            if num_steps < 1:
                return
            self.trainer.restore(self.best_state)
            # What is usual behind the best state is not usual at it: a loss that was learnt by heart is far lower.
            self._recent_losses = []
            self.schedule = replace(self.schedule, decay_start=self.trainer.step, decay_steps=num_steps)
        last_step = (self.schedule.decay_start or 0) + self.schedule.decay_steps
        while self.trainer.step < last_step:
            self._take_step()
            if self.trainer.step == last_step or self.trainer.step % self.config.evaluate_every_steps == 0:
                self._evaluate("decay")
            self._save_if_due()

    def state(self) -> RunState:
        """Everything that the next step depends on, and all that the run will say of itself."""
        memory: dict[str, Json] = {
            "curves": [point.as_json() for point in self.curves],
            "best_loss": finite_or_none(self.best_loss),
            "num_worse": self.num_worse,
            "num_steps": self.num_steps,
            "stop_reason": self.stop_reason,
            "is_stable_over": self.is_stable_over,
            "decay_start": self.schedule.decay_start,
            "decay_steps": self.schedule.decay_steps,
            "steps": [dict(step) for step in self._steps],
            "recent_losses": list(self._recent_losses),
            "gradient_norm": self._norm,
            "num_shots": self._num_shots,
            "step_seconds": self._seconds,
            "stall_seconds": self._stall_seconds,
            "elapsed_seconds": self.elapsed(),
            "build": self._build(),
        }
        return RunState(present=self.trainer.state(), best=self.best_state, memory=memory)

    def _go_on_from(self, saved: RunState) -> None:
        memory: Mapping[str, Any] = saved.memory
        self.trainer.restore(saved.present)
        self.best_state = saved.best
        self.curves = [CurvePoint(**point) for point in memory["curves"]]
        self.best_loss = float("inf") if memory["best_loss"] is None else memory["best_loss"]
        self.num_worse, self.num_steps = memory["num_worse"], memory["num_steps"]
        self.stop_reason, self.is_stable_over = memory["stop_reason"], memory["is_stable_over"]
        self.schedule = replace(self.schedule, decay_start=memory["decay_start"], decay_steps=memory["decay_steps"])
        self._steps, self._recent_losses = list(memory["steps"]), list(memory["recent_losses"])
        self._norm = memory["gradient_norm"]
        self._num_shots, self._seconds = memory["num_shots"], memory["step_seconds"]
        self._stall_seconds = memory["stall_seconds"]
        self._seconds_before = memory["elapsed_seconds"]
        self.resumed_at_step = self.num_steps
        if memory["build"] != self._build():
            self.notes.append(
                f"gone on at step {self.num_steps} on another build ({self._build()} instead of {memory['build']}): "
                "the weights are as good, and not bit by bit those of a run that never stopped"
            )

    def _build(self) -> dict[str, Json]:
        return {**build_facts(), "num_ranks": self.ranks.count, **self.trainer.build_facts()}

    def _save_if_due(self) -> None:
        folder = self._folder
        if folder is not None and self.num_steps % self.config.save_every_steps == 0:
            self.trainer.check_ranks()
            state = self.state()
            self.ranks.together(lambda: folder.save(state) if self.ranks.is_first else None)

    def facts(self) -> dict[str, Any]:
        """How the run went, for the report."""
        return {
            "stop_reason": self.stop_reason,
            "best_step": self.best_state.step,
            "best_validation_loss": self.best_loss,
            "num_steps": self.num_steps,
            "compile": self.trainer.compile_note,
        }

    def _take_step(self) -> None:
        began, stalled = time.monotonic(), self.trainer.loader.stall_seconds
        with self._stopping():
            found = self.trainer.take_step(self.schedule.scale(self.trainer.step))
            self._check_explosion(found.loss, found.windows)
        self._seconds += time.monotonic() - began
        self._stall_seconds += self.trainer.loader.stall_seconds - stalled
        self._steps.append({"loss": found.loss, **found.terms})
        self._norm = found.gradient_norm
        self._num_shots += found.num_shots
        self.num_steps += 1
        if self._progress is not None:
            self._progress(self.num_steps, self.config.max_steps)

    def _check_explosion(self, loss: float, windows: Sequence[MaskedWindow]) -> None:
        """Raises `TrainingError`: the loss is far above what it was."""
        if len(self._recent_losses) == EXPLOSION_STEPS:
            usual = statistics.median(self._recent_losses)
            if loss > self.config.explosion_factor * max(usual, MIN_USUAL_LOSS):
                raise TrainingError(
                    f"loss {loss:.4g} at step {self.trainer.step - 1}, after a median of {usual:.4g}",
                    rule=f"training stops at a loss more than {self.config.explosion_factor:g} times the median of the "
                    f"last {EXPLOSION_STEPS}",
                    where=f"titles {titles_of(windows)}",
                    remedy="Lower the learning rates, or look at these titles' vectors.",
                )
        self._recent_losses = [*self._recent_losses, loss][-EXPLOSION_STEPS:]

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Says, of whatever stops the run, from which state it may go on."""
        try:
            yield
        except TrainingError as error:
            last = self._folder.last() if self._folder is not None else None
            kept = f"The last good state is {last}." if last is not None else "No state was saved before it."
            remedy = f"{error.remedy} {kept}"
            raise TrainingError(error.seen, rule=error.rule, where=error.where, remedy=remedy) from error

    def _bound_reached(self, last_step: int) -> bool:
        if self.trainer.step >= last_step:
            self.stop_reason = "max_steps"
            return True
        elapsed, bound = self.elapsed(), self.config.max_seconds
        if bound is not None and self.ranks.of_first(elapsed) >= bound / (1 + self.config.decay_share):
            self.stop_reason = "max_seconds"
            return True
        return False

    def _evaluate(self, phase: str) -> None:
        self.trainer.share_measures()
        self.trainer.fit_head()
        losses = self.meter.losses(self.trainer.predict(self.meter.items))
        loss = self.ranks.of_first(losses[FUSED_VIEW].mean)
        skill, by_modality = self.meter.quick(losses)
        rates = self.trainer.optimizers.rates()
        signs = self._watch.look(self.trainer.exported)
        point = CurvePoint(
            step=self.trainer.step,
            num_steps=self.num_steps,
            epoch=self.trainer.loader.state.epoch,
            phase=phase,
            train_loss=_mean_of(self._steps, "loss"),
            train_terms={
                **{name: _mean_of(self._steps, name) for name in self._steps[-1] if name != "loss"},
                **self.trainer.objective.measures(),
            },
            validation_loss=loss,
            validation_skill=skill,
            skill_by_modality=by_modality,
            muon_lr=rates["muon"],
            adamw_lr=rates["adamw"],
            gradient_norm=self._norm,
            rank_share=signs.rank_share if signs is not None else None,
            shots_per_second=self._num_shots / max(self._seconds, 1e-9),
            loader_stall_share=self._stall_seconds / max(self._seconds, 1e-9),
            seconds=self.elapsed(),
        )
        self.curves.append(point)
        self._steps, self._num_shots, self._seconds, self._stall_seconds = [], 0, 0.0, 0.0
        with self._stopping():
            self.ranks.together(lambda: self._check_collapse(signs))
        self._keep_if_better(loss)
        if self._on_metrics is not None:
            self._on_metrics(point)

    def _check_collapse(self, signs: CollapseSigns | None) -> None:
        """Raises `TrainingError`: the run has come to nothing, by the objective's word or by what it would export."""
        complaint = self.trainer.objective.complaint()
        if not complaint and signs is not None:
            complaint = CollapseLimits().complaint(signs)
        if complaint:
            raise TrainingError(
                complaint,
                rule="a collapsed run is stopped",
                where=f"step {self.trainer.step}, objective {self.config.objective.name}",
                remedy=_AGAINST_COLLAPSE[self.config.objective.family],
            )

    def _keep_if_better(self, loss: float) -> None:
        if loss < self.best_loss - self.config.min_improvement:
            self.best_loss, self.best_state, self.num_worse = loss, self.trainer.state(), 0
        else:
            self.num_worse += 1


def _mean_of(steps: Sequence[Mapping[str, float]], name: str) -> float:
    return sum(step[name] for step in steps) / len(steps)

"""What a step costs on this machine: time, shots and memory, measured by a few steps that nothing keeps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.split import Split
from mediafm.train.config import TrainConfig
from mediafm.train.evaluation import FUSED_VIEW, EvaluationItem, items_of
from mediafm.train.skill import corpus_means
from mediafm.train.threads import cpu_threads, threads_for
from mediafm.train.trainer import Trainer

MAX_TIMED_STEPS = 5
MAX_SECONDS = 20.0
"""No further step is timed once so much time went by; one always is."""
EVALUATED_SHOTS = 4096
"""Masked passes over about so many validation shots are timed; the whole is taken in proportion."""


@dataclass(frozen=True, kw_only=True)
class StepCosts:
    """Measured on this machine, now.

    num_steps: timed, one before them left out (it pays for first touches).
    seconds_per_step: the median.
    shots_per_step: the mean; titles are not cut, so it is about what was asked for.
    windows_per_step: sequences in a step, the mean.
    seconds_per_evaluation: one look at the validation loss, in proportion.
    bytes_by_part: what a step holds: weights, gradients, each optimizer's state, activations.
    """

    num_steps: int
    seconds_per_step: float
    shots_per_step: float
    windows_per_step: float
    seconds_per_evaluation: float
    bytes_by_part: Mapping[str, int]


def measure_steps(manifest: TrainingManifest, corpus: Corpus, config: TrainConfig, device: str) -> StepCosts:
    """Takes a few steps as the run would, from fresh weights, and forgets them.

    Raises:
        TrainingError: a number was not finite.
    """
    with cpu_threads(threads_for(config.model, device)):
        trainer = Trainer(manifest, corpus, config, corpus_means(manifest, corpus)[FUSED_VIEW], device)
        try:
            saved = _Saved(trainer)
            with torch.autograd.graph.saved_tensors_hooks(saved.keep, lambda tensor: tensor):
                trainer.take_step(1.0)
            seconds, shots, windows = _timed(trainer)
            evaluation = _evaluation_seconds(trainer, manifest, config)
        finally:
            trainer.close()
    return StepCosts(
        num_steps=len(seconds),
        seconds_per_step=statistics.median(seconds),
        shots_per_step=statistics.mean(shots),
        windows_per_step=statistics.mean(windows),
        seconds_per_evaluation=evaluation,
        bytes_by_part={**_held(trainer), "activations": saved.num_bytes},
    )


class _Saved:
    """Counts the memory that autograd keeps for the backward pass, parameters left out, each storage once."""

    def __init__(self, trainer: Trainer) -> None:
        self._own = {parameter.untyped_storage().data_ptr() for parameter in trainer.model.parameters()}
        self._sizes: dict[int, int] = {}

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._own:
            self._sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    @property
    def num_bytes(self) -> int:
        return sum(self._sizes.values())


def _timed(trainer: Trainer) -> tuple[list[float], list[int], list[int]]:
    seconds: list[float] = []
    shots: list[int] = []
    windows: list[int] = []
    while not seconds or (len(seconds) < MAX_TIMED_STEPS and sum(seconds) < MAX_SECONDS):
        began = time.monotonic()
        step = trainer.take_step(1.0)
        _wait(trainer)
        seconds.append(time.monotonic() - began)
        shots.append(step.num_shots)
        windows.append(len(step.windows))
    return seconds, shots, windows


def _evaluation_seconds(trainer: Trainer, manifest: TrainingManifest, config: TrainConfig) -> float:
    items = items_of(manifest, Split.VALIDATION, "random", config.max_validation_shots)
    some = _first(items, EVALUATED_SHOTS)
    if not some:
        return 0.0
    began = time.monotonic()
    for _ in trainer.predict(some):
        pass
    _wait(trainer)
    return (time.monotonic() - began) * _shots(items) / _shots(some)


def _first(items: Sequence[EvaluationItem], num_shots: int) -> list[EvaluationItem]:
    found: list[EvaluationItem] = []
    while len(found) < len(items) and _shots(found) < num_shots:
        found.append(items[len(found)])
    return found


def _shots(items: Sequence[EvaluationItem]) -> int:
    return sum(item.window.num_shots for item in items)


def _wait(trainer: Trainer) -> None:
    """A GPU works on after the call has returned."""
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)


def _held(trainer: Trainer) -> dict[str, int]:
    """What stays between steps. Muon keeps one buffer a weight, AdamW two; the best state so far is a copy of all."""
    weights = _num_bytes(trainer.model.state_dict())
    trained = {name: item for name, item in trainer.model.named_parameters() if item.requires_grad}
    found = {"weights": weights, "gradients": _num_bytes(trained)}
    others = [getattr(trainer, name, None) for name in ("objective", "average")]
    beside = sum(_num_bytes(other.state_dict()) for other in others if isinstance(other, torch.nn.Module))
    if beside:
        found["heads, teacher or average of the objective"] = beside
    optimizers = 0
    for member in trainer.optimizers.state_dict():
        states = list(member["state"].values())
        name = "AdamW (two buffers)" if any("exp_avg_sq" in state for state in states) else "Muon (one buffer)"
        found[name] = _num_bytes(states)
        optimizers += found[name]
    return {**found, "best state so far (a copy)": weights + beside + optimizers}


def _num_bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, Mapping):
        return sum(map(_num_bytes, value.values()))
    return sum(map(_num_bytes, value)) if isinstance(value, list | tuple) else 0

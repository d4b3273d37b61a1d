"""One step, one look at the validation loss, and the state that a run can go back to."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.sampler import MaskedWindow, Reads, Sampler, SamplerState
from mediafm.errors import TrainingError
from mediafm.fusion import Space
from mediafm.model.from_data import begin_from_data
from mediafm.model.mediafm import MediaFM, build
from mediafm.objective.blocks import Blocks, measure
from mediafm.objective.create import create
from mediafm.objective.objective import Objective
from mediafm.optim.optimizers import Optimizers
from mediafm.train.batches import Slices, collate, counts_of, in_micro_steps
from mediafm.train.config import TrainConfig
from mediafm.train.evaluation import EvaluationItem, Flags, Floats, batches_of, training_shots
from mediafm.train.ranks import ALONE, Ranks, weights_digest
from mediafm.types import Modality

FIRST_WEIGHTS_MAX_SHOTS = 8192
"""Training shots behind the first weights and the blocks' statistics; beyond them windows are taken evenly."""


@dataclass(frozen=True, eq=False)
class TrainState:
    """Everything that a step depends on but the data: weights, optimizers, and where the sampler stands.

    extra: what the objective keeps ("objective.*") and the moving average of the weights ("average.*").
    """

    step: int
    weights: dict[str, torch.Tensor]
    optimizers: list[dict[str, Any]]
    sampler: SamplerState
    extra: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step saw.

    loss: the weighted sum of the terms, over the whole step.
    terms: each term by name, not weighted.
    gradient_norm: before clipping.
    num_shots: seen.
    """

    loss: float
    terms: Mapping[str, float]
    gradient_norm: float
    num_shots: int


class Trainer:
    """The moving parts of one run. Draws nothing from the global generator."""

    def __init__(
        self,
        manifest: TrainingManifest,
        corpus: Corpus,
        config: TrainConfig,
        head_bias: Floats,
        device: str,
        ranks: Ranks = ALONE,
    ) -> None:
        """Builds the model; its predictions begin at `head_bias`, float32 [E].

        Several `ranks` build the same and do everything at once; each takes its share of windows and items.
        """
        self.config = config
        self.ranks = ranks
        self.device = torch.device(device)
        self.corpus = corpus
        self.slices = block_slices(manifest)
        rows_NE, present_N3 = training_shots(manifest, corpus, FIRST_WEIGHTS_MAX_SHOTS)
        self.model: MediaFM = first_model(config, rows_NE, head_bias).to(self.device)
        blocks = _blocks(manifest, rows_NE, present_N3, self.slices)
        self.objective: Objective = create(config.objective, self.model, blocks, config.seed).to(self.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False) if config.weight_ema > 0 else None
        self.optimizers = Optimizers(self.model, config.optim, heads=self.objective, exchange=ranks)
        self.sampler = Sampler(
            manifest,
            seed=config.seed,
            shots_per_step=config.shots_per_step,
            masks=config.objective.masks,
            metadata_drop_share=config.metadata_drop_share,
            reads=_reads(config),
        )
        self.step = 0

    @property
    def exported(self) -> MediaFM:
        """The network that is evaluated and exported: the moving average, if there is one."""
        return self.model if self.average is None else self.average

    def take_step(self, scale: float) -> StepResult:
        """The sampler's next step at `scale` of the learning rates.

        Raises:
            TrainingError: the loss or a gradient is not finite; says which step and which titles.
        """
        return self.train_on(self.sampler.next_step(), scale)

    def train_on(self, windows: Sequence[MaskedWindow], scale: float) -> StepResult:
        """One optimizer step on these windows; returns and raises as `take_step`."""
        self.model.train()
        sums = self.ranks.summed(lambda: self._backward(windows))
        loss = sums.pop("loss")
        num_shots = sum(item.window.num_shots for item in windows)
        self._check_finite(loss, "loss", windows)
        self.ranks.sum_gradients(self.optimizers.parameters)
        self.optimizers.set_scale(scale)
        norm = self.optimizers.clip()
        self._check_finite(norm, "gradient norm", windows)
        self.optimizers.step()
        self.step += 1
        self.objective.after_step(self.model, self.step)
        self._follow()
        return StepResult(loss=loss, terms=sums, gradient_norm=norm, num_shots=num_shots)

    def _backward(self, windows: Sequence[MaskedWindow]) -> dict[str, float]:
        """Adds the share of this rank's windows to the gradients; their part of "loss" and of each term."""
        counts = counts_of(windows, self.corpus)
        own = self.ranks.own(windows, [item.window.num_shots for item in windows])
        sums = {"loss": 0.0}
        for run in in_micro_steps(own, self.config.shots_per_micro_step):
            batch = collate(run, self.corpus, self.config.model.metadata_dim, self.slices).to(self.device)
            with self._autocast():
                terms = self.objective.terms(self.model, batch, counts)
            share = torch.stack([weight * term for weight, term in terms.values()]).sum()
            share.backward()  # type: ignore[no-untyped-call]
            sums["loss"] += float(share.detach())
            for name, (_, term) in terms.items():
                sums[name] = sums.get(name, 0.0) + float(term.detach())
        return sums

    @torch.no_grad()
    def predict(self, items: Sequence[EvaluationItem]) -> list[Floats]:
        """For each item the predictions [masked shots, E] of the exported network as it stands."""
        count, width = self.ranks.count, self.config.model.fused_dim
        runs = list(batches_of(items, self.config.shots_per_micro_step))
        found: list[Floats] = []
        for start in range(0, len(runs), count):
            dealt = runs[start : start + count]
            own = dealt[self.ranks.rank] if self.ranks.rank < len(dealt) else []
            predicted_ME = self.ranks.together(partial(self._predicted, own))
            counts = [[int(item.is_masked.sum()) for item in run] for run in dealt]
            sizes = [sum(numbers) * width for numbers in counts] + [0] * (count - len(dealt))
            for numbers, part in zip(counts, self.ranks.gather(predicted_ME.flatten(), sizes), strict=False):
                rows_ME = part.view(-1, width).cpu().numpy()
                found += np.split(rows_ME, np.cumsum(numbers)[:-1])
        return found

    def _predicted(self, items: Sequence[EvaluationItem]) -> torch.Tensor:
        """What the exported network says of all items' masked shots, float32 [M, E] on its device."""
        model = self.exported.eval()
        if not items:
            return torch.zeros(0, self.config.model.fused_dim, device=self.device)
        windows = [item.as_masked_window() for item in items]
        batch = collate(windows, self.corpus, self.config.model.metadata_dim, self.slices)
        with self._autocast():
            predicted_ME: torch.Tensor = model(batch.shots.to(self.device))
        return predicted_ME.float()

    def state(self) -> TrainState:
        """A copy that later steps do not change; the same on all ranks, which take it at once."""
        self.share_measures()
        return TrainState(
            self.step,
            _copied(self.model.state_dict()),
            _copied(self.optimizers.state_dict()),
            self.sampler.state,
            _copied(self._extra()),
        )

    def share_measures(self) -> None:
        """What the objective gathered from a rank's share becomes the first rank's on all: they judge alike."""
        self.ranks.copy_buffers(self.objective)

    def check_ranks(self) -> None:
        """Raises `TrainingError`: the ranks' weights differ."""
        if self.ranks.count > 1:
            self.ranks.check_same("weights", weights_digest(self.model))

    def restore(self, state: TrainState) -> None:
        """Goes back to `state`: the next step is the one that followed it."""
        self.model.load_state_dict(state.weights)
        self.optimizers.load_state_dict(_copied(state.optimizers))
        self.objective.load_state_dict(_under("objective.", state.extra))
        if self.average is not None:
            self.average.load_state_dict(_under("average.", state.extra))
        self.sampler.restore(state.sampler)
        self.step = state.step

    def _extra(self) -> dict[str, torch.Tensor]:
        found = {f"objective.{name}": tensor for name, tensor in self.objective.state_dict().items()}
        if self.average is not None:
            found |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        return found

    @torch.no_grad()
    def _follow(self) -> None:
        """Moves the average; at first it keeps less of itself, so that the first weights are soon forgotten."""
        if self.average is not None:
            kept = min(self.config.weight_ema, self.step / (self.step + 10))
            for own, other in zip(self.average.parameters(), self.model.parameters(), strict=True):
                own.lerp_(other, 1.0 - kept)

    def _autocast(self) -> AbstractContextManager[Any]:
        is_bfloat16 = self.config.precision == "bfloat16" or (
            self.config.precision == "auto" and self.device.type == "cuda"
        )
        return torch.autocast(self.device.type, torch.bfloat16) if is_bfloat16 else nullcontext()

    def _check_finite(self, value: float, what: str, windows: Sequence[MaskedWindow]) -> None:
        if not math.isfinite(value):
            raise TrainingError(
                f"{what} {value} at step {self.step}",
                rule="training stops at a number that is not finite",
                where=f"titles {titles_of(windows)}",
                remedy="Lower the learning rates, or look at these titles' vectors.",
            )


def titles_of(windows: Sequence[MaskedWindow]) -> str:
    """The titles of a step, for a message: the first ten."""
    titles = sorted({item.window.title_id for item in windows})
    return f"{', '.join(titles[:10])}{' ...' if len(titles) > 10 else ''}"


def first_model(config: TrainConfig, rows_NE: Floats, head_bias: Floats) -> MediaFM:
    """The network before its first step.

    Args:
        rows_NE: fused vectors of training shots, for first weights "from data".
        head_bias: float32 [E], where its predictions begin.
    """
    model = build(config.model, config.seed, torch.from_numpy(head_bias))
    if config.first_weights == "data":
        begin_from_data(model, torch.from_numpy(rows_NE), torch.Generator().manual_seed(config.seed))
    return model


def block_slices(manifest: TrainingManifest) -> Slices:
    """The modalities' blocks of the manifest's fused vectors, in the order of `Modality`."""
    found = Space.from_json(manifest.space).slices
    return found[Modality.VIDEO], found[Modality.AUDIO], found[Modality.TEXT]


def _blocks(manifest: TrainingManifest, rows_NE: Floats, present_N3: Flags, slices: Slices) -> Blocks:
    weights = Space.from_json(manifest.space).weights
    ordered = [weights[modality] for modality in Modality]
    return measure(torch.from_numpy(rows_NE), torch.from_numpy(present_N3), slices, ordered)


def _reads(config: TrainConfig) -> Reads | None:
    if config.objective.family != "contextual":
        return None
    told = config.objective.contextual
    return Reads(student=told.student_reads, teacher=told.teacher_reads)


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _copied(value: Any) -> Any:
    """A deep copy whose tensors are cloned."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value

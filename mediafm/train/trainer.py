"""One step, one look at the validation loss, and the state that a run can go back to."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from mediafm.model.from_data import begin_from_data, gathers_apart
from mediafm.model.mediafm import MediaFM, build
from mediafm.objective.blocks import Blocks, measure
from mediafm.objective.create import create
from mediafm.objective.objective import Objective
from mediafm.optim.optimizers import Optimizers
from mediafm.train.batches import HostBatch, Slices, counts_of, gather, in_micro_steps
from mediafm.train.compiled import try_compile
from mediafm.train.config import TrainConfig
from mediafm.train.evaluation import EvaluationItem, Flags, Floats, batches_of, training_shots
from mediafm.train.fitted_head import FittedHead
from mediafm.train.loader import Loader, PreparedStep
from mediafm.train.precision import Precision, computing_in, resolve_precision
from mediafm.train.ranks import ALONE, Ranks, weights_digest
from mediafm.train.resident import resident_vectors
from mediafm.train.threads import reads_ahead
from mediafm.types import Json, Modality

COMPILED = "compiled"
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
    windows: which.
    """

    loss: float
    terms: Mapping[str, float]
    gradient_norm: float
    num_shots: int
    windows: Sequence[MaskedWindow] = field(compare=False)


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
        self._fitted_head = None if self.objective.trains_head else FittedHead(manifest, corpus)
        _hold(self.model, config, self.objective)
        self.average = copy.deepcopy(self.model).requires_grad_(False) if config.weight_ema > 0 else None
        self.precision: Precision = resolve_precision(config.precision, self.device, config.model.hidden_dim)
        self.compile_note = self._compiled() if config.compile else "not asked for"
        self._resident_CE = resident_vectors(corpus, self.device, config.corpus_device_share)
        self.optimizers = Optimizers(self.model, config.optim, heads=self.objective, exchange=ranks)
        sampler = Sampler(
            manifest,
            seed=config.seed,
            shots_per_step=config.shots_per_step,
            masks=config.objective.masks,
            metadata_drop_share=config.metadata_drop_share,
            reads=_reads(config),
        )
        self.loader = Loader(sampler, self.prepared, is_ahead=reads_ahead(self.device))
        self.step = 0

    @property
    def exported(self) -> MediaFM:
        """The network that is evaluated and exported: the moving average, if there is one."""
        return self.model if self.average is None else self.average

    def take_step(self, scale: float) -> StepResult:
        """The loader's next step at `scale` of the learning rates.

        Raises:
            TrainingError: the loss or a gradient is not finite; says which step and which titles.
            StoreError: a title could not be read.
        """
        return self._step(self.loader.next, scale)

    def train_on(self, windows: Sequence[MaskedWindow], scale: float) -> StepResult:
        """One optimizer step on these windows; returns and raises as `take_step`."""
        return self._step(lambda: self.prepared(windows), scale)

    def prepared(self, windows: Sequence[MaskedWindow]) -> PreparedStep:
        """This rank's part of a step's windows, read from the corpus."""
        own = self.ranks.own(windows, [item.window.num_shots for item in windows])
        runs = in_micro_steps(own, self.config.shots_per_micro_step)
        return PreparedStep(windows, counts_of(windows, self.corpus), [self._gathered(run) for run in runs])

    def build_facts(self) -> dict[str, Json]:
        """How this trainer computes, as far as it moves the last bits."""
        return {"precision": self.precision, "is_compiled": self.compile_note == COMPILED}

    def close(self) -> None:
        """Ends the loader's thread."""
        self.loader.close()

    def _step(self, read: Callable[[], PreparedStep], scale: float) -> StepResult:
        self.model.train()
        taken: list[PreparedStep] = []

        def work() -> dict[str, float]:
            taken.append(read())
            return self._backward(taken[0])

        sums = self.ranks.summed(work)
        loss, windows = sums.pop("loss"), taken[0].windows
        self._check_finite(loss, "loss", windows)
        self.ranks.sum_gradients(self.optimizers.parameters)
        self.optimizers.set_scale(scale)
        norm = self.optimizers.clip()
        self._check_finite(norm, "gradient norm", windows)
        self.optimizers.step()
        self.step += 1
        self.objective.after_step(self.model, self.step)
        self._follow()
        num_shots = taken[0].counts.num_shots
        return StepResult(loss=loss, terms=sums, gradient_norm=norm, num_shots=num_shots, windows=windows)

    def _backward(self, step: PreparedStep) -> dict[str, float]:
        """Adds the share of this rank's windows to the gradients; their part of "loss" and of each term."""
        found: list[tuple[str, torch.Tensor]] = []
        for host in step.batches:
            batch = host.on(self.device, self._resident_CE)
            with computing_in(self.precision, self.device):
                terms = self.objective.terms(self.model, batch, step.counts)
            share = torch.stack([weight * term for weight, term in terms.values()]).sum()
            share.backward()  # type: ignore[no-untyped-call]
            found += [("loss", share.detach()), *((name, term.detach()) for name, (_, term) in terms.items())]
        # Read once all is under way: each reading waits for a GPU.
        sums = {"loss": 0.0}
        for name, value in found:
            sums[name] = sums.get(name, 0.0) + float(value)
        return sums

    def predict(self, items: Sequence[EvaluationItem]) -> Iterator[Floats]:
        """For each item the predictions [masked shots, E] of the exported network as it stands, as they are made.

        All of several ranks take all of them.
        """
        count, width = self.ranks.count, self.config.model.fused_dim
        runs = list(batches_of(items, self.config.shots_per_micro_step))
        for start in range(0, len(runs), count):
            dealt = runs[start : start + count]
            own = dealt[self.ranks.rank] if self.ranks.rank < len(dealt) else []
            predicted_ME = self.ranks.together(partial(self._predicted, own))
            counts = [[int(item.is_masked.sum()) for item in run] for run in dealt]
            sizes = [sum(numbers) * width for numbers in counts] + [0] * (count - len(dealt))
            for numbers, part in zip(counts, self.ranks.gather(predicted_ME.flatten(), sizes), strict=False):
                rows_ME = part.view(-1, width).cpu().numpy()
                yield from np.split(rows_ME, np.cumsum(numbers)[:-1])

    @torch.no_grad()
    def _predicted(self, items: Sequence[EvaluationItem]) -> torch.Tensor:
        """What the exported network says of all items' masked shots, float32 [M, E] on its device."""
        model = self.exported.eval()
        if not items:
            return torch.zeros(0, self.config.model.fused_dim, device=self.device)
        batch = self._gathered([item.as_masked_window() for item in items]).on(self.device, self._resident_CE)
        with computing_in(self.precision, self.device):
            predicted_ME: torch.Tensor = model(batch.shots)
        return predicted_ME.float()

    def _gathered(self, windows: Sequence[MaskedWindow]) -> HostBatch:
        metadata_dim, is_resident = self.config.model.metadata_dim, self._resident_CE is not None
        return gather(windows, self.corpus, metadata_dim, self.slices, self.device, is_resident=is_resident)

    def fit_head(self) -> None:
        """Fits the head of the exported network, if the objective does not train it; else nothing."""
        if self._fitted_head is not None:
            self._fitted_head.set(self.exported)

    def state(self) -> TrainState:
        """A copy that later steps do not change; the same on all ranks, which take it at once."""
        self.share_measures()
        return TrainState(
            self.step,
            _copied(self.model.state_dict()),
            _copied(self.optimizers.state_dict()),
            self.loader.state,
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
        self.loader.restore(state.sampler)
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

    def _compiled(self) -> str:
        with computing_in(self.precision, self.device):
            return try_compile(self.model) or COMPILED

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


def _hold(model: MediaFM, config: TrainConfig, objective: Objective) -> None:
    """Takes the gradient from what no step is to move.

    That is what keeps the weights that the data gave it, and the head, with its norm, of an objective that does not
    train it.
    """
    held: list[torch.nn.Module | torch.Tensor] = []
    if config.is_first_block_held and config.first_weights == "data" and gathers_apart(config.model):
        held += [model.project_shot, model.blocks[0]]
        held += [] if model.presence is None else [model.presence]
    if not objective.trains_head:
        held += [model.head, model.final_norm]
    for part in held:
        part.requires_grad_(False)


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

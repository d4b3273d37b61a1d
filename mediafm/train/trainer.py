"""One step, one look at the validation loss, and the state that a run can go back to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.sampler import MaskedWindow, Sampler, SamplerState
from mediafm.errors import TrainingError
from mediafm.model.from_data import begin_from_data
from mediafm.model.mediafm import MediaFM, build
from mediafm.objective.msm import msm_loss
from mediafm.optim.optimizers import Optimizers
from mediafm.train.batches import collate, in_micro_steps
from mediafm.train.config import TrainConfig
from mediafm.train.evaluation import EvaluationItem, Floats, batches_of, training_rows

FIRST_WEIGHTS_MAX_SHOTS = 8192
"""Training shots behind the first weights; beyond them windows are taken evenly."""


@dataclass(frozen=True, eq=False)
class TrainState:
    """Everything that a step depends on but the data: weights, optimizers, and where the sampler stands."""

    step: int
    weights: dict[str, torch.Tensor]
    optimizers: list[dict[str, Any]]
    sampler: SamplerState


class Trainer:
    """The moving parts of one run. Draws nothing from the global generator."""

    def __init__(
        self, manifest: TrainingManifest, corpus: Corpus, config: TrainConfig, head_bias: Floats, device: str
    ) -> None:
        """Builds the model; its predictions begin at `head_bias`, float32 [E]."""
        self.config = config
        self.device = torch.device(device)
        self.corpus = corpus
        model = build(config.model, config.seed, torch.from_numpy(head_bias))
        if config.first_weights == "data":
            rows_NE = torch.from_numpy(training_rows(manifest, corpus, FIRST_WEIGHTS_MAX_SHOTS))
            begin_from_data(model, rows_NE, torch.Generator().manual_seed(config.seed))
        self.model: MediaFM = model.to(self.device)
        self.optimizers = Optimizers(self.model, config.optim)
        self.sampler = Sampler(
            manifest,
            seed=config.seed,
            shots_per_step=config.shots_per_step,
            mask_share=config.mask_share,
            metadata_drop_share=config.metadata_drop_share,
        )
        self.step = 0

    def take_step(self, scale: float) -> tuple[float, float, int]:
        """The sampler's next step at `scale` of the learning rates: (loss, gradient norm, shots seen).

        Raises:
            TrainingError: the loss or a gradient is not finite; says which step and which titles.
        """
        return self.train_on(self.sampler.next_step(), scale)

    def train_on(self, windows: Sequence[MaskedWindow], scale: float) -> tuple[float, float, int]:
        """One optimizer step on these windows; returns and raises as `take_step`."""
        num_masked = sum(int(item.is_masked.sum()) for item in windows)
        self.model.train()
        loss = 0.0
        for run in in_micro_steps(windows, self.config.shots_per_micro_step):
            batch = collate(run, self.corpus, self.config.model.metadata_dim).to(self.device)
            with self._autocast():
                predicted_ME = self.model(batch.shots)
            share = msm_loss(predicted_ME, batch.target_ME, num_masked)
            share.backward()  # type: ignore[no-untyped-call]
            loss += float(share.detach())
        self._check_finite(loss, "loss", windows)
        self.optimizers.set_scale(scale)
        norm = self.optimizers.clip()
        self._check_finite(norm, "gradient norm", windows)
        self.optimizers.step()
        self.step += 1
        return loss, norm, sum(item.window.num_shots for item in windows)

    @torch.no_grad()
    def predict(self, items: Sequence[EvaluationItem]) -> list[Floats]:
        """For each item the predictions [masked shots, E] of the model as it stands."""
        self.model.eval()
        found: list[Floats] = []
        for run in batches_of(items, self.config.shots_per_micro_step):
            batch = collate([item.as_masked_window() for item in run], self.corpus, self.config.model.metadata_dim)
            with self._autocast():
                predicted_ME = self.model(batch.shots.to(self.device))
            counts = [int(item.is_masked.sum()) for item in run]
            found += np.split(predicted_ME.float().cpu().numpy(), np.cumsum(counts)[:-1])
        return found

    def state(self) -> TrainState:
        """A copy that later steps do not change."""
        weights = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        return TrainState(self.step, weights, _copied(self.optimizers.state_dict()), self.sampler.state)

    def restore(self, state: TrainState) -> None:
        """Goes back to `state`: the next step is the one that followed it."""
        self.model.load_state_dict(state.weights)
        self.optimizers.load_state_dict(_copied(state.optimizers))
        self.sampler.restore(state.sampler)
        self.step = state.step

    def _autocast(self) -> AbstractContextManager[Any]:
        is_bfloat16 = self.config.precision == "bfloat16" or (
            self.config.precision == "auto" and self.device.type == "cuda"
        )
        return torch.autocast(self.device.type, torch.bfloat16) if is_bfloat16 else nullcontext()

    def _check_finite(self, value: float, what: str, windows: Sequence[MaskedWindow]) -> None:
        if math.isfinite(value):
            return
        titles = sorted({item.window.title_id for item in windows})
        raise TrainingError(
            f"{what} {value} at step {self.step}",
            rule="training stops at a number that is not finite",
            where=f"titles {', '.join(titles[:10])}{' ...' if len(titles) > 10 else ''}",
            remedy="Lower the learning rates, or look at these titles' vectors.",
        )


def _copied(value: Any) -> Any:
    """A deep copy whose tensors are cloned."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value

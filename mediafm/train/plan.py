"""What a training run will be, told before it starts: size, steps, memory, time, and when it ends."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from mediafm.data.corpus import Corpus
from mediafm.data.manifest import TrainingManifest
from mediafm.data.sequences import NUM_MODALITIES
from mediafm.data.split import Split
from mediafm.model.layout import NUM_SPECIAL_TOKENS
from mediafm.train.config import TrainConfig
from mediafm.train.preset_reasons import PARTS, PresetRow, explain_preset, parameters_by_part, presets_by_size
from mediafm.train.resident import fits, free_bytes
from mediafm.train.stop_rule import least_steps, stop_rule
from mediafm.train.timing import StepCosts, measure_steps
from mediafm.types import Json

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, kw_only=True)
class CorpusPlan:
    """The memory-mapped file of all vectors, and where it finds room.

    num_bytes: on disk.
    memory_bytes: of this machine (or what its container may take).
    gpu_bytes: what it may take of the GPU's free memory; None without one.
    """

    num_bytes: int
    memory_bytes: int
    gpu_bytes: int | None

    @property
    def sentence(self) -> str:
        """Where the corpus fits."""
        if self.gpu_bytes is not None and fits(self.num_bytes, self.gpu_bytes, 1.0):
            return "fits the GPU, and is held there"
        if self.num_bytes < self.memory_bytes:
            return "fits this machine's memory"
        return "is larger than this machine's memory: it is read from disk as it is needed"


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """A run before it starts.

    preset, reason: the architecture's name, and why it.
    parameters: part of the network -> parameters.
    presets: what "auto" takes at which size.
    num_train_shots, num_validation_shots: of the manifest.
    steps_per_epoch: about so many steps see every training shot once.
    min_steps, max_steps: of a run whose first evaluation is its best, and the bound.
    costs: measured on this machine by a few steps.
    min_seconds, max_seconds: of these steps with their evaluations; the report at the end comes on top.
    stop_rule: when it ends.
    device: what it was measured on.
    """

    preset: str
    reason: str
    objective: str
    parameters: Mapping[str, int]
    presets: tuple[PresetRow, ...]
    num_train_shots: int
    num_validation_shots: int
    tokens_per_step: float
    steps_per_epoch: int
    min_steps: int
    max_steps: int
    costs: StepCosts
    min_seconds: float
    max_seconds: float
    stop_rule: str
    device: str
    corpus: CorpusPlan

    @property
    def num_parameters(self) -> int:
        return sum(self.parameters.values())

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "num_parameters": self.num_parameters, "corpus_fits": self.corpus.sentence}


def plan_training(
    manifest: TrainingManifest, corpus: Corpus, config: TrainConfig, device: str, asked_preset: str = "auto"
) -> TrainingPlan:
    """The plan of the run that `train` would do; takes a few steps on `device` and forgets them.

    Args:
        asked_preset: what the configuration says; `config.preset` is what it came to.

    Raises:
        TrainingError: a number was not finite.
    """
    costs = measure_steps(manifest, corpus, config, device)
    num_shots = manifest.num_shots(Split.TRAIN)
    parameters = parameters_by_part(config.model)
    least, most = least_steps(config), config.max_steps
    longest = _seconds(costs, config, most)
    return TrainingPlan(
        preset=config.preset,
        reason=explain_preset(asked_preset, config.preset, num_shots, parameters[PARTS["blocks"]]),
        objective=str(getattr(getattr(config, "objective", None), "name", "msm")),
        parameters=parameters,
        presets=tuple(presets_by_size(config.model.fused_dim, config.model.metadata_dim, num_shots)),
        num_train_shots=num_shots,
        num_validation_shots=manifest.num_shots(Split.VALIDATION),
        tokens_per_step=costs.shots_per_step + NUM_SPECIAL_TOKENS * costs.windows_per_step,
        steps_per_epoch=math.ceil(num_shots / costs.shots_per_step),
        min_steps=least,
        max_steps=most,
        costs=costs,
        min_seconds=_seconds(costs, config, least),
        max_seconds=longest if config.max_seconds is None else min(longest, config.max_seconds),
        stop_rule=stop_rule(config),
        device=device_name(device),
        corpus=CorpusPlan(
            num_bytes=corpus_bytes(manifest, corpus),
            memory_bytes=memory_bytes(),
            gpu_bytes=gpu_bytes(device, config.corpus_device_share),
        ),
    )


def corpus_bytes(manifest: TrainingManifest, corpus: Corpus) -> int:
    """The size of a manifest's corpus: float16 vectors, presence flags, float32 metadata."""
    num_metadata = sum(corpus.title(title_id).metadata is not None for title_id in manifest.by_id)
    return corpus.num_shots * (2 * corpus.fused_dim + NUM_MODALITIES) + 4 * num_metadata * corpus.metadata_dim


def memory_bytes() -> int:
    """Memory of this machine, or what its container may take."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.is_file() else ""
    return min(whole, int(limit)) if limit.isdigit() else whole


def gpu_bytes(device: str, share: float) -> int | None:
    """What a corpus may take of a CUDA device's free memory; None for another device."""
    return int(share * free_bytes(torch.device(device))) if device.startswith("cuda") else None


def device_name(device: str) -> str:
    """What a device is called: the GPU's name, or the processor's kind and how many threads torch has."""
    if device.startswith("cuda"):
        return f"{device} ({torch.cuda.get_device_name(torch.device(device))})"
    return f"cpu ({torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads at most)"


def _seconds(costs: StepCosts, config: TrainConfig, num_steps: int) -> float:
    evaluations = num_steps / config.evaluate_every_steps
    return num_steps * costs.seconds_per_step + evaluations * costs.seconds_per_evaluation

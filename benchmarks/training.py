"""Training throughput: our step against a plain padded fp32 `nn.TransformerEncoder` loop on the same ragged titles.

Both see the same titles, windows and masks, the same width, depth and heads, have one thread (several wait for each
other on a busy machine, which tells nothing about the loops), and take whole optimizer steps (ours: Muon and AdamW, in
the precision that a run would choose; the rival: AdamW). The rival pads each step's titles to the longest and predicts
every position, as a straightforward loop does. Vectors are synthetic: what they hold does not change the time. On CUDA
also the share of the device's arithmetic that `base` uses (MFU).
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.row import Row, alternate_seconds
from mediafm.config import TrainingSettings
from mediafm.data.corpus import Corpus, open_corpus
from mediafm.data.manifest import ManifestTitle, TrainingManifest, build_manifest
from mediafm.data.sampler import MaskedWindow, Sampler
from mediafm.data.sequences import TitleSequence
from mediafm.data.synthetic import synthetic_space
from mediafm.model import presets
from mediafm.train.config import TrainConfig
from mediafm.train.precision import PrecisionSetting
from mediafm.train.threads import cpu_threads
from mediafm.train.trainer import Trainer

PRESET = "small"
WIDTH = 768
NUM_TITLES = 60
MEDIAN_SHOTS, SPREAD = 40, 0.9
"""Titles' lengths are log-normal: a feature has a thousand shots, a clip ten."""
SHOTS_PER_STEP = 1024
NUM_STEPS = 3
NUM_REPEATS = 3
LARGE_PRESET, NUM_LARGE_STEPS, NUM_LARGE_REPEATS = "medium", 1, 2
STALL_PRESETS = ("tiny", "small")
NUM_STALL_STEPS = 20
GOAL_CPU, GOAL_GPU = 1.5, 3.0
GOAL_STALL, GOAL_UTILISATION = 0.05, 0.35
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
"""Dense bfloat16 operations per second, by the vendor's data sheets (SXM form where there are several)."""


@dataclass(frozen=True, eq=False)
class Workload:
    """What both loops train on."""

    manifest: TrainingManifest
    corpus: Corpus
    config: TrainConfig
    steps: tuple[list[MaskedWindow], ...]

    @property
    def num_shots(self) -> int:
        return sum(item.window.num_shots for step in self.steps for item in step)

    def of(self, preset: str, num_steps: int | None = None) -> Workload:
        """The same for another preset, of the first so many steps."""
        model = presets.PRESETS[preset](self.config.model.fused_dim, self.config.model.metadata_dim)
        return replace(self, config=replace(self.config, preset=preset, model=model), steps=self.steps[:num_steps])


def rows(catalog: Path | None = None) -> list[Row]:
    """Throughput on this machine's CPU, and on its GPU if it has one. `catalog` is not looked at."""
    has_cuda = torch.cuda.is_available()
    with tempfile.TemporaryDirectory(prefix="mediafm-bench-") as folder:
        workload = make_workload(Path(folder))
        large = workload.of(LARGE_PRESET, NUM_LARGE_STEPS)
        found = [
            _row(workload, "cpu", "auto", GOAL_CPU),
            _row(workload, "cpu", "float32"),
            _row(large, "cpu", "auto", num_repeats=NUM_LARGE_REPEATS),
            *(_stall_row(workload.of(preset), "cpu") for preset in STALL_PRESETS),
        ]
        if has_cuda:
            found += [_row(workload, "cuda", "auto", GOAL_GPU), _stall_row(workload, "cuda")]
            found += _utilisation_rows(workload.of("base"))
    return found


def _row(
    workload: Workload,
    device: str,
    precision: PrecisionSetting,
    goal: float | None = None,
    num_repeats: int = NUM_REPEATS,
) -> Row:
    workload = replace(workload, config=replace(workload.config, precision=precision))
    with cpu_threads(1):
        ours, rival = our_loop(workload, device), rival_loop(workload, device)
        ours(), rival()
        our_seconds, rival_seconds = alternate_seconds(ours, rival, num_repeats)
    return Row(
        name=f"training: {workload.config.preset}, ragged titles, {device}, {precision} precision",
        value=workload.num_shots / our_seconds,
        unit="shots/s",
        rival="padded fp32 nn.TransformerEncoder, AdamW",
        rival_value=workload.num_shots / rival_seconds,
        goal=goal,
        better="higher",
    )


def _stall_row(workload: Workload, device: str) -> Row:
    """How much of its time a run's steps wait for data that another thread prepares."""
    with cpu_threads(1):
        trainer = _trainer(workload, device)
        trainer.take_step(1.0)
        before, began = trainer.loader.stall_seconds, time.perf_counter()
        for _ in range(NUM_STALL_STEPS):
            trainer.take_step(1.0)
        seconds, stalled = time.perf_counter() - began, trainer.loader.stall_seconds - before
        trainer.close()
    return Row(
        name=f"training: loader stall, {workload.config.preset}, {device}",
        value=stalled / seconds,
        unit="share of a step",
        goal=GOAL_STALL,
    )


def _utilisation_rows(workload: Workload) -> list[Row]:
    """Model FLOP utilisation on CUDA (Chowdhery et al. 2022, "PaLM", appendix B): matrices 6 operations per weight and
    token, attention 12 L D S; nothing is counted for what is computed twice. None for a GPU whose peak is not known."""
    peak = next((peak for name, peak in PEAK_FLOPS.items() if name in torch.cuda.get_device_name()), None)
    if peak is None:
        return []
    ours = our_loop(workload, "cuda")
    ours()
    seconds, _ = alternate_seconds(ours, lambda: None, NUM_REPEATS)
    flops = sum(step_flops(workload.config, [item.window.num_shots for item in step]) for step in workload.steps)
    return [
        Row(
            name="training: MFU, base (12 x 768), cuda",
            value=flops / seconds / peak,
            unit="share of peak",
            goal=GOAL_UTILISATION,
            better="higher",
        )
    ]


def step_flops(config: TrainConfig, num_shots: Sequence[int]) -> float:
    """The operations that a step on sequences of so many shots needs, forward and backward."""
    model = config.model
    lengths = [count + 2 for count in num_shots]
    num_halves = 3 if model.activation == "geglu" else 2
    per_token = model.num_layers * (4 * model.hidden_dim**2 + num_halves * model.hidden_dim * model.feedforward_dim)
    blocks = 6.0 * per_token * sum(lengths)
    attention = 12.0 * model.num_layers * model.hidden_dim * sum(length**2 for length in lengths)
    masked = config.objective.masks.share * sum(num_shots)
    # The vectors that come in need no gradient.
    ends = model.fused_dim * model.hidden_dim * (4.0 * sum(num_shots) + 6.0 * masked)
    return blocks + attention + ends


def make_workload(cache: Path) -> Workload:
    """Random unit vectors of the default width in titles of very different lengths, and the steps to take."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(math.log(MEDIAN_SHOTS), SPREAD, NUM_TITLES).astype(int), 5, 512)
    titles = [manifest_title(number, int(length)) for number, length in enumerate(lengths)]
    manifest = build_manifest(titles, synthetic_space(WIDTH).as_json(), TrainingSettings())
    corpus = open_corpus(manifest, _sequence, cache)
    # The rival trains all of its weights, so we do.
    config = TrainConfig(
        preset=PRESET,
        model=presets.PRESETS[PRESET](3 * WIDTH, WIDTH),
        shots_per_step=SHOTS_PER_STEP,
        is_first_block_held=False,
    )
    sampler = Sampler(
        manifest, seed=0, shots_per_step=SHOTS_PER_STEP, masks=config.objective.masks, metadata_drop_share=0.0
    )
    return Workload(manifest, corpus, config, tuple(sampler.next_step() for _ in range(NUM_STEPS)))


def our_loop(workload: Workload, device: str) -> Callable[[], None]:
    """Takes the workload's steps with our trainer."""
    trainer = _trainer(workload, device)

    def run() -> None:
        for step in workload.steps:
            trainer.train_on(step, 1.0)
        _wait_for(device)

    return run


def _trainer(workload: Workload, device: str) -> Trainer:
    bias = np.zeros(workload.corpus.fused_dim, np.float32)
    return Trainer(workload.manifest, workload.corpus, workload.config, bias, device)


def rival_loop(workload: Workload, device: str) -> Callable[[], None]:
    """Takes the workload's steps as a straightforward loop would."""
    rival = Rival(workload.config).to(device)
    optimizer = torch.optim.AdamW(rival.parameters(), lr=1e-3)

    def run() -> None:
        for step in workload.steps:
            fused, metadata, is_padding, is_masked = (item.to(device) for item in _padded(step, workload.corpus))
            predicted = rival(fused, metadata, is_padding, is_masked)
            chosen = is_masked & ~is_padding
            loss = (1 - functional.cosine_similarity(predicted[chosen], fused[chosen], dim=-1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        _wait_for(device)

    return run


class Rival(nn.Module):
    """The model of a tutorial: projection, learned positions, `nn.TransformerEncoder`, projection back."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        model = config.model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.project = nn.Linear(model.fused_dim, model.hidden_dim)
            self.metadata = nn.Linear(model.metadata_dim, model.hidden_dim)
            self.positions = nn.Embedding(model.max_shots, model.hidden_dim)
            self.cls = nn.Parameter(torch.randn(model.hidden_dim) * 0.02)
            self.mask = nn.Parameter(torch.randn(model.hidden_dim) * 0.02)
            layer = nn.TransformerEncoderLayer(
                model.hidden_dim, model.num_heads, 4 * model.hidden_dim, 0.0, "gelu", batch_first=True
            )
            self.encoder = nn.TransformerEncoder(layer, model.num_layers)
            self.head = nn.Linear(model.hidden_dim, model.fused_dim)

    def forward(self, fused: Tensor, metadata: Tensor, is_padding: Tensor, is_masked: Tensor) -> Tensor:
        """Predictions at every position [B, N, E]."""
        shots = torch.where(is_masked[..., None], self.mask, self.project(fused))
        shots = shots + self.positions(torch.arange(fused.shape[1], device=fused.device))
        special = torch.stack([self.cls.expand(len(fused), -1), self.metadata(metadata)], dim=1)
        hidden = self.encoder(
            torch.cat([special, shots], dim=1), src_key_padding_mask=functional.pad(is_padding, (2, 0))
        )
        return self.head(hidden[:, 2:])  # type: ignore[no-any-return]


def _padded(step: Sequence[MaskedWindow], corpus: Corpus) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    longest = max(item.window.num_shots for item in step)
    fused = torch.zeros(len(step), longest, corpus.fused_dim)
    metadata = torch.zeros(len(step), corpus.metadata_dim)
    is_padding = torch.ones(len(step), longest, dtype=torch.bool)
    is_masked = torch.zeros(len(step), longest, dtype=torch.bool)
    for row, item in enumerate(step):
        sequence = corpus.title(item.window.title_id)
        length = item.window.num_shots
        vectors = sequence.fused[item.window.start : item.window.end].astype(np.float32)
        fused[row, :length] = torch.from_numpy(vectors)
        metadata[row] = torch.from_numpy(np.array(sequence.metadata))
        is_padding[row, :length] = False
        is_masked[row, :length] = torch.from_numpy(item.is_masked)
    return fused, metadata, is_padding, is_masked


def manifest_title(number: int, num_shots: int) -> ManifestTitle:
    """A made-up title, a group of its own."""
    name = f"title-{number:05d}"
    return ManifestTitle(
        title_id=name,
        group_id=name,
        media_sha256=name,
        fused_fingerprint=name,
        fused_key=name,
        metadata_fingerprint=name,
        metadata_key=name,
        num_shots=num_shots,
    )


def _sequence(title: ManifestTitle) -> TitleSequence:
    rng = np.random.default_rng(int(title.title_id[-5:]))
    fused = rng.normal(size=(title.num_shots, 3 * WIDTH)).astype(np.float32)
    fused /= np.linalg.norm(fused, axis=1, keepdims=True)
    metadata = rng.normal(size=WIDTH).astype(np.float32)
    is_present = np.ones((title.num_shots, 3), np.bool_)
    return TitleSequence(title.title_id, fused.astype(np.float16), is_present, metadata / np.linalg.norm(metadata))


def _wait_for(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()

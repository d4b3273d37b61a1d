"""Training throughput: our step against a plain padded fp32 `nn.TransformerEncoder` loop on the same ragged titles.

Both see the same titles, windows and masks, the same width, depth and heads, and take whole optimizer steps (ours: Muon
and AdamW; the rival: AdamW). The rival pads each step's titles to the longest and predicts every position, as a
straightforward loop does. Vectors are synthetic: what they hold does not change the time.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from mediafm.train.trainer import Trainer

PRESET = "small"
WIDTH = 768
NUM_TITLES = 60
MEDIAN_SHOTS, SPREAD = 40, 0.9
"""Titles' lengths are log-normal: a feature has a thousand shots, a clip ten."""
SHOTS_PER_STEP = 1024
NUM_STEPS = 3
NUM_REPEATS = 3
GOAL_CPU, GOAL_GPU = 1.5, 3.0


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


def rows(catalog: Path | None = None) -> list[Row]:
    """Throughput on this machine's CPU, and on its GPU if it has one. `catalog` is not looked at."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    with tempfile.TemporaryDirectory(prefix="mediafm-bench-") as folder:
        workload = make_workload(Path(folder))
        return [_row(workload, device) for device in devices]


def _row(workload: Workload, device: str) -> Row:
    ours, rival = our_loop(workload, device), rival_loop(workload, device)
    ours(), rival()
    our_seconds, rival_seconds = alternate_seconds(ours, rival, NUM_REPEATS)
    return Row(
        name=f"training: {PRESET}, ragged titles, {device}",
        value=workload.num_shots / our_seconds,
        unit="shots/s",
        rival="padded nn.TransformerEncoder, AdamW",
        rival_value=workload.num_shots / rival_seconds,
        goal=GOAL_CPU if device == "cpu" else GOAL_GPU,
        better="higher",
    )


def make_workload(cache: Path) -> Workload:
    """Random unit vectors of the default width in titles of very different lengths, and the steps to take."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(math.log(MEDIAN_SHOTS), SPREAD, NUM_TITLES).astype(int), 5, 512)
    titles = [_title(number, int(length)) for number, length in enumerate(lengths)]
    manifest = build_manifest(titles, synthetic_space(WIDTH).as_json(), TrainingSettings())
    corpus = open_corpus(manifest, _sequence, cache)
    config = TrainConfig(preset=PRESET, model=presets.PRESETS[PRESET](3 * WIDTH, WIDTH), shots_per_step=SHOTS_PER_STEP)
    sampler = Sampler(
        manifest, seed=0, shots_per_step=SHOTS_PER_STEP, masks=config.objective.masks, metadata_drop_share=0.0
    )
    return Workload(manifest, corpus, config, tuple(sampler.next_step() for _ in range(NUM_STEPS)))


def our_loop(workload: Workload, device: str) -> Callable[[], None]:
    """Takes the workload's steps with our trainer."""
    bias = np.zeros(workload.corpus.fused_dim, np.float32)
    trainer = Trainer(workload.manifest, workload.corpus, workload.config, bias, device)

    def run() -> None:
        for step in workload.steps:
            trainer.train_on(step, 1.0)
        _wait_for(device)

    return run


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


def _title(number: int, num_shots: int) -> ManifestTitle:
    name = f"title-{number:03d}"
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
    rng = np.random.default_rng(int(title.title_id[-3:]))
    fused = rng.normal(size=(title.num_shots, 3 * WIDTH)).astype(np.float32)
    fused /= np.linalg.norm(fused, axis=1, keepdims=True)
    metadata = rng.normal(size=WIDTH).astype(np.float32)
    is_present = np.ones((title.num_shots, 3), np.bool_)
    return TitleSequence(title.title_id, fused.astype(np.float16), is_present, metadata / np.linalg.norm(metadata))


def _wait_for(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()

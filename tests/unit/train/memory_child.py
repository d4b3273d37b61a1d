"""Run as a process of its own: builds a corpus and trains on it; prints how much anonymous memory that took at most.

    python -m tests.unit.train.memory_child FOLDER NUM_TITLES

What is read of a mapped file is the page cache's and not counted: the kernel takes it back when it needs it. Bounds on
what is held at once are lowered, so that both of the test's sizes lie beyond them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.memory import watched_memory
from benchmarks.training import manifest_title
from mediafm.config import TrainingSettings
from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import ManifestTitle, build_manifest
from mediafm.data.sequences import TitleSequence
from mediafm.data.synthetic import synthetic_space
from mediafm.model.config import ModelConfig
from mediafm.train import layer_meters, layers, readout, skill, trainer
from mediafm.train.config import TrainConfig
from mediafm.train.loop import train

WIDTH, SHOTS = 128, 256
FEW_SHOTS = 512


def load(title: ManifestTitle) -> TitleSequence:
    rows = np.random.default_rng(int(title.title_id[-5:])).normal(size=(SHOTS, 3 * WIDTH)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return TitleSequence(title.title_id, rows.astype(np.float16), np.ones((SHOTS, 3), np.bool_), None)


def main(folder: Path, num_titles: int) -> None:
    torch.set_num_threads(1)
    skill.FIT_MAX_SHOTS = trainer.FIRST_WEIGHTS_MAX_SHOTS = layers.SHOTS_PER_BATCH = FEW_SHOTS
    for module in (readout, layer_meters):
        for name in [name for name in vars(module) if "MAX_" in name]:
            setattr(module, name, min(getattr(module, name), FEW_SHOTS))
    readout.readout_skill.__kwdefaults__["max_shots"] = FEW_SHOTS
    titles = [manifest_title(number, SHOTS) for number in range(num_titles)]
    manifest = build_manifest(titles, synthetic_space(WIDTH).as_json(), TrainingSettings())
    model = ModelConfig(
        fused_dim=3 * WIDTH, metadata_dim=WIDTH, hidden_dim=64, num_layers=1, num_heads=2, feedforward_dim=64
    )
    config = TrainConfig(
        preset="memory",
        model=model,
        shots_per_step=SHOTS,
        shots_per_micro_step=SHOTS,
        max_steps=12,
        evaluate_every_steps=5,
        max_validation_shots=FEW_SHOTS,
        num_bootstrap=10,
    )
    with watched_memory() as building:
        corpus = open_corpus(manifest, load, folder)
    with watched_memory() as training:
        train(manifest, corpus, config)
    size = corpus.vectors.nbytes
    print(size, building.taken_bytes, training.taken_bytes)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

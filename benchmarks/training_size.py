"""Cost against size: building the corpus and training a fixed number of steps, on 10 to 10,000 titles.

Both should cost the same per shot, whatever the catalogue. Each size has a process of its own, so that its memory is
its own. Titles are random vectors, drawn when asked for; what they hold does not change the time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from benchmarks.memory import watched_memory
from benchmarks.row import Row
from benchmarks.training import manifest_title
from mediafm.config import TrainingSettings
from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import ManifestTitle, TrainingManifest, build_manifest
from mediafm.data.sequences import TitleSequence
from mediafm.data.synthetic import synthetic_space
from mediafm.model import presets
from mediafm.train.config import TrainConfig
from mediafm.train.trainer import Trainer

SIZES = (10, 100, 1_000, 10_000)
WIDTH, NUM_SHOTS = 64, 40
SHOTS_PER_STEP = 200
NUM_WARM_STEPS, NUM_STEPS = 5, 60
GOAL_SECONDS = 1.5
"""What a shot of the largest may cost, as a ratio to one of the smallest."""
GOAL_MEMORY = 0.5
"""Anonymous memory at the largest size as a share of its vectors' file: who copies the file has 1."""


def rows(catalog: Path | None = None) -> list[Row]:
    """Seconds per shot against the smallest size, and memory against the corpus's file. `catalog` is not looked at."""
    measured = {size: _in_a_process(size) for size in SIZES}
    times = [_time_row(what, measured, size) for what in ("building", "training") for size in SIZES[1:]]
    return times + [_memory_row(what, measured[SIZES[-1]]) for what in ("building", "training")]


def _time_row(what: str, measured: Mapping[int, Mapping[str, float]], size: int) -> Row:
    return Row(
        name=f"training: {what}, {size:,} titles",
        value=measured[size][what],
        unit="us/shot",
        rival=f"{SIZES[0]} titles",
        rival_value=measured[SIZES[0]][what],
        goal=GOAL_SECONDS if size == SIZES[-1] else None,
    )


def _memory_row(what: str, largest: Mapping[str, float]) -> Row:
    return Row(
        name=f"training: memory of {what}, {SIZES[-1]:,} titles",
        value=largest[f"memory of {what}"],
        unit="bytes/shot",
        rival="its file",
        rival_value=largest["file"],
        goal=GOAL_MEMORY,
    )


def measure(num_titles: int, folder: Path) -> dict[str, float]:
    """One size, per shot: microseconds, bytes of anonymous memory taken, and of the vectors' file."""
    torch.set_num_threads(1)
    manifest = make_manifest(num_titles)
    with watched_memory() as building:
        began = time.perf_counter()
        corpus = open_corpus(manifest, draw, folder)
        built = time.perf_counter() - began
    config = TrainConfig(preset="tiny", model=presets.tiny(3 * WIDTH, WIDTH), shots_per_step=SHOTS_PER_STEP)
    with watched_memory() as training:
        trainer = Trainer(manifest, corpus, config, np.zeros(corpus.fused_dim, np.float32), "cpu")
        for _ in range(NUM_WARM_STEPS):
            trainer.take_step(1.0)
        began, num_shots = time.perf_counter(), 0
        for _ in range(NUM_STEPS):
            num_shots += trainer.take_step(1.0).num_shots
        trained = time.perf_counter() - began
        trainer.close()
    return {
        "building": 1e6 * built / corpus.num_shots,
        "training": 1e6 * trained / num_shots,
        "memory of building": building.taken_bytes / corpus.num_shots,
        "memory of training": training.taken_bytes / corpus.num_shots,
        "file": corpus.vectors.nbytes / corpus.num_shots,
    }


def make_manifest(num_titles: int) -> TrainingManifest:
    """Titles of equal length, so that steps are alike at every size."""
    titles = [manifest_title(number, NUM_SHOTS) for number in range(num_titles)]
    return build_manifest(titles, synthetic_space(WIDTH).as_json(), TrainingSettings())


def draw(title: ManifestTitle) -> TitleSequence:
    """A title's random unit vectors, from its number."""
    rng = np.random.default_rng(int(title.title_id.rpartition("-")[2]))
    fused = rng.standard_normal((title.num_shots, 3 * WIDTH), np.float32)
    fused /= np.linalg.norm(fused, axis=1, keepdims=True)
    is_present = np.ones((title.num_shots, 3), np.bool_)
    return TitleSequence(title.title_id, fused.astype(np.float16), is_present, rng.standard_normal(WIDTH, np.float32))


def _in_a_process(num_titles: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="mediafm-bench-") as folder:
        command = [sys.executable, "-m", "benchmarks.training_size", str(num_titles), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), Path(sys.argv[2]))))

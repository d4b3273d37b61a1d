"""hf-audio: how fast it hears against the plain way of one shot per call, and what half the bits cost.

The architecture is wav2vec 2.0 base with random weights (speed does not depend on them); the sound is noise, cut into
shots as long as a film's. All ways run in turns in one process, on the CPU.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.row import Row, alternate_seconds, least_cosine_row
from mediafm.encoders.encoder import ShotAudio
from mediafm.encoders.hf_audio import HfAudio, HfAudioSettings
from mediafm.encoders.host import EncoderHost

NUM_SHOTS = 12
SHOT_SECONDS = (1.0, 10.0)
RATE_HZ = 16_000
NUM_LAYERS = 8
REPEATS = 2
SEED = 0
LEAST_RATIO = {"float32": 0.9, "bfloat16": 2.0}
"""float32 is bound by arithmetic on a CPU, and chunks that overlap cost a tenth; bfloat16 is what makes it fast."""
NAME = "encoders: hf-audio, wav2vec 2.0 base"
LEAST_COSINE = 0.999


def rows(catalog: Path | None = None) -> list[Row]:
    """Seconds of sound heard per second in each dtype, and the least cosine between them; `catalog` is not read."""
    shots = _shots()
    num_seconds = sum(len(shot.samples) for shot in shots) / RATE_HZ
    found, vectors = [], {}
    with tempfile.TemporaryDirectory() as folder:
        plain = _plain(_save(Path(folder)), shots)
        for dtype, goal in LEAST_RATIO.items():
            with HfAudio(HfAudioSettings(weights=folder, dtype=dtype), EncoderHost()) as encoder:
                vectors[dtype] = encoder.encode(shots)
                ours, rival = alternate_seconds(lambda encoder=encoder: encoder.encode(shots), plain, REPEATS)
            found.append(_speed_row(dtype, num_seconds / ours, num_seconds / rival, goal))
    return [
        *found,
        least_cosine_row(f"{NAME}, bfloat16 against float32", vectors["float32"], vectors["bfloat16"], LEAST_COSINE),
    ]


def _shots() -> list[ShotAudio]:
    draw = np.random.default_rng(SEED)
    lengths = (draw.uniform(*SHOT_SECONDS, NUM_SHOTS) * RATE_HZ).astype(int)
    return [ShotAudio(draw.normal(0, 0.1, length).astype(np.float32), RATE_HZ) for length in lengths]


def _save(folder: Path) -> Path:
    """wav2vec 2.0 base, random, with its extractor's settings."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        Wav2Vec2Model(Wav2Vec2Config()).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def _plain(folder: Path, shots: Sequence[ShotAudio]) -> Callable[[], list[NDArray[np.float32]]]:
    """One shot per call in float32, all hidden states kept, then averaged: what one would write first."""
    import torch
    from torch.nn import functional
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

    model: Any = Wav2Vec2Model.from_pretrained(folder).eval()
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)

    @torch.inference_mode()
    def vector(shot: ShotAudio) -> NDArray[np.float32]:
        inputs = extractor(shot.samples, sampling_rate=RATE_HZ, return_tensors="pt")
        states = model(inputs["input_values"], output_hidden_states=True).hidden_states[-NUM_LAYERS:]
        normed = [functional.layer_norm(state[0], state.shape[-1:]) for state in states]
        return np.asarray(torch.stack(normed).mean(dim=(0, 1)).numpy())

    return lambda: [vector(shot) for shot in shots]


def _speed_row(dtype: str, ours: float, rival: float, goal: float) -> Row:
    return Row(
        name=f"{NAME}, {dtype}",
        value=ours,
        unit="x real time",
        rival="one shot per call, float32",
        rival_value=rival,
        goal=goal,
        better="higher",
    )

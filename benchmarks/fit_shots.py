"""`python -m benchmarks.fit_shots`: fits the default detector's network on procedural videos, from a seed.

Writes mediafm/shots/lite_network.json. About two minutes on one core. Raise `STEP_VERSION` of mediafm/shots/lite.py
when the result is committed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.transitions import Joined, procedural
from mediafm.shots.lite_features import FEATURE_NAMES, Floats, TransitionFeatures
from mediafm.shots.lite_network import CLIP
from mediafm.shots.score import Transition

OUTPUT = Path(__file__).resolve().parents[1] / "mediafm" / "shots" / "lite_network.json"
NUM_HIDDEN = 24
NUM_EPOCHS = 40
SLOPE_WEIGHT = 0.5
"""Frames inside a transition but not in its middle third are no boundaries, yet near enough to count for less."""

LONG_BLACK_FRAMES = 10


def features_of(frames: NDArray[np.uint8]) -> Floats:
    """One row a frame: float32 [N, F]."""
    features = TransitionFeatures()
    rows = [features.push(frame) for frame in frames]
    return np.concatenate([*rows, features.flush()])


def targets_of(video: Joined) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each frame: 1.0 in the middle third of a transition (at a cut: its frame), and how much it counts.

    Either end of a long black counts as a boundary: the detector keeps the first of the two.
    """
    index = np.arange(len(video.frames))
    is_boundary, weight = np.zeros(len(index)), np.ones(len(index))
    for transition in video.transitions:
        weight[max(0, transition.start_frame - 1) : transition.end_frame + 2] = SLOPE_WEIGHT
        for start, end in _parts(video, transition):
            is_middle = np.abs(index - (start + end) / 2) <= max(0.6, (end - start) / 6)
            is_boundary[is_middle] = weight[is_middle] = 1.0
    return is_boundary, weight


def _parts(video: Joined, transition: Transition) -> list[tuple[int, int]]:
    """The transition's ends; those of its two halves if a long black parts them."""
    start, end = transition.start_frame, transition.end_frame
    black = start + np.flatnonzero(video.frames[start:end].max(axis=(1, 2, 3), initial=0) == 0)
    if transition.kind != "fade" or len(black) < LONG_BLACK_FRAMES:
        return [(start, end)]
    return [(start, int(black[0])), (int(black[-1]) + 1, end)]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", default=100, show_default=True)
@click.option("--videos", default=400, show_default=True)
def main(seed: int, videos: int) -> None:
    """Fit the network and write it into the package."""
    rows, targets, weights = [], [], []
    for number in range(videos):
        video = procedural(seed + number, num_spans=14)
        rows.append(features_of(video.frames))
        is_boundary, weight = targets_of(video)
        targets.append(is_boundary)
        weights.append(weight)
    network = fit(np.concatenate(rows), np.concatenate(targets), np.concatenate(weights))
    OUTPUT.write_text(as_text(network))
    click.echo(f"{OUTPUT.name}: fitted on {sum(map(len, rows))} frames of {videos} videos")


def fit(rows: Floats, targets: NDArray[np.float64], weights: NDArray[np.float64]) -> dict[str, Any]:
    """The network as JSON; see `mediafm.shots.lite_network` for its fields."""
    from sklearn.neural_network import MLPClassifier

    centre, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    model = MLPClassifier(
        (NUM_HIDDEN,), alpha=0.1, max_iter=NUM_EPOCHS, batch_size=512, learning_rate_init=3e-3, random_state=1
    )
    model.fit(np.clip((rows - centre) / scale, -CLIP, CLIP), targets, sample_weight=weights)
    hidden, output = model.coefs_
    return {
        "features": {
            name: {"centre": _short(centre[i]), "scale": _short(scale[i]), "weights": [_short(w) for w in hidden[i]]}
            for i, name in enumerate(FEATURE_NAMES)
        },
        "hidden_bias": [_short(b) for b in model.intercepts_[0]],
        "output": [_short(w) for w in output[:, 0]],
        "output_bias": _short(model.intercepts_[1][0]),
    }


def as_text(network: dict[str, Any]) -> str:
    """JSON with one feature a line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in network["features"].items()]
    rest = ",\n".join(f' "{key}": {json.dumps(network[key])}' for key in ("hidden_bias", "output", "output_bias"))
    return '{\n "features": {\n' + ",\n".join(lines) + "\n },\n" + rest + "\n}\n"


def _short(value: Any) -> float:
    return round(float(value), 5)


if __name__ == "__main__":
    main()

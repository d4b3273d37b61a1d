"""Small videos for detectors: frames of a given place, made from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mediafm.shots.detector import ShotDetector, SmallFrame

Frames = NDArray[np.uint8]


@pytest.fixture
def take() -> Callable[..., Frames]:
    """A still take of a made-up place: uint8 [num_frames, 36, 64, 3], another place for every seed, a little grain."""

    def make(seed: int, num_frames: int) -> Frames:
        rng = np.random.default_rng(seed)
        coarse = (15 + 50 * (seed % 4) + rng.integers(0, 70, (5, 7, 3))).astype(np.float32)
        place = cv2.resize(coarse, (64, 36), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 0.3, (num_frames, 36, 64, 3))
        return np.clip(place + grain, 0, 255).astype(np.uint8)

    return make


@pytest.fixture
def run_detector() -> Callable[..., list[int]]:
    """Feeds frames to a detector, holds it to its promises, and gives its cuts."""

    def run(detector: ShotDetector, frames: Iterable[Frames], times: Sequence[float] | None = None) -> list[int]:
        cuts: list[int] = []
        index = -1
        for index, pixels in enumerate(frames):
            told = detector.push(SmallFrame(index, times[index] if times is not None else index / 25, pixels))
            assert all(index - cut <= detector.spec.delay_frames for cut in told), "a cut came later than promised"
            cuts += told
        told = detector.flush()
        assert all(index - cut <= detector.spec.delay_frames for cut in told), "a cut was held back too long"
        cuts += told
        assert cuts == sorted(set(cuts)), "cuts increase"
        assert all(0 < cut <= index for cut in cuts), "a cut is a frame of the title, never the first one"
        return cuts

    return run

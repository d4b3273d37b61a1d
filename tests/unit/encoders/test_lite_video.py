"""lite-video: what looks alike lies close, whatever the size of the frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mediafm.encoders.encoder import ShotFrames
from mediafm.encoders.lite_video import LiteVideo, LiteVideoSettings


def _place(seed: int, height: int = 90, width: int = 160) -> np.ndarray:
    """A smooth random picture: a few large blobs of colour."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def _shot(*frames: np.ndarray) -> ShotFrames:
    return ShotFrames(frames, tuple(float(place) for place in range(len(frames))))


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_the_same_place_a_little_brighter_is_closer_than_a_dark_one() -> None:
    here, elsewhere = _place(1), _place(2) // 3
    brighter = np.clip(here.astype(int) + 12, 0, 255).astype(np.uint8)
    vectors = LiteVideo().encode([_shot(here), _shot(brighter), _shot(elsewhere)])
    assert _cosine(vectors[0], vectors[1]) > 0.2 + _cosine(vectors[0], vectors[2])


def test_the_size_of_the_frames_hardly_matters() -> None:
    small, large = _place(3, 180, 320), cv2.resize(_place(3, 180, 320), (1280, 720))
    vectors = LiteVideo().encode([_shot(small), _shot(large)])
    assert _cosine(vectors[0], vectors[1]) > 0.95


def test_frames_in_another_order_differ_in_motion_only() -> None:
    frames = [_place(seed) for seed in range(4)]
    still = LiteVideo(LiteVideoSettings(motion_weight=0.0))
    forward, backward = _shot(*frames), _shot(*reversed(frames))
    vectors = still.encode([forward, backward])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
    moving = LiteVideo().encode([forward, backward])
    assert np.abs(moving[0] - moving[1]).max() > 1e-3


def test_a_still_shot_has_no_motion() -> None:
    vector = LiteVideo().encode([_shot(_place(5), _place(5))])[0]
    assert not vector[-20:].any()
    assert LiteVideo().encode([_shot(_place(5), _place(6))])[0, -20:].any()


@pytest.mark.parametrize("level", [0, 255])
def test_a_plain_frame_has_a_direction(level: int) -> None:
    vector = LiteVideo().encode([_shot(np.full((10, 10, 3), level, np.uint8))])[0]
    assert np.linalg.norm(vector) > 0.5

"""Features against their plain definitions, on whole videos instead of a sliding window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mediafm.errors import IntegrityError
from mediafm.shots import lite_network
from mediafm.shots.lite_features import (
    BLOCK,
    FEATURE_NAMES,
    FINE_NOISE,
    NOISE,
    REACH,
    SCALES,
    TransitionFeatures,
    frame_vector,
)

Frames = NDArray[np.uint8]


def rows_of(frames: Frames) -> NDArray[np.float32]:
    features = TransitionFeatures()
    told = [features.push(frame) for frame in frames]
    return np.concatenate([*told, features.flush()])


def frames_of(num_frames: int) -> Frames:
    """A random walk: every frame a little other than the one before it."""
    rng = np.random.default_rng(3)
    blocks = np.cumsum(rng.normal(0, 8, (num_frames, 9, 16, 3)), axis=0) + rng.uniform(90, 160, (9, 16, 3))
    return np.clip(blocks, 0, 255).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)


def vectors_of(frames: Frames) -> NDArray[np.float32]:
    return np.stack([frame_vector(frame) for frame in frames])


def plain(vectors: NDArray[np.float32], c: int, h: int) -> dict[str, float]:
    """What the features at scale h say of centre c, straight from the frames."""

    def at(index: int) -> NDArray[np.float64]:
        return vectors[min(max(index, 0), len(vectors) - 1)].astype(np.float64) * np.sqrt(432)

    a, b = at(c - 1 - h), at(c + h)
    apart = ((b - a) ** 2).mean()
    shares, residuals = [], []
    for t in range(c - h, c + h):
        share = ((at(t) - a) * (b - a)).mean() / (apart + NOISE)
        shares.append(share)
        residuals.append(((at(t) - a - share * (b - a)) ** 2).mean() / (apart + NOISE))
    even = (np.arange(2 * h) + 1) / (2 * h + 1)
    return {
        f"distance_{h}": np.log(apart + NOISE),
        f"residual_{h}": np.log(np.mean(residuals) + 0.003),
        f"unevenness_{h}": np.log(np.mean((np.array(shares) - even) ** 2) + 0.003),
    }


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4, 5, 21, 22, 60])
def test_one_row_a_frame(num_frames: int) -> None:
    rows = rows_of(frames_of(num_frames))
    assert rows.shape == (num_frames, len(FEATURE_NAMES))
    assert np.isfinite(rows).all()


def test_rows_come_no_later_than_promised() -> None:
    features, num_told = TransitionFeatures(), 0
    for index, frame in enumerate(frames_of(80)):
        num_told += len(features.push(frame))
        assert index - num_told < REACH + BLOCK


@pytest.mark.parametrize("h", SCALES)
def test_a_scale_is_its_plain_definition(h: int) -> None:
    vectors, rows = vectors_of(frames_of(50)), rows_of(frames_of(50))
    for c in (0, 1, 20, 33, 49):
        for name, value in plain(vectors, c, h).items():
            assert rows[c, FEATURE_NAMES.index(name)] == pytest.approx(value, abs=0.01), (name, c)


def test_a_step_is_the_distance_to_the_frame_before() -> None:
    vectors = vectors_of(frames_of(30))
    step = rows_of(frames_of(30))[:, FEATURE_NAMES.index("step")]
    expected = np.log(((vectors[1:] - vectors[:-1]).astype(np.float64) ** 2).sum(axis=1) + NOISE)
    np.testing.assert_allclose(step[1:], expected, atol=0.01)  # float32 cancels where frames are nearly the same


@pytest.mark.parametrize(
    ("name", "before", "after"), [("fine_step", 1, 0), ("fine_over_3", 2, 1), ("fine_over_5", 3, 2)]
)
def test_fine_steps_are_mean_absolute_differences(name: str, before: int, after: int) -> None:
    frames = frames_of(40)
    rows = rows_of(frames)
    for c in (10, 20, 30):
        apart = np.abs(frames[c + after].astype(float) - frames[c - before]).mean() / 255
        assert rows[c, FEATURE_NAMES.index(name)] == pytest.approx(np.log(apart + FINE_NOISE), abs=1e-4)


def test_black_frames_have_finite_features() -> None:
    assert np.isfinite(rows_of(np.zeros((50, 36, 64, 3), np.uint8))).all()


def test_a_frame_vector_is_its_mean_colours(take: Callable[..., Any]) -> None:
    frame = take(1, 1)[0]
    expected = frame.reshape(9, 4, 16, 4, 3).mean(axis=(1, 3)).reshape(-1) / 255
    np.testing.assert_allclose(frame_vector(frame) * np.sqrt(432), expected, atol=0.003)


def test_probabilities_are_probabilities() -> None:
    rows = np.random.default_rng(0).normal(0, 50, (200, len(FEATURE_NAMES))).astype(np.float32)
    probability = lite_network.load_network().probability(rows)
    assert ((probability >= 0) & (probability <= 1)).all()


def test_a_network_for_other_features_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite_network, "FEATURE_NAMES", ("something_else",))
    lite_network.load_network.cache_clear()
    with pytest.raises(IntegrityError, match=r"begin with 'step'; .*python -m benchmarks.fit_shots"):
        lite_network.load_network()
    lite_network.load_network.cache_clear()

"""PySceneDetect's detectors behind our interface: their own cuts, on our frames, in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mediafm.config import DetectorChoice
from mediafm.shots.pyscenedetect import build

NAMES = ("adaptive", "content", "histogram", "hash")


@pytest.mark.parametrize("name", NAMES)
def test_hard_cuts_are_found_at_the_first_frame_of_the_new_shot(
    name: str, take: Callable[..., Any], run_detector: Callable[..., list[int]]
) -> None:
    frames = np.concatenate([take(1, 30), take(2, 25), take(3, 40)])
    assert run_detector(build(DetectorChoice(name=name)), frames) == [30, 55]


@pytest.mark.parametrize("name", NAMES)
def test_times_do_not_move_cuts(name: str, take: Callable[..., Any], run_detector: Callable[..., list[int]]) -> None:
    frames = np.concatenate([take(1, 30), take(2, 25), take(3, 40)])
    times = np.cumsum(np.random.default_rng(0).uniform(0.001, 2.0, len(frames))) + 1000.0
    detector = build(DetectorChoice(name=name))
    assert run_detector(detector, frames, times.tolist()) == [30, 55]


@pytest.mark.parametrize("settings", [{}, {"window_width": 7}])
def test_adaptive_is_late_by_its_window(
    settings: dict[str, int], take: Callable[..., Any], run_detector: Callable[..., list[int]]
) -> None:
    detector = build(DetectorChoice(name="adaptive", settings=settings))
    assert detector.spec.delay_frames == settings.get("window_width", 2)
    assert run_detector(detector, np.concatenate([take(1, 30), take(2, 30)])) == [30]


def test_merging_holds_a_cut_back_as_long_as_the_spec_says(
    take: Callable[..., Any], run_detector: Callable[..., list[int]]
) -> None:
    detector = build(DetectorChoice(name="content", settings={"min_scene_len": 10}))
    flicker = np.concatenate([take(seed, 3) for seed in (3, 1, 3, 1, 3)])
    frames = np.concatenate([take(1, 30), take(2, 30), flicker, take(2, 40)])
    assert detector.spec.delay_frames == 10
    assert run_detector(detector, frames) == [30, 60, 75]


def test_min_scene_len_counts_frames(take: Callable[..., Any], run_detector: Callable[..., list[int]]) -> None:
    frames = np.concatenate([take(1, 30), take(2, 12), take(3, 40)])
    assert run_detector(build(DetectorChoice(name="histogram", settings={"min_scene_len": 12})), frames) == [30, 42]
    assert run_detector(build(DetectorChoice(name="histogram", settings={"min_scene_len": 13})), frames) == [30]


def test_threshold_cuts_in_the_middle_of_black(
    take: Callable[..., Any], run_detector: Callable[..., list[int]]
) -> None:
    frames = np.concatenate([take(1, 30), np.zeros((20, 36, 64, 3), np.uint8), take(2, 30)])
    assert run_detector(build(DetectorChoice(name="threshold")), frames) == [40]


def test_threshold_bounds_its_delay_after_a_long_black(
    take: Callable[..., Any], run_detector: Callable[..., list[int]]
) -> None:
    frames = np.concatenate([take(1, 30), np.zeros((300, 36, 64, 3), np.uint8), take(2, 30)])
    detector = build(DetectorChoice(name="threshold", settings={"max_delay_frames": 16}))
    assert run_detector(detector, frames) == [330 - 16]


@pytest.mark.parametrize("name", [*NAMES, "threshold"])
def test_a_title_without_frames_has_no_cuts(name: str) -> None:
    assert build(DetectorChoice(name=name)).flush() == []


@pytest.mark.parametrize("name", NAMES)
def test_the_cuts_are_their_own(name: str, take: Callable[..., Any], run_detector: Callable[..., list[int]]) -> None:
    """The same frames through PySceneDetect's own manager."""
    import scenedetect
    from scenedetect import detectors
    from scenedetect.common import FrameTimecode

    rng = np.random.default_rng(5)
    frames = np.concatenate([take(seed, int(rng.integers(2, 40))) for seed in range(12)])
    theirs = {
        "adaptive": detectors.AdaptiveDetector,
        "content": detectors.ContentDetector,
        "histogram": detectors.HistogramDetector,
        "hash": detectors.HashDetector,
    }[name]()
    manager = scenedetect.SceneManager()
    manager.add_detector(theirs)
    for index, pixels in enumerate(frames):
        manager._process_frame(FrameTimecode(index, 24.0), pixels)
    expected = sorted(cut.frame_num for cut in manager.get_cut_list(show_warning=False))
    assert run_detector(build(DetectorChoice(name=name)), frames) == expected

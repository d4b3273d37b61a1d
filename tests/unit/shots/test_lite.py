"""The default detector: what must cut, what must not, where and when."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.config import DetectorChoice
from mediafm.shots.lite import build
from mediafm.shots.lite_judge import LiteSettings, PeakPicker
from mediafm.shots.score import Transition, score_cuts

Take = Callable[..., Any]
Run = Callable[..., list[int]]

LITE = DetectorChoice(name="lite")


def mixed(out: Any, new: Any, num_frames: int) -> Any:
    """A dissolve of the last frames of `out` into the first of `new`."""
    share = (np.arange(1, num_frames + 1) / (num_frames + 1))[:, None, None, None]
    return (out[:num_frames] * (1 - share) + new[:num_frames] * share).astype(np.uint8)


def test_hard_cuts_at_the_first_frame_of_the_new_shot(take: Take, run_detector: Run) -> None:
    frames = np.concatenate([take(1, 40), take(2, 25), take(3, 50)])
    assert run_detector(build(LITE), frames) == [40, 65]


@pytest.mark.parametrize("length", [8, 12, 18, 24])
def test_a_dissolve_is_cut_once_near_its_middle(length: int, take: Take, run_detector: Run) -> None:
    frames = np.concatenate([take(1, 50), mixed(take(1, length), take(6, length), length), take(6, 50)])
    (cut,) = run_detector(build(LITE), frames)
    assert abs(cut - (50 + length / 2)) <= length / 4 + 1


@pytest.mark.parametrize("num_black", [0, 3, 30, 90])
def test_a_fade_through_black_is_cut_once(num_black: int, take: Take, run_detector: Run) -> None:
    black = np.zeros((max(12, num_black), 36, 64, 3), np.uint8)
    parts = [take(1, 50), mixed(take(1, 12), black, 12), black[:num_black], mixed(black, take(2, 12), 12), take(2, 50)]
    (cut,) = run_detector(build(LITE), np.concatenate(parts))
    assert 50 <= cut <= 50 + 24 + num_black


@pytest.mark.parametrize("num_frames", [1, 2, 3])
@pytest.mark.parametrize("level", [0, 255])
def test_flashes_and_black_frames_are_no_cuts(num_frames: int, level: int, take: Take, run_detector: Run) -> None:
    frames = take(1, 90)
    frames[45 : 45 + num_frames] = level
    assert run_detector(build(LITE), frames) == []


def test_a_logo_is_no_cut(take: Take, run_detector: Run) -> None:
    frames = take(1, 90)
    frames[45:, 2:8, 2:14] = 255
    assert run_detector(build(LITE), frames) == []


def test_light_that_goes_down_is_no_cut(take: Take, run_detector: Run) -> None:
    gain = np.interp(np.arange(90), [40, 60], [1.0, 0.6])[:, None, None, None]
    assert run_detector(build(LITE), (take(1, 90) * gain).astype(np.uint8)) == []


def test_a_pan_is_no_cut(take: Take, run_detector: Run) -> None:
    wide = np.concatenate([take(1, 1)[0], take(1, 1)[0][:, ::-1], take(1, 1)[0]], axis=1)
    assert run_detector(build(LITE), [np.ascontiguousarray(wide[:, t : t + 64]) for t in range(120)]) == []


def test_a_still_picture_is_one_shot(take: Take, run_detector: Run) -> None:
    assert run_detector(build(LITE), take(1, 200)) == []
    assert run_detector(build(LITE), np.zeros((200, 36, 64, 3), np.uint8)) == []


@pytest.mark.parametrize("num_frames", [0, 1, 2, 20, 41])
def test_short_titles_are_one_shot(num_frames: int, take: Take, run_detector: Run) -> None:
    assert run_detector(build(LITE), take(1, num_frames)) == []


def test_cuts_near_both_ends_are_found(take: Take, run_detector: Run) -> None:
    frames = np.concatenate([take(1, 12), take(2, 60), take(3, 12)])
    assert run_detector(build(LITE), frames) == [12, 72]


def test_the_frames_size_hardly_matters(take: Take, run_detector: Run) -> None:
    frames = np.concatenate([take(1, 40), take(2, 25), take(3, 50)])
    large = frames.repeat(3, axis=1).repeat(3, axis=2)
    assert run_detector(build(LITE), large) == [40, 65]


@pytest.mark.parametrize("first_frame_of_new", [80, 81])
def test_at_50_hz_cuts_stay_exact_though_every_second_frame_is_left_out(
    first_frame_of_new: int, take: Take, run_detector: Run
) -> None:
    frames = np.concatenate([take(1, first_frame_of_new), take(2, 90)])
    assert run_detector(build(LITE), frames, [index / 50 for index in range(len(frames))]) == [first_frame_of_new]


def test_at_60_hz_a_dissolve_of_40_frames_is_seen(take: Take, run_detector: Run) -> None:
    frames = np.concatenate([take(1, 120), mixed(take(1, 40), take(6, 40), 40), take(6, 120)])
    (cut,) = run_detector(build(LITE), frames, [index / 60 for index in range(len(frames))])
    assert 130 <= cut <= 150


@pytest.mark.parametrize("step", [0.0, 1e-6, 3.0])
def test_odd_times_do_not_stop_it(step: float, take: Take, run_detector: Run) -> None:
    frames = np.concatenate([take(1, 80), take(2, 80)])
    assert run_detector(build(LITE), frames, [index * step for index in range(160)]) == [80]


def test_variable_rates_keep_frame_numbers(take: Take, run_detector: Run) -> None:
    frames = np.concatenate([take(1, 80), take(2, 80), take(3, 80)])
    times = np.cumsum(np.random.default_rng(1).uniform(0.035, 0.2, len(frames)))
    assert run_detector(build(LITE), frames, times.tolist()) == [80, 160]


def test_short_shots_are_merged_by_setting(take: Take, run_detector: Run) -> None:
    frames = np.concatenate([take(1, 40), take(2, 20), take(3, 50)])
    detector = build(DetectorChoice(name="lite", settings={"min_shot_frames": 21}))
    assert run_detector(detector, frames) == [40]


def test_the_network_is_part_of_the_spec() -> None:
    spec = build(LITE).spec
    assert len(str(spec.settings["network"])) == 16
    assert spec.delay_frames == 2 * (18 + 4 - 1 + 8) + 1


def test_black_is_never_a_shot_of_its_own(take: Take, run_detector: Run) -> None:
    black = np.zeros((60, 36, 64, 3), np.uint8)
    assert run_detector(build(LITE), np.concatenate([take(1, 50), black, take(2, 50)])) == [50]
    assert run_detector(build(LITE), np.concatenate([black, take(2, 50)])) == []


def test_the_written_rule_cuts_even_where_the_network_would_not(take: Take, run_detector: Run) -> None:
    frames = np.concatenate([take(1, 60), take(5, 60)])
    unheard = {"threshold": 1.0}
    assert run_detector(build(DetectorChoice(name="lite", settings=unheard)), frames) == [60]
    assert run_detector(build(DetectorChoice(name="lite", settings={**unheard, "hard_step": 0.9})), frames) == []


@pytest.mark.parametrize(("name", "goal"), [("hard_cuts", 0.98), ("mixed", 0.92), ("gradual", 0.80)])
def test_real_boundaries(name: str, goal: float, shared_media: Path, run_detector: Run) -> None:
    stored = json.loads((shared_media / "boundaries" / f"{name}.json").read_text())
    truth = [Transition(each["start_frame"], each["end_frame"], each["kind"]) for each in stored["transitions"]]
    with av.open(str(shared_media / "boundaries" / f"{name}.mp4")) as container:
        frames = [
            frame.reformat(64, 36, "bgr24", interpolation="AREA").to_ndarray() for frame in container.decode(video=0)
        ]
    assert score_cuts(run_detector(build(LITE), frames), truth).f1 >= goal


PROBABILITIES = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.7, 0.9, 1.0]), max_size=60)


@given(PROBABILITIES, st.integers(1, 9), st.integers(1, 20))
def test_peaks_are_the_highest_around(probabilities: list[float], radius: int, min_shot_frames: int) -> None:
    picker = PeakPicker(LiteSettings(peak_radius=radius, min_shot_frames=min_shot_frames))
    cuts: list[int] = []
    for index, probability in enumerate(probabilities):
        told = picker.push(index, probability, is_black=False)
        assert all(cut == index - radius for cut in told)
        cuts += told
    cuts += picker.flush()
    expected, last = [], 0
    for index, probability in enumerate(probabilities):
        before, after = probabilities[max(0, index - radius) : index], probabilities[index + 1 : index + 1 + radius]
        is_peak = probability >= 0.5 and all(p < probability for p in before) and all(p <= probability for p in after)
        is_waiting_at_the_end = index >= len(probabilities) - radius
        is_too_near = is_waiting_at_the_end and len(probabilities) - index < min_shot_frames
        if is_peak and index - last >= min_shot_frames and not is_too_near:
            expected.append(index)
            last = index
    assert cuts == expected

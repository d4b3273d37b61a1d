"""From a label to shots and to one vector; what cannot be found is dropped and named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mediafm.config import ProbeSettings, TaskSettings
from mediafm.errors import LineageMismatchError
from mediafm.probes.annotators import merged
from mediafm.probes.clip_pooling import Pooling
from mediafm.probes.clips import clip_vectors, find_clips
from mediafm.probes.label_rows import LabelValue
from mediafm.probes.labels import LabelKind, LabelRow, LabelSet
from mediafm.probes.vectors import TitleShots, TitleVectors
from mediafm.types import Span

TITLE = TitleShots(
    title_id="t",
    group_id="series",
    start_seconds=np.array([0.0, 2.0, 5.0]),
    end_seconds=np.array([2.0, 5.0, 9.0]),
)


def row(value: LabelValue = (), *, title_id: str = "t", span: Span | None = None, shot: int | None = None) -> LabelRow:
    return LabelRow(title_id=title_id, task="x", span=span, shot_index=shot, value=value, annotator="a", where="x:1")


def label_set(*rows: LabelRow) -> LabelSet:
    return LabelSet(task="x", kind=rows[0].kind, rows=rows)


@pytest.mark.parametrize(
    ("label", "shots", "weights"),
    [
        (row(span=Span(1.0, 6.0)), [0, 1, 2], [1.0, 3.0, 1.0]),
        (row(span=Span(2.0, 5.0)), [1], [3.0]),
        (row(span=Span(8.0, 99.0)), [2], [1.0]),
        (row(shot=2), [2], [4.0]),
        (row(), [0, 1, 2], [2.0, 3.0, 4.0]),
    ],
)
def test_a_clip_is_its_shots_weighted_by_overlap(label: LabelRow, shots: list[int], weights: list[float]) -> None:
    found = find_clips(label_set(label), {"t": TITLE})
    (clip,) = found.clips
    assert (clip.shot_index.tolist(), clip.weight.tolist(), clip.group_id) == (shots, weights, "series")
    assert found.groups == ["series"]


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        (row(title_id="u"), "the title 'u' is not in the catalogue"),
        (row(shot=3), "shot 3 of 't', which has 3"),
        (row(span=Span(9.0, 12.0)), "9.0 to 12.0 s lies outside 't', which ends at 9.00 s"),
        (row(title_id="none"), "the title 'none' has no shots"),
    ],
)
def test_what_cannot_be_found_is_named(label: LabelRow, sentence: str) -> None:
    nothing = TitleShots(title_id="none", group_id="g", start_seconds=np.zeros(0), end_seconds=np.zeros(0))
    found = find_clips(label_set(label), {"t": TITLE, "none": nothing})
    assert found.clips == ()
    assert [(problem.where, problem.sentence) for problem in found.dropped] == [("x:1", sentence)]


def test_the_vector_is_the_weighted_mean_of_present_shots() -> None:
    task = find_clips(label_set(row(span=Span(1.0, 6.0)), row(shot=1), row(shot=0)), {"t": TITLE})
    vectors = np.array([[1, 0], [9, 9], [0, 2]], dtype=np.float32)
    title = TitleVectors(title_id="t", vectors=vectors, is_present=np.array([True, False, True]))
    (found,) = clip_vectors([task], iter([title]))
    assert found.is_present.tolist() == [True, False, True]
    assert found.vectors == pytest.approx(np.array([[1 / 5**0.5, 2 / 5**0.5], [0, 0], [1, 0]]), abs=1e-6)


def test_clips_of_titles_that_do_not_come_by_are_absent() -> None:
    task = find_clips(label_set(row(shot=1)), {"t": TITLE})
    (found,) = clip_vectors([task], [])
    assert found.is_present.tolist() == [False]


def test_vectors_of_other_shots_are_refused() -> None:
    task = find_clips(label_set(row(shot=2)), {"t": TITLE})
    short = TitleVectors(title_id="t", vectors=np.ones((2, 2), dtype=np.float32), is_present=np.ones(2, dtype=bool))
    with pytest.raises(LineageMismatchError, match="title t: shot 2 among vectors of 2 shots"):
        clip_vectors([task], [short])


@pytest.mark.parametrize(
    ("values", "agreed"),
    [
        ([1.0, 4.0], 2.5),
        ([True, False], True),
        ([True, False, False], False),
        (["b", "a", "b"], "b"),
        (["b", "a"], "a"),
        ([("a", "b"), ("b",), ("c",)], ("b",)),
    ],
)
def test_annotators_become_one_opinion(values: list[LabelValue], agreed: LabelValue) -> None:
    rows = [replace(row(value, shot=1), annotator=str(number)) for number, value in enumerate(values)]
    (found,) = merged(label_set(*rows)).rows
    assert found.value == agreed
    assert found.kind == rows[0].kind
    assert LabelKind(found.kind)


def test_pooling_is_configured_by_task_and_pairs_have_their_own() -> None:
    settings = ProbeSettings(tasks={"x": TaskSettings(pooling="max")})
    whole, pair = label_set(row()), label_set(replace(row(True, shot=0), is_pair=True))
    task = find_clips(whole, {"t": TITLE}, settings)
    assert (task.pooling, find_clips(whole, {"t": TITLE}).pooling) == (Pooling.MAX, Pooling.MEAN)
    assert find_clips(pair, {"t": TITLE}, settings).pooling is Pooling.PAIR
    vectors = np.array([[1, 0], [0, 1], [0, -1]], dtype=np.float32)
    title = TitleVectors(title_id="t", vectors=vectors, is_present=np.ones(3, dtype=bool))
    (found,) = clip_vectors([task], [title])
    assert found.vectors == pytest.approx(np.array([[0.5**0.5, 0.5**0.5]]), abs=1e-6)

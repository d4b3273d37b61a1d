"""Feature sets: one reading serves many, joined sets are made of pooled ones, alternatives keep their order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mediafm.errors import LineageMismatchError
from mediafm.probes.clips import Clip, ClipVectors, TaskClips, clip_vectors
from mediafm.probes.feature_sets import (
    CENTRED,
    OWN,
    FeatureSet,
    among,
    baseline_sets,
    joined,
    neighbourhood,
    once,
    shot_sets,
)
from mediafm.probes.features import mean_around, minus_title_mean
from mediafm.probes.labels import LabelKind
from mediafm.probes.vectors import TitleVectors


def task(name: str, places: list[tuple[str, list[int]]]) -> TaskClips:
    clips = tuple(
        Clip(
            title_id=title,
            group_id=title,
            shot_index=np.array(shots),
            weight=np.arange(1.0, len(shots) + 1),
            value=True,
            where="x",
        )
        for title, shots in places
    )
    return TaskClips(task=name, kind=LabelKind.BINARY, clips=clips, dropped=())


TASKS = (
    task("one", [("b", [0, 1]), ("a", [2]), ("gone", [0]), ("b", [3])]),
    task("two", [("a", [0, 1, 2])]),
)


class Table:
    """Two titles of five shots, some absent; counts how often it is read."""

    def __init__(self, width: int = 4, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.num_readings = 0
        self.titles = [
            TitleVectors(
                title_id=name,
                vectors=rng.normal(size=(5, width)).astype(np.float32),
                is_present=np.arange(5) != absent,
            )
            for name, absent in (("a", 2), ("b", 4), ("unlabelled", 0))
        ]

    def __call__(self) -> Iterator[TitleVectors]:
        self.num_readings += 1
        yield from self.titles


def test_one_reading_serves_every_set_and_each_is_what_it_would_be_alone() -> None:
    table = Table()
    sources = shot_sets(table, neighbourhood((1, 3)))
    transforms = {
        OWN: lambda title: title,
        CENTRED: minus_title_mean,
        "k=1": lambda title: mean_around(title, 1),
        "k=3": lambda title: mean_around(title, 3),
    }
    assert list(sources) == list(transforms)
    for _ in range(2):
        for name, transform in transforms.items():
            expected = clip_vectors(TASKS, map(transform, table.titles))
            for (found,), wanted in zip(sources[name](TASKS), expected, strict=True):
                assert found.vectors == pytest.approx(wanted.vectors, abs=1e-6)
                assert (found.is_present == wanted.is_present).all()
    assert table.num_readings == 1
    sources[OWN](TASKS[:1])
    assert table.num_readings == 2  # other tasks are other clips


def test_joined_sets_are_the_parts_side_by_side_each_at_length_one() -> None:
    near, far = shot_sets(Table()), shot_sets(Table(width=3, seed=1))
    whole = joined(near[OWN], far[OWN])(TASKS)
    for (both,), (left,), (right,) in zip(whole, near[OWN](TASKS), far[OWN](TASKS), strict=True):
        assert (both.vectors == np.concatenate([left.vectors, right.vectors], axis=1)).all()
        assert (both.is_present == (left.is_present | right.is_present)).all()
        for part in (both.vectors[:, :4], both.vectors[:, 4:]):
            assert np.linalg.norm(part[both.is_present], axis=1) == pytest.approx(1.0, abs=1e-6)


def test_a_part_that_is_absent_is_zeros_and_the_row_is_present() -> None:
    ones = ClipVectors(vectors=np.ones((4, 1), dtype=np.float32), is_present=np.array([True, False, True, False]))
    threes = ClipVectors(vectors=np.full((4, 2), 3, np.float32), is_present=np.array([True, True, False, False]))
    ((both,),) = joined(lambda _tasks: [[ones]], lambda _tasks: [[threes]])(TASKS[:1])
    assert both.vectors.tolist() == [[1, 3, 3], [0, 3, 3], [1, 0, 0], [0, 0, 0]]
    assert both.is_present.tolist() == [True, True, True, False]


def test_the_mean_around_is_offered_at_every_reach_in_order() -> None:
    sources = shot_sets(Table(), neighbourhood((1, 2, 4)))
    own, centred, around = baseline_sets("fused", sources)
    assert [one.name for one in (own, centred, around)] == ["fused", "fused minus title mean", "fused ++ mean of +-k"]
    assert around.choices == ("k=1", "k=2", "k=4")
    assert (own.is_baseline, around.is_baseline) == (True, True)
    for number, name in enumerate(around.choices):
        (expected,) = joined(sources[OWN], sources[name])(TASKS)[0]
        assert (around.of(TASKS)[0][number].vectors == expected.vectors).all()


def test_what_is_dear_is_made_once_while_the_tasks_are_the_same() -> None:
    asked = []
    source = once(lambda tasks: asked.append(tasks) or [[] for _ in tasks])
    assert source(TASKS) is source(TASKS)
    source(list(TASKS))
    assert len(asked) == 1
    source(TASKS[::-1])
    assert len(asked) == 2


def test_a_source_that_forgets_clips_or_alternatives_is_refused() -> None:
    own = shot_sets(Table())[OWN]
    for source, choices in ((own, ("k=1", "k=2")), (among(own, own), ()), (lambda tasks: own(tasks)[:1], ())):
        broken = FeatureSet(name="broken", source=source, is_baseline=True, choices=choices)
        with pytest.raises(LineageMismatchError, match="a vector and a flag for every clip"):
            broken.of(TASKS)


def test_a_table_that_changes_its_width_is_refused() -> None:
    table = Table()
    table.titles[1] = Table(width=7).titles[1]
    with pytest.raises(LineageMismatchError, match="equally wide"):
        shot_sets(table)[OWN](TASKS)

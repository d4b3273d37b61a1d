"""What feature sets share: which clips are tested, what is drawn, which classes count, by what a task is measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mediafm.config import ProbeSettings, TaskSettings
from mediafm.errors import ConfigError
from mediafm.probes.clips import Clip, TaskClips
from mediafm.probes.design import MACRO, MICRO, PEARSON, PLAIN, TAU, TAU_ACROSS, TaskDesign, design_task
from mediafm.probes.folds import held_out
from mediafm.probes.label_rows import LabelValue
from mediafm.probes.labels import LabelKind

FAST = ProbeSettings(num_bootstrap=50)
TESTED = ("g0", "g1", "g2")


def task_of(kind: LabelKind, values: list[list[Any]], name: str = "task") -> TaskClips:
    """One title per list, a group each; one clip per value."""
    clips = tuple(clip(f"t{number}", f"g{number}", value) for number, title in enumerate(values) for value in title)
    return TaskClips(task=name, kind=kind, clips=clips, dropped=())


def clip(title_id: str, group_id: str, value: LabelValue) -> Clip:
    return Clip(
        title_id=title_id,
        group_id=group_id,
        shot_index=np.zeros(1, dtype=np.int64),
        weight=np.ones(1),
        value=value,
        where="",
    )


BINARY = task_of(LabelKind.BINARY, [[True, False]] * 12)


def sentences(design: TaskDesign) -> list[str]:
    return [problem.sentence for problem in design.dropped]


def test_without_test_groups_every_group_is_tested_in_turn() -> None:
    design = design_task(BINARY, ProbeSettings())
    assert (design.num_folds, design.num_groups, design.num_training_groups, design.num_tested_clips) == (
        10,
        12,
        12,
        24,
    )
    assert (design.draws_BG.sum(axis=1) == 12).all()
    assert design_task(task_of(LabelKind.BINARY, [[True, False]] * 4), FAST).num_folds == 4


def test_test_groups_are_one_fold_and_all_others_train() -> None:
    design = design_task(BINARY, FAST, test_groups={*TESTED, "of no clip"})
    is_tested = np.array([group in TESTED for group in BINARY.groups])
    assert design.folds.tolist() == [0 if tested else -1 for tested in is_tested]
    assert (design.is_tested == is_tested).all()
    assert (design.num_folds, design.num_groups, design.num_training_groups, design.num_tested_clips) == (1, 3, 9, 6)
    ((trains, tested),) = held_out(design.folds)
    assert (tested == is_tested).all()
    assert (trains == ~is_tested).all()


def test_only_test_groups_are_drawn() -> None:
    design = design_task(BINARY, FAST, test_groups=TESTED)
    drawn = design.draws_BG[:, design.group]
    assert (drawn[:, ~design.is_tested] == 0).all()
    assert (design.draws_BG.sum(axis=1) == 3).all()
    assert design.draws_BG.shape == (50, 12)


def test_the_same_task_has_the_same_design_and_other_test_groups_another() -> None:
    first, second = (design_task(BINARY, FAST, test_groups=TESTED) for _ in range(2))
    assert (first.draws_BG == second.draws_BG).all()
    assert (first.draws_BG != design_task(BINARY, FAST, test_groups=("g3", "g4", "g5")).draws_BG).any()


def test_a_class_must_be_known_on_both_sides() -> None:
    groups = [
        [("here", "few tested")], [("here",)], [()],  # tested
        [("here", "few train", "few tested")], [("here", "few tested")], [()], [()],
    ]  # fmt: skip
    design = design_task(task_of(LabelKind.MULTI_LABEL, groups), FAST, test_groups=TESTED)
    assert design.classes == ()
    assert sentences(design) == [
        "the class 'few tested' is given in 1 group(s) that are tested, below 2",
        "the class 'few train' is given in 1 group(s) that train, below 2",
        "the class 'few train' is given in 0 group(s) that are tested, below 2",
        "the class 'here' is absent in 1 group(s) that are tested, below 2",
    ]
    assert design.impossible == "no class has labels in enough groups"
    one = design_task(task_of(LabelKind.MULTI_LABEL, groups), ProbeSettings(min_positive_groups=1), test_groups=TESTED)
    assert one.classes == ("few tested", "here")
    assert one.target[:, 1].tolist() == [1, 1, 0, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("test_groups", "sentence"),
    [
        (["elsewhere"], "none of its clips comes from a group that is tested"),
        ([], "none of its clips comes from a group that is tested"),
        ([f"g{i}" for i in range(12)], "all of its clips come from groups that are tested; none is left to train on"),
        (["g0"], "no class has labels in enough groups"),
    ],
)
def test_what_test_groups_do_not_allow_is_said(test_groups: list[str], sentence: str) -> None:
    design = design_task(BINARY, FAST, test_groups=test_groups)
    assert design.impossible == sentence
    assert design.num_groups == len(set(test_groups) & set(BINARY.groups))


def test_a_task_without_clips_is_impossible_either_way() -> None:
    nothing = task_of(LabelKind.MULTI_LABEL, [])
    for test_groups in (None, TESTED):
        design = design_task(nothing, FAST, test_groups=test_groups)
        assert "0 group(s)" in design.impossible
        assert (design.num_groups, design.target.shape) == (0, (0, 0))


@pytest.mark.parametrize("kind", [LabelKind.MULTI_LABEL, LabelKind.SINGLE_LABEL])
def test_classes_beyond_the_bound_are_dropped_and_named_the_rarest_first(kind: LabelKind) -> None:
    names = [["a"] * 2, ["b", "a"], ["c", "b"], ["c", "a"], ["c", "b"], ["c", "d"], ["d", "c"]]
    values = [[(name,) if kind is LabelKind.MULTI_LABEL else name for name in title] for title in names]
    design = design_task(task_of(kind, values), ProbeSettings(max_classes=2))
    assert design.classes == ("a", "c")
    assert design.target.shape == (14, 2)
    assert sentences(design) == [
        "the class 'b', given in 3 group(s), comes after the 2 classes that are given in the most; a task has no more",
        "the class 'd', given in 2 group(s), comes after the 2 classes that are given in the most; a task has no more",
    ]


def test_a_hundred_classes_are_measured_and_no_more() -> None:
    values = [[tuple(f"class {number:03}" for number in range(103) if (number + title) % 3)] for title in range(9)]
    design = design_task(task_of(LabelKind.MULTI_LABEL, values), FAST)
    assert (len(design.classes), len(design.dropped)) == (100, 3)


@pytest.mark.parametrize(
    ("kind", "name", "measures"),
    [
        (LabelKind.MULTI_LABEL, "ad_relevancy", (MACRO, MICRO)),
        (LabelKind.MULTI_LABEL, "clip_tone", (MICRO,)),
        (LabelKind.MULTI_LABEL, "clip_genre", (MACRO,)),
        (LabelKind.BINARY, "clip_retrieval", (PLAIN,)),
        (LabelKind.SCORE, "clip_popularity", (TAU,)),
        (LabelKind.MULTI_LABEL, "ours", (MACRO, MICRO)),
        (LabelKind.SINGLE_LABEL, "clip_tone", (MACRO,)),
        (LabelKind.PAIR, "scenes", (PLAIN,)),
    ],
)
def test_the_published_tasks_have_the_published_measures(kind: LabelKind, name: str, measures: tuple[str, ...]) -> None:
    values: dict[LabelKind, list[Any]] = {
        LabelKind.MULTI_LABEL: [("a",), ()],
        LabelKind.SINGLE_LABEL: ["a", "b"],
        LabelKind.SCORE: [1.0, 2.0],
    }
    design = design_task(task_of(kind, [values.get(kind, [True, False])] * 4, name), FAST)
    assert (design.measures, design.impossible) == (measures, "")


def test_the_configuration_names_the_measures_and_refuses_those_of_other_kinds() -> None:
    task = task_of(LabelKind.MULTI_LABEL, [[("a",), ()]] * 4)
    named = ProbeSettings(tasks={"task": TaskSettings(measures=("micro", "micro"))})
    assert design_task(task, named).measures == (MICRO,)
    wrong = ProbeSettings(tasks={"task": TaskSettings(measures=("tau",))})
    with pytest.raises(ConfigError, match=r"probes\.tasks\.task.*tau.*multi_label is measured by macro, micro"):
        design_task(task, wrong)


def test_scores_are_ranked_within_titles_where_two_titles_differ_inside() -> None:
    design = design_task(task_of(LabelKind.SCORE, [[5.0, 7.0, 6.0], [1.0, 2.0], [9.0]]), FAST)
    assert design.measures == (TAU,)
    assert design.target[:, 0].tolist() == [-1, 1, 0, -1, 1, 0]
    pearson = ProbeSettings(tasks={"task": TaskSettings(measures=("pearson",))})
    with pytest.raises(ConfigError, match="score ranked within titles is measured by tau"):
        design_task(task_of(LabelKind.SCORE, [[1.0, 2.0]] * 3), pearson)


@pytest.mark.parametrize("values", [[[5.0], [1.0], [9.0]], [[5.0, 7.0], [1.0], [9.0]], [[3.0, 3.0], [4.0]]])
def test_other_scores_are_ranked_across_titles_as_they_stand(values: list[list[float]]) -> None:
    design = design_task(task_of(LabelKind.SCORE, values), FAST)
    assert (design.measures, design.impossible) == ((TAU_ACROSS, PEARSON), "")
    assert design.target[:, 0].tolist() == [value for title in values for value in title]
    only = ProbeSettings(tasks={"task": TaskSettings(measures=("pearson",))})
    assert design_task(task_of(LabelKind.SCORE, values), only).measures == (PEARSON,)


@pytest.mark.parametrize(
    ("values", "test_groups", "sentence"),
    [
        ([[1.0], [1.0], [1.0]], None, "all scores of the groups of titles are equal"),
        ([[1.0]] * 3 + [[1.0], [2.0]], TESTED, "all scores of the groups that are tested are equal"),
        ([[1.0], [2.0], [3.0], [4.0]], TESTED, "scores of 1 group(s) that train only; 2 are needed"),
        ([[1.0, 2.0]] * 3 + [[1.0], [2.0]], TESTED, "scores differ within titles of 0 group(s) that train only"),
        (
            [[1.0, 2.0], [3.0], [4.0], [1.0, 2.0], [1.0, 3.0]],
            TESTED,
            "within titles of 1 group(s) that are tested only",
        ),
    ],
)
def test_scores_that_rank_nothing_are_said(values: list[list[float]], test_groups: Any, sentence: str) -> None:
    design = design_task(task_of(LabelKind.SCORE, values), FAST, test_groups=test_groups)
    assert sentence in design.impossible
    assert design.classes == ()


def test_two_varied_titles_of_one_group_cannot_be_held_out_of_each_other() -> None:
    clips = tuple(
        clip(title, group, score)
        for title, group, score in [("a", "s", 1.0), ("a", "s", 2.0), ("b", "s", 1.0), ("b", "s", 3.0), ("c", "x", 1.0)]
    )
    design = design_task(TaskClips(task="task", kind=LabelKind.SCORE, clips=clips, dropped=()), FAST)
    assert design.impossible == "scores differ within titles of 1 group(s) only; 2 are needed"

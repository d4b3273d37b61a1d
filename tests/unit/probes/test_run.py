"""The whole report: what is known is found, noise beats chance nowhere, what cannot be measured is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mediafm.catalog.title import Problem
from mediafm.config import ProbeSettings
from mediafm.probes.design import MACRO, MICRO, PLAIN, TAU
from mediafm.probes.feature_sets import (
    OWN,
    FeatureSet,
    baseline_sets,
    joined,
    neighbourhood,
    shot_sets,
    table_sets,
)
from mediafm.probes.labels import LabelKind, Labels
from mediafm.probes.report import ProbeReport, ProbeRow
from mediafm.probes.run import run_probes

CLASS_OFFSETS = np.array([0.0, 0.3, 0.6])
FAST = ProbeSettings(num_bootstrap=200, common_width=0)


def run(catalogue: Any, labels: Labels, settings: ProbeSettings = FAST, **options: Any) -> ProbeReport:
    tables = {"known": lambda: iter(catalogue.known), "unknown": lambda: iter(catalogue.unknown)}
    return run_probes(labels, iter(catalogue.shots), table_sets(tables, ["known"]), settings, **options)


def by_place(report: ProbeReport) -> dict[tuple[str, str], ProbeRow]:
    return {(row.measure, row.features): row for row in report.rows}


KINDS: dict[LabelKind, Callable[[np.ndarray, int], Any]] = {
    LabelKind.MULTI_LABEL: lambda hidden, shot: tuple(
        name for name, value in zip("abc", hidden[shot], strict=True) if value > 0.7
    ),
    LabelKind.BINARY: lambda hidden, shot: bool(hidden[shot, 0] > 0.7),
    LabelKind.SINGLE_LABEL: lambda hidden, shot: "abc"[int(hidden[shot].argmax())],
    LabelKind.SCORE: lambda hidden, shot: float(hidden[shot, 0]),
    LabelKind.PAIR: lambda hidden, shot: bool(np.linalg.norm(hidden[shot] - hidden[shot + 1]) > 2.5),
}
MEASURES = {
    LabelKind.MULTI_LABEL: {MACRO, MICRO},
    LabelKind.BINARY: {PLAIN},
    LabelKind.SINGLE_LABEL: {MACRO},
    LabelKind.SCORE: {TAU},
    LabelKind.PAIR: {PLAIN},
}


@pytest.mark.parametrize("kind", LabelKind)
def test_what_the_vectors_know_is_found_and_what_they_do_not_is_not(catalogue: Any, kind: LabelKind) -> None:
    labels = catalogue.labels("task", kind, lambda title, shot: KINDS[kind](catalogue.truth[title], shot))
    report = run(catalogue, labels, compared=[("known", "unknown"), ("known", "known")])
    assert {row.measure for row in report.rows} == MEASURES[kind]
    for (_, features), row in by_place(report).items():
        assert row.is_above_chance == (features == "known")
        assert row.num_clips == (110 if kind is LabelKind.PAIR else 120)
        assert (row.num_groups, row.num_folds, row.num_unconverged) == (10, 10, 0)
        assert row.low is not None
        assert row.high is not None
        assert row.low <= row.value <= row.high
    for row in report.differences:
        assert row.low is not None
        assert (row.low > 0) == (row.against == "unknown")
        assert row.against == "unknown" or (row.value, row.low, row.high) == (0.0, 0.0, 0.0)


def all_sets(catalogue: Any) -> list[FeatureSet]:
    """Every way of making a set: as it is, without the title's mean, joined with means around, joined with another."""
    fused = shot_sets(lambda: iter(catalogue.known), neighbourhood((1, 4)))
    other = shot_sets(lambda: iter(catalogue.unknown))[OWN]
    return [
        *baseline_sets("fused", fused),
        FeatureSet(name="contextual", source=other, is_baseline=False),
        FeatureSet(name="fused ++ contextual", source=joined(fused[OWN], other), is_baseline=False),
    ]


@pytest.mark.parametrize("kind", LabelKind)
def test_a_label_that_is_noise_beats_chance_nowhere(catalogue: Any, kind: LabelKind) -> None:
    """In no set, as it is or after PCA; vectors carry their title, classes differ in frequency."""
    hidden = np.random.default_rng(1000).normal(size=catalogue.truth.shape) + CLASS_OFFSETS
    labels = catalogue.labels("noise", kind, lambda title, shot: KINDS[kind](hidden[title], shot))
    settings = ProbeSettings(num_bootstrap=200, common_width=8)
    report = run_probes(labels, catalogue.shots, all_sets(catalogue), settings, subjects=["contextual"])
    assert len(report.rows) == 2 * 5 * len(MEASURES[kind])
    assert [row for row in report.rows if row.is_above_chance] == []
    for bought in report.context_bought:
        assert bought.low is not None
        assert bought.low <= 0


@pytest.mark.parametrize("kind", LabelKind)
def test_of_many_noise_labels_no_more_win_than_the_level_says(catalogue: Any, kind: LabelKind) -> None:
    """One in forty is meant to win in any of its rows (95 %, two-sided, over all of them): of ten hardly two."""
    num_won = 0
    for seed in range(10):
        hidden = np.random.default_rng(1000 + seed).normal(size=catalogue.truth.shape) + CLASS_OFFSETS
        labels = catalogue.labels(f"noise-{seed}", kind, lambda title, shot, h=hidden: KINDS[kind](h[title], shot))
        num_won += any(row.is_above_chance for row in run(catalogue, labels).rows)
    assert num_won <= 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", LabelKind)
def test_noise_is_on_chance_on_the_average(catalogue_maker: Callable[..., Any], kind: LabelKind) -> None:
    """Over many draws the mean of (value - chance) is zero and one interval in forty lies above chance, not more."""
    excess, above = [], []
    for seed in range(60):
        drawn = catalogue_maker(seed=seed)
        hidden = np.random.default_rng(1000 + seed).normal(size=drawn.truth.shape) + CLASS_OFFSETS
        labels = drawn.labels(f"noise-{seed}", kind, lambda title, shot, h=hidden: KINDS[kind](h[title], shot))
        for row in run(drawn, labels).rows:
            excess.append(row.value - row.chance)
            above.append(row.low > row.chance)
    assert abs(np.mean(excess)) < 3 * np.std(excess) / np.sqrt(60)
    assert np.mean(above) <= 0.07


def test_the_same_seed_gives_the_same_report_and_other_tasks_move_nothing(catalogue: Any) -> None:
    first = catalogue.labels("one", LabelKind.BINARY, lambda title, shot: bool(catalogue.truth[title, shot, 0] > 0.5))
    second = catalogue.labels("two", LabelKind.BINARY, lambda title, shot: bool(catalogue.truth[title, shot, 1] > 0.5))
    both = Labels(sets=(*first.sets, *second.sets), problems=(), sha256="0")
    alone = run(catalogue, first)
    assert alone.rows == run(catalogue, first).rows
    assert alone.rows == tuple(row for row in run(catalogue, both).rows if row.task == "one")
    assert alone.rows != run(catalogue, first, FAST.model_copy(update={"seed": 1})).rows


def test_classes_in_too_few_groups_are_dropped_and_named(catalogue: Any) -> None:
    labels = catalogue.labels(
        "task",
        LabelKind.MULTI_LABEL,
        lambda title, shot: (
            "always",
            *(("rare",) if title == 0 and shot == 0 else ()),
            *(("common",) if catalogue.truth[title, shot, 0] > 0 else ()),
        ),
    )
    report = run(catalogue, labels)
    assert {row.num_classes for row in report.rows} == {1}
    assert sorted(problem.sentence for problem in report.dropped) == [
        "the class 'always' is absent in 0 group(s), below 2",
        "the class 'rare' is given in 1 group(s), below 2",
    ]


def test_one_group_cannot_be_measured_and_it_is_said(catalogue_maker: Callable[..., Any]) -> None:
    single = catalogue_maker(num_titles=1)
    labels = single.labels("task", LabelKind.BINARY, lambda _title, shot: shot % 2 == 0)
    report = run(single, labels)
    assert report.rows == ()
    (problem,) = report.not_measured
    assert problem.where == "task"
    assert "its clips come from 1 group(s)" in problem.sentence
    assert "not measured: task: its clips come from 1 group(s)" in report.as_markdown()


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        (LabelKind.SCORE, lambda _title, _shot: 1.0, "all scores of the groups of titles are equal"),
        (LabelKind.BINARY, lambda _title, _shot: True, "no class has labels in enough groups"),
        (LabelKind.MULTI_LABEL, lambda _title, _shot: (), "no class has labels in enough groups"),
    ],
)
def test_labels_that_tell_nothing_apart_are_not_measured(
    catalogue: Any, kind: LabelKind, value: Any, sentence: str
) -> None:
    report = run(catalogue, catalogue.labels("task", kind, value))
    assert (report.rows, [problem.sentence for problem in report.not_measured]) == ((), [sentence])


def test_a_catalogue_without_the_labelled_titles_is_said(catalogue: Any) -> None:
    labels = catalogue.labels("task", LabelKind.BINARY, lambda _title, shot: shot % 2 == 0)
    report = run_probes(labels, [], table_sets({"known": lambda: iter(catalogue.known)}), FAST)
    assert (len(report.dropped), report.rows) == (120, ())
    assert "and 110 more dropped" in report.as_markdown()


def test_absent_clips_are_counted_and_an_absent_feature_set_is_at_chance(catalogue: Any) -> None:
    labels = catalogue.labels("task", LabelKind.BINARY, lambda title, shot: bool(catalogue.truth[title, shot, 0] > 0))
    features = {"nothing": lambda: iter(()), "half": lambda: iter(catalogue.known[:5])}
    nothing, half = run_probes(labels, catalogue.shots, table_sets(features), FAST).rows
    assert (nothing.num_absent_clips, half.num_absent_clips) == (120, 60)
    assert nothing.value == pytest.approx(nothing.chance)
    assert not nothing.is_above_chance


def test_what_the_checkpoint_saw_stands_in_the_row(catalogue: Any) -> None:
    labels = catalogue.labels("task", LabelKind.BINARY, lambda title, shot: bool(catalogue.truth[title, shot, 0] > 0))
    report = run(catalogue, labels, seen_groups={"known": {"title-0", "title-1", "elsewhere"}})
    assert [row.seen_by_checkpoint for row in report.rows] == [0.2, None]


def test_progress_is_told_and_problems_of_the_files_are_kept(catalogue: Any) -> None:
    labels = catalogue.labels("task", LabelKind.BINARY, lambda title, shot: bool(catalogue.truth[title, shot, 0] > 0))
    told: list[str] = []
    spoilt = Labels(sets=labels.sets, problems=(Problem("x:1", "bad"),), sha256="0")
    report = run(catalogue, spoilt, progress=told.append)
    assert told == ["probing known", "probing unknown"]
    assert report.dropped == (Problem("x:1", "bad"),)


def test_the_report_is_json_and_a_table_nobody_can_break_out_of(catalogue: Any) -> None:
    labels = catalogue.labels(
        "a | b\nc", LabelKind.BINARY, lambda title, shot: bool(catalogue.truth[title, shot, 0] > 0)
    )
    report = run(catalogue, labels, compared=[("known", "unknown")])
    said = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert [row["features"] for row in said["rows"]] == ["known", "unknown"]
    assert (said["num_dropped"], said["labels_sha256"]) == (0, labels.sha256)
    text = report.as_markdown()
    assert "| features | a \\| b c |" in text
    assert "| a \\| b c | average precision | known - unknown |" in text
    assert "**" in text
    assert "†" in text
    assert report.tasks == ["a | b\nc"]

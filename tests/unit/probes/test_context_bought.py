"""What context bought: paired, against the best baseline, said in a sentence; and the report that says it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from mediafm.config import ProbeSettings
from mediafm.errors import NotFoundError
from mediafm.probes.clips import find_clips
from mediafm.probes.compare import measure_tasks
from mediafm.probes.context_bought import ContextBought, signed
from mediafm.probes.feature_sets import OWN, FeatureSet, baseline_sets, joined, neighbourhood, shot_sets
from mediafm.probes.intervals import lower_bound
from mediafm.probes.labels import LabelKind, Labels
from mediafm.probes.report import ProbeReport
from mediafm.probes.run import run_probes

SETTINGS = ProbeSettings(num_bootstrap=100, num_folds=5, common_width=6)
SUBJECTS = ("contextual", "fused ++ contextual")


def sets_of(catalogue: Any) -> list[FeatureSet]:
    """The baselines know nothing, the contextual vectors do."""
    fused = shot_sets(lambda: iter(catalogue.unknown), neighbourhood((1, 2)))
    contextual = shot_sets(lambda: iter(catalogue.known))[OWN]
    return [
        *baseline_sets("fused", fused),
        FeatureSet(name="contextual", source=contextual, is_baseline=False),
        FeatureSet(name="fused ++ contextual", source=joined(fused[OWN], contextual), is_baseline=False),
    ]


@pytest.fixture(scope="module")
def labels(catalogue: Any) -> Labels:
    return catalogue.labels("tone", LabelKind.BINARY, lambda title, shot: bool(catalogue.truth[title, shot, 0] > 0.5))


@pytest.fixture(scope="module")
def report(catalogue: Any, labels: Labels) -> ProbeReport:
    return run_probes(labels, catalogue.shots, sets_of(catalogue), SETTINGS, subjects=SUBJECTS)


def test_context_is_measured_against_the_best_baseline_at_both_widths(report: ProbeReport) -> None:
    assert [(one.subject, one.pca_width) for one in report.context_bought] == [
        ("contextual", None), ("fused ++ contextual", None), ("contextual", 6), ("fused ++ contextual", 6),
    ]  # fmt: skip
    for one in report.context_bought:
        rows = {row.features: row for row in report.rows if row.pca_width == one.pca_width}
        best = max((row for row in rows.values() if row.is_baseline), key=lambda row: row.value)
        assert (one.against, one.choice) == (best.features, best.choice)
        assert one.value == pytest.approx(rows[one.subject].value - best.value)
        assert one.low is not None
        assert one.high is not None
        assert 0 < one.low < one.value < one.high


def test_the_sentence_says_it_all() -> None:
    one = ContextBought(
        task="clip_tone", measure="micro average precision", subject="contextual", against="fused ++ mean of +-k",
        choice="k=4", value=0.031, low=0.008, high=0.054, pca_width=None,
    )  # fmt: skip
    assert one.sentence == (
        "contextual bought +.03 (+.01 to +.05) on clip_tone by micro average precision over fused ++ mean of +-k (k=4)"
    )
    assert one.as_json()["sentence"] == one.sentence
    assert [signed(value) for value in (-0.12, 1.0, 0.996, 0.0)] == ["-.12", "+1.00", "+1.00", "+.00"]


def test_rows_say_width_baseline_and_choice(report: ProbeReport) -> None:
    rows = {row.features: row for row in report.rows if row.pca_width is None}
    assert [row.is_baseline for row in rows.values()] == [True, True, True, False, False]
    assert [row.width for row in rows.values()] == [24, 24, 48, 24, 48]
    assert {row.choice.split(" ")[0] for row in rows.values()} <= {"", "k=1", "k=2"}
    assert rows["fused ++ mean of +-k"].choice.startswith("k=")
    assert {row.pca_width for row in report.rows} == {None, 6}


def test_the_common_width_is_at_most_that_of_the_narrowest_set(catalogue: Any, labels: Labels) -> None:
    tasks = [find_clips(labels.sets[0], {title.title_id: title for title in catalogue.shots})]
    wide = SETTINGS.model_copy(update={"common_width": 500, "num_bootstrap": 10})
    (measured,) = measure_tasks(tasks, sets_of(catalogue), wide)
    assert {result.pca_width for result in measured.at_common_width.values()} == {24}
    (off,) = measure_tasks(tasks, sets_of(catalogue), wide.model_copy(update={"common_width": 0}))
    assert (off.at_common_width, len(off.results)) == ({}, 5)


def test_the_common_width_is_at_most_the_training_clips(catalogue_maker: Callable[..., Any]) -> None:
    small = catalogue_maker(num_titles=6, shots_per_title=5)
    halves = small.labels("half", LabelKind.BINARY, lambda _title, shot: shot % 2 == 0)
    tasks = [find_clips(halves.sets[0], {title.title_id: title for title in small.shots})]
    tested = {f"title-{number}" for number in range(2, 6)}
    (measured,) = measure_tasks(tasks, sets_of(small), ProbeSettings(num_bootstrap=10), test_groups=tested)
    assert {result.pca_width for result in measured.at_common_width.values()} == {10}


def test_results_can_be_compared_again_without_a_fit(catalogue: Any, labels: Labels) -> None:
    """What the gate needs: paired replicates on test groups, and a one-sided bound of them."""
    tasks = [find_clips(labels.sets[0], {title.title_id: title for title in catalogue.shots})]
    tested = {f"title-{number}" for number in range(6)}
    (measured,) = measure_tasks(tasks, sets_of(catalogue), SETTINGS, test_groups=tested)
    (name,) = measured.design.measures
    ours, theirs = (measured.results[one].measured[name] for one in ("contextual", "fused"))
    bound = lower_bound(
        ours.interval.value - theirs.interval.value, ours.replicates - theirs.replicates, measured.design.num_groups
    )
    found = measured.difference("contextual", "fused", name)
    assert bound is not None
    assert found.low is not None
    assert measured.design.num_groups == 6
    assert found.low < bound < found.value


def test_torch_gives_the_same_report_where_it_fits(catalogue: Any, labels: Labels) -> None:
    sets = sets_of(catalogue)[3:]
    settings = SETTINGS.model_copy(update={"common_width": 0})
    with threadpool_limits(1):
        above = settings.model_copy(update={"torch_above": 0})
        in_torch = run_probes(labels, catalogue.shots, sets, above, torch_device="cpu")
        in_numpy = run_probes(labels, catalogue.shots, sets, above)
    for ours, theirs in zip(in_torch.rows, in_numpy.rows, strict=True):
        assert (ours.features, ours.strengths) == (theirs.features, theirs.strengths)
        assert ours.value == pytest.approx(theirs.value, abs=1e-6)


def test_names_that_are_not_there_are_refused(catalogue: Any, labels: Labels) -> None:
    sets = sets_of(catalogue)
    for options in ({"subjects": ["served"]}, {"compared": [("contextual", "served")]}):
        with pytest.raises(NotFoundError, match="served"):
            run_probes(labels, catalogue.shots, sets, SETTINGS, **options)
    with pytest.raises(NotFoundError, match="each is there once"):
        run_probes(labels, catalogue.shots, [*sets, sets[0]], SETTINGS)


def test_text_fits_the_terminal_and_markdown_and_json_begin_with_what_context_bought(report: ProbeReport) -> None:
    text, marked = report.as_text(60), report.as_markdown()
    assert max(len(line) for line in text.splitlines() if not line.startswith(("-", "±", "The"))) <= 60
    for said in (text, marked):
        assert said.startswith("- contextual bought +")
        assert "favours it" in said
    assert "| fused ++ contextual * |" in marked
    assert "120 clips, 10 groups, 6 components" in marked
    assert marked.count("| chance |") == 2
    stored = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert [row["subject"] for row in stored["context_bought"][:2]] == list(SUBJECTS)
    assert np.isfinite([row["value"] for row in stored["rows"]]).all()

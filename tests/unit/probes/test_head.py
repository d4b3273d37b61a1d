"""Heads: fitted, calibrated, judged on what they did not see, and kept byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mediafm.config import ProbeSettings
from mediafm.errors import IntegrityError, LineageMismatchError, TrainingError
from mediafm.probes.clips import ClipVectors, TaskClips, clip_vectors, find_clips
from mediafm.probes.head import Head, HeadOrigin
from mediafm.probes.head_files import ABOUT_FILE, NUMBERS_FILE, from_files, to_files
from mediafm.probes.head_fit import fit_head
from mediafm.probes.head_linear import fit_linear
from mediafm.probes.head_quality import quality_on
from mediafm.probes.labels import LabelKind, LabelValue
from mediafm.probes.linear import LINEAR, LinearSettings
from mediafm.types import Json

SETTINGS = ProbeSettings(num_bootstrap=200, num_folds=5)
ORIGIN = HeadOrigin(
    name="mood",
    features="contextual",
    pooling="mean",
    checkpoint_sha256="a" * 64,
    space_id="b" * 64,
    labels_sha256="c" * 64,
    clips_by_unit={"span": 120},
    title_ids=("title-0",),
    num_seen_groups=3,
)
Maker = Callable[..., Any]


def task_of(catalogue: Any, kind: LabelKind, value: Callable[[int, int], LabelValue]) -> tuple[TaskClips, ClipVectors]:
    labels = catalogue.labels("mood", kind, value)
    task = find_clips(labels.sets[0], {title.title_id: title for title in catalogue.shots})
    return task, clip_vectors([task], catalogue.known)[0]


def multi_label(catalogue: Any) -> tuple[TaskClips, ClipVectors]:
    """Two classes that the vectors know, one that nothing knows, and one that is too rare."""
    rng = np.random.default_rng(3)

    def value(title: int, shot: int) -> tuple[str, ...]:
        truth = catalogue.truth[title, shot]
        given = {"dark": truth[0] > 0.5, "loud": truth[1] > 0, "noise": rng.random() < 0.3}
        return tuple(sorted([*(name for name, holds in given.items() if holds), *["rare"] * (title == shot == 0)]))

    return task_of(catalogue, LabelKind.MULTI_LABEL, value)


@pytest.fixture(scope="module")
def head(catalogue: Any) -> Head:
    return fit_head(*multi_label(catalogue), ORIGIN, SETTINGS)


def of_class(head: Head, name: str) -> int:
    return head.classes.index(name)


def test_what_vectors_know_is_told_and_calibration_helps(head: Head, catalogue_maker: Maker) -> None:
    assert head.classes == ("dark", "loud", "noise")
    by_name = {each.name: each for each in head.held_out.classes}
    assert by_name["dark"].is_above_chance
    assert by_name["loud"].value == pytest.approx(1, abs=0.1)
    assert head.held_out.error_after is not None
    assert head.held_out.error_after < 0.15


def test_a_noise_label_is_scored_near_its_share_and_never_tagged(head: Head, catalogue: Any) -> None:
    task, features = multi_label(catalogue)
    number = of_class(head, "noise")
    share = np.mean(["noise" in clip.value for clip in task.clips])
    assert np.abs(head.predict(features.vectors)[:, number] - share).max() < 0.15
    assert not head.held_out.classes[number].is_above_chance
    assert head.thresholds[number] is None
    assert not head.tags(head.predict(features.vectors))[:, number].any()
    assert any("'noise' is not above chance" in note for note in head.notes)


def test_a_class_too_rare_is_named_and_left_out(head: Head) -> None:
    assert any("'rare'" in note and "1 group(s)" in note for note in head.notes)


def test_a_class_with_few_clips_on_a_side_says_so(catalogue: Any) -> None:
    found = fit_head(
        *task_of(catalogue, LabelKind.BINARY, lambda title, shot: title < 4 and shot == 0), ORIGIN, SETTINGS
    )
    assert any("calibrated on 4 clip(s)" in note for note in found.notes)


def test_tags_are_the_scores_from_the_threshold_on(head: Head, catalogue: Any) -> None:
    task, features = multi_label(catalogue)
    scores = head.predict(features.vectors)
    number = of_class(head, "dark")
    tagged = head.tags(scores)[:, number]
    assert (tagged == (scores[:, number] >= head.thresholds[number])).all()
    truth = np.array(["dark" in clip.value for clip in task.clips])
    assert (tagged == truth).mean() > 0.85


def test_single_labels_are_the_most_probable_one_and_probabilities_add_up_to_one_at_most(catalogue: Any) -> None:
    task, features = task_of(
        catalogue, LabelKind.SINGLE_LABEL, lambda *place: "abc"[int(catalogue.truth[place].argmax())]
    )
    found = fit_head(task, features, ORIGIN, SETTINGS)
    scores = found.predict(features.vectors)
    tags = found.tags(scores)
    assert (tags.sum(axis=1) == 1).all()
    assert scores.sum(axis=1).max() <= 1 + 1e-12
    said = np.array(found.classes)[tags.argmax(axis=1)]
    assert (said == [clip.value for clip in task.clips]).mean() > 0.8
    assert found.thresholds == (None, None, None)


def test_scores_give_ranks_without_probabilities(catalogue: Any) -> None:
    task, features = task_of(catalogue, LabelKind.SCORE, lambda title, shot: float(catalogue.truth[title, shot, 0]))
    found = fit_head(task, features, ORIGIN, SETTINGS)
    assert (found.held_out.measure, found.held_out.error_after) == ("Kendall's tau-b", None)
    assert found.held_out.value is not None
    assert found.held_out.value > 0.6
    scores = found.predict(features.vectors)
    assert np.corrcoef(scores[:, 0], catalogue.truth[..., 0].ravel())[0, 1] > 0.7
    assert not found.tags(scores).any()
    assert quality_on(found, task, features, SETTINGS).value > 0.6


def test_scores_of_whole_titles_are_ranked_across_them(catalogue_maker: Maker) -> None:
    catalogue = catalogue_maker(num_titles=16, shots_per_title=1)
    task, features = task_of(catalogue, LabelKind.SCORE, lambda title, shot: float(catalogue.truth[title, shot, 0]))
    found = fit_head(task, features, ORIGIN, SETTINGS)
    assert found.held_out.measure == "Kendall's tau-b across titles"
    assert found.held_out.value > 0.5
    assert quality_on(found, task, features, SETTINGS).value > found.held_out.value


def test_pairs_of_shots_have_heads(catalogue_maker: Maker) -> None:
    """Whether the next shot is another: told by what changed."""
    catalogue = catalogue_maker(num_titles=30, width=8)

    def is_other(title: int, shot: int) -> bool:
        here, there = catalogue.truth[title, shot : shot + 2]
        return bool(here @ there < 0)

    labels = catalogue.labels("cut", LabelKind.PAIR, is_other)
    task = find_clips(labels.sets[0], {title.title_id: title for title in catalogue.shots})
    features = clip_vectors([task], catalogue.known)[0]
    found = fit_head(task, features, ORIGIN, SETTINGS)
    assert (found.width, found.classes) == (16, ("yes",))
    assert found.held_out.classes[0].is_above_chance
    assert found.tags(found.predict(features.vectors)).any()


def test_what_is_held_out_does_not_know_its_labels(catalogue_maker: Maker) -> None:
    """Labels drawn at random cannot be told on held-out groups, however well the fit learnt them."""
    catalogue = catalogue_maker(num_titles=8, shots_per_title=6, width=64)
    rng = np.random.default_rng(0)
    found = fit_head(*task_of(catalogue, LabelKind.BINARY, lambda *_: bool(rng.random() < 0.5)), ORIGIN, SETTINGS)
    assert not found.held_out.classes[0].is_above_chance


def test_quality_on_new_groups_is_like_the_held_out_one(catalogue_maker: Maker) -> None:
    whole = catalogue_maker(num_titles=20, seed=5)
    task, features = task_of(whole, LabelKind.BINARY, lambda title, shot: bool(whole.truth[title, shot, 0] > 0))
    is_new = np.array([int(clip.title_id.removeprefix("title-")) >= 12 for clip in task.clips])
    old, new = (part(task, features, keeps) for keeps in (~is_new, is_new))
    found = fit_head(*old, ORIGIN, SETTINGS)
    tested = quality_on(found, *new, SETTINGS)
    assert (tested.num_groups, tested.num_clips) == (8, 96)
    assert tested.value == pytest.approx(found.held_out.value, abs=0.1)
    assert tested.low < tested.value < tested.high
    assert tested.error_after < 0.2


def part(task: TaskClips, features: ClipVectors, keeps: np.ndarray) -> tuple[TaskClips, ClipVectors]:
    clips = tuple(clip for clip, is_kept in zip(task.clips, keeps, strict=True) if is_kept)
    return replace(task, clips=clips), ClipVectors(
        vectors=features.vectors[keeps], is_present=features.is_present[keeps]
    )


def test_clips_without_a_vector_are_left_out_and_counted(catalogue: Any) -> None:
    task, features = multi_label(catalogue)
    is_present = np.arange(len(task.clips)) % 7 > 0
    lacking = ClipVectors(vectors=np.where(is_present[:, None], features.vectors, 9e9), is_present=is_present)
    found = fit_head(task, lacking, ORIGIN, SETTINGS)
    assert np.abs(found.mean).max() < 10
    assert f"{(~is_present).sum()} clip(s) without a vector were left out" in found.notes


def test_one_group_makes_no_head(catalogue: Any) -> None:
    task, features = multi_label(catalogue)
    keeps = np.array([clip.title_id == "title-0" for clip in task.clips])
    with pytest.raises(TrainingError, match=r"1 group\(s\) of titles"):
        fit_head(*part(task, features, keeps), ORIGIN, SETTINGS)


@pytest.mark.parametrize("num_clips", [20, 80])
def test_weights_on_the_vectors_say_what_the_rotated_fit_said(num_clips: int) -> None:
    """Above and below as many clips as features, against scikit-learn on the standardised rows."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(num_clips, 40)).astype(np.float32)
    vectors[:, 3] = 0.25
    target = (vectors[:, :1] + rng.normal(size=(num_clips, 1)) > 0).astype(float)
    settings = LinearSettings(inverse_strengths=(0.1,))
    found = fit_linear(vectors, target, ["g"] * num_clips, False, rng, settings)
    rows = (
        (vectors - vectors.mean(axis=0)) / np.where(vectors.std(axis=0) > 1e-8, vectors.std(axis=0), np.inf) / 40**0.5
    )
    model = LogisticRegression(C=0.1, tol=1e-9, max_iter=5000).fit(rows, target[:, 0])
    assert found.scores(vectors)[:, 0] == pytest.approx(model.decision_function(rows), abs=2e-3)
    changed = vectors.copy()
    changed[:, 3] += 1
    assert (found.scores(changed) == found.scores(vectors)).all(), "a feature that never varied has no weight"


def test_a_head_there_and_back_is_the_same_to_the_byte(head: Head, catalogue: Any) -> None:
    sha256, files = to_files(head)
    again = from_files(files, sha256)
    assert to_files(again) == (sha256, files)
    _, features = multi_label(catalogue)
    assert (again.predict(features.vectors) == head.predict(features.vectors)).all()
    assert (again.origin, again.held_out, again.thresholds) == (head.origin, head.held_out, head.thresholds)


def test_the_same_clips_give_the_same_bytes(head: Head, catalogue: Any) -> None:
    assert to_files(fit_head(*multi_label(catalogue), ORIGIN, SETTINGS)) == to_files(head)


def test_another_name_or_threshold_is_another_head(head: Head) -> None:
    others = [
        replace(head, origin=replace(head.origin, name="other")),
        replace(head, thresholds=(0.5, *head.thresholds[1:])),
        replace(head, bias=head.bias + 1e-12),
    ]
    assert len({to_files(each)[0] for each in [head, *others]}) == 4


def about(files: dict[str, bytes], **changed: Json) -> dict[str, bytes]:
    return {**files, ABOUT_FILE: json.dumps({**json.loads(files[ABOUT_FILE]), **changed}).encode()}


def test_a_tampered_file_is_refused(head: Head) -> None:
    sha256, files = to_files(head)
    numbers = files[NUMBERS_FILE]
    flipped = numbers[:-1] + bytes([numbers[-1] ^ 1])
    for changed in (
        {**files, NUMBERS_FILE: flipped},
        about(files, thresholds=[0.0, 0.0, 0.0]),
        about(files, sha256="0"),
    ):
        with pytest.raises(IntegrityError, match="its files say otherwise"):
            from_files(changed, sha256)
    with pytest.raises(IntegrityError, match="its files say otherwise"):
        from_files(files, "d" * 64)


@pytest.mark.parametrize(
    ("name", "data"), [(ABOUT_FILE, b"\xff"), (ABOUT_FILE, b"[]"), (NUMBERS_FILE, b"cut"), (NUMBERS_FILE, None)]
)
def test_a_damaged_or_missing_file_is_refused(head: Head, name: str, data: bytes | None) -> None:
    sha256, files = to_files(head)
    changed = {key: each for key, each in {**files, name: data}.items() if each is not None}
    with pytest.raises(IntegrityError, match="saved probe"):
        from_files(changed, sha256)


def test_a_later_format_is_refused_by_name(head: Head) -> None:
    sha256, files = to_files(head)
    with pytest.raises(IntegrityError, match="format 99; this version reads format 1"):
        from_files(about(files, format_version=99), sha256)


def test_vectors_of_another_width_are_refused(head: Head) -> None:
    with pytest.raises(LineageMismatchError, match="the head reads vectors of width 24"):
        head.predict(np.zeros((2, 23)))


def test_a_fit_that_ran_out_of_iterations_says_so(catalogue: Any) -> None:
    short = replace(LINEAR, max_iterations=1)
    found = fit_head(*multi_label(catalogue), ORIGIN, SETTINGS, short)
    assert "a fit ran out of its 1 iterations" in found.notes

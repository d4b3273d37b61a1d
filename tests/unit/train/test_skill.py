import json

import numpy as np
import pytest

from mediafm.data.split import Split
from mediafm.train.evaluation import FUSED_VIEW, GroupSums, fused_rows, items_of
from mediafm.train.intervals import interval, resampled_counts, resampled_means
from mediafm.train.predictors import PREDICTORS
from mediafm.train.skill import SkillMeter, corpus_means, fit_predictors


@pytest.fixture(scope="module")
def predictors(manifest, corpus):
    return fit_predictors(manifest, corpus, "random")


@pytest.fixture(scope="module")
def meter(manifest, corpus, predictors):
    return SkillMeter(manifest, corpus, predictors, Split.TEST, "random")


def trivial_predictions(meter, corpus, predictors, name):
    """What the named trivial predictor says in every modality, as if a network had said it."""
    found = []
    for item in meter.items:
        fused, present = fused_rows(corpus, item.window)
        predicted = np.zeros((int(item.is_masked.sum()), fused.shape[1]), np.float32)
        for column, view in enumerate(("video", "audio", "text")):
            where = meter._views[view]
            rows = fused[:, where] / np.maximum(np.linalg.norm(fused[:, where], axis=1, keepdims=True), 1e-12)
            is_visible = present[:, column] & ~item.is_masked
            predicted[:, where] = predictors[view].predict(rows, is_visible, item.is_masked)[name]
        found.append(predicted)
    return found


def test_every_shot_of_the_split_is_masked_exactly_once(manifest):
    for mask_set in ("random", "span"):
        items = items_of(manifest, Split.TEST, mask_set)
        masked = [
            (item.window.title_id, item.window.start + place)
            for item in items
            for place in np.flatnonzero(item.is_masked)
        ]
        assert len(masked) == len(set(masked)) == manifest.num_shots(Split.TEST)


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_trivial_predictor_has_its_own_loss_and_no_skill(meter, corpus, predictors, name):
    report = meter.report(meter.losses(trivial_predictions(meter, corpus, predictors, name)), 200, 0)
    for view in report.by_modality.values():
        assert view.loss == pytest.approx(view.losses[name], abs=1e-5)
        assert view.skill <= 1e-5
        assert view.reference == min(view.losses, key=view.losses.__getitem__)
    assert not report.is_above_zero


def test_the_truth_has_skill_one_in_every_modality(meter, corpus):
    truth = [fused_rows(corpus, item.window)[0][item.is_masked] for item in meter.items]
    report = meter.report(meter.losses(truth), 200, 0)
    assert report.skill == pytest.approx(1.0, abs=1e-4)
    assert report.interval == pytest.approx((1.0, 1.0), abs=1e-4)
    assert set(report.by_modality) == {"video", "audio", "text"}
    assert report.is_above_zero
    quick, by_modality = meter.quick(meter.losses(truth))
    assert quick == pytest.approx(report.skill, abs=1e-6)
    assert set(by_modality) == set(report.by_modality)


def test_half_way_between_truth_and_reference_is_worth_something(meter, corpus, predictors):
    truth = [fused_rows(corpus, item.window)[0][item.is_masked] for item in meter.items]
    trivial = trivial_predictions(meter, corpus, predictors, "regression")
    mixed = [one + 0.3 * other for one, other in zip(truth, trivial, strict=True)]
    report = meter.report(meter.losses(mixed), 200, 0)
    low, high = report.interval
    assert 0 < low <= report.skill <= high < 1


def test_the_total_is_the_mean_of_the_modalities_and_counts_agree(meter, corpus, predictors, manifest):
    report = meter.report(meter.losses(trivial_predictions(meter, corpus, predictors, "nearest")), 100, 0)
    assert report.skill == pytest.approx(np.mean([view.skill for view in report.by_modality.values()]))
    assert report.num_shots == manifest.num_shots(Split.TEST)
    assert report.num_groups == manifest.num_groups(Split.TEST)
    assert report.by_modality["text"].num_shots < report.by_modality["video"].num_shots
    json.dumps(report.as_json(), allow_nan=False)


def test_one_group_has_no_interval_and_proves_nothing(meter):
    sums = {view: GroupSums() for view in meter._views}
    for item in sums.values():
        item.add(meter.items[0].group_id, np.zeros(3))
    report = meter.report(sums, 100, 0)
    assert report.skill == pytest.approx(1.0)
    assert report.interval is None
    assert not report.is_above_zero


def test_corpus_means_know_training_titles_only(manifest, corpus):
    total = np.zeros(corpus.fused_dim)
    for planned, part in manifest.parts(Split.TRAIN):
        rows = corpus.title(planned.title.title_id).fused[part.start : part.end].astype(np.float64)
        total += (rows / np.linalg.norm(rows, axis=1, keepdims=True)).sum(axis=0)
    assert np.allclose(corpus_means(manifest, corpus)[FUSED_VIEW], total / np.linalg.norm(total), atol=1e-4)


def test_group_sums_are_means_of_means():
    sums = GroupSums()
    sums.add("a", np.array([1.0, 0.0]))
    sums.add("b", np.array([1.0]))
    sums.add("c", np.array([]))
    assert sums.mean == pytest.approx(0.75)
    assert sums.means(["a", "b", "c"])[:2].tolist() == [0.5, 1.0]
    assert np.isnan(sums.means(["c"])[0])


def test_resampling_keeps_the_number_of_groups_and_its_seed():
    counts = resampled_counts(7, 50, 3)
    assert (counts.sum(axis=1) == 7).all()
    assert np.array_equal(counts, resampled_counts(7, 50, 3))
    assert not np.array_equal(counts, resampled_counts(7, 50, 4))


def test_intervals_cover_what_they_should():
    # 200 samples of 30 normal groups: a 95 % percentile interval of the mean covers 0 about 93 % of the time at n = 30.
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        means = resampled_means(rng.normal(size=30), resampled_counts(30, 400, trial))
        low, high = interval(means)
        covered += low <= 0 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_resamples_without_a_value_are_left_out():
    means = resampled_means(np.array([np.nan, 2.0]), np.array([[2.0, 0.0], [1.0, 1.0]]))
    assert np.isnan(means[0])
    assert means[1] == 2.0
    assert interval(np.array([np.nan])) is None

import json

import numpy as np
import pytest

from mediafm.data.split import Split
from mediafm.train.evaluation import FUSED_VIEW, fused_rows, items_of, unit_rows
from mediafm.train.retrieval import MIN_CANDIDATES, mid_ranks, retrieval
from mediafm.train.skill import fit_predictors


def test_ranks_by_hand():
    target = np.eye(3, dtype=np.float32)
    assert mid_ranks(target, target).tolist() == [1, 1, 1]
    assert mid_ranks(target[[1, 0, 2]], target).tolist() == [2.5, 2.5, 1]
    assert mid_ranks(np.ones((3, 3), np.float32), target).tolist() == [2, 2, 2]


@pytest.fixture(scope="module")
def items(manifest):
    return items_of(manifest, Split.TRAIN, "random")


def test_the_truth_is_found_and_a_constant_is_chance(manifest, corpus, items):
    predictors = fit_predictors(manifest, corpus, "random")[FUSED_VIEW]
    truth = [unit_rows(fused_rows(corpus, item.window)[0])[item.is_masked] for item in items]
    report = retrieval(items, truth, corpus, predictors)
    assert report.top1["model"] == pytest.approx(1.0)
    assert report.reciprocal_rank["model"] == pytest.approx(1.0)
    # One vector for all ranks exactly one candidate of a pass first, whichever it is.
    assert report.top1["corpus_mean"] == pytest.approx(report.chance_top1)
    assert 0 < report.chance_top1 <= 1 / MIN_CANDIDATES
    json.dumps(report.as_json(), allow_nan=False)


def test_titles_with_fewer_than_ten_masked_shots_are_left_out(manifest, corpus, items):
    predictors = fit_predictors(manifest, corpus, "random")[FUSED_VIEW]
    short = [item for item in items if item.is_masked.sum() < MIN_CANDIDATES]
    truth = [fused_rows(corpus, item.window)[0][item.is_masked] for item in short]
    assert short
    assert retrieval(short, truth, corpus, predictors) is None

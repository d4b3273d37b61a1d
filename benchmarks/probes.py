"""Linear probes beside the loop that one would write first, and the neighbour measure beside its definition.

The naive loop fits scikit-learn per class and strength on the full width, without rotating into the span of the clips
and without fitting classes, strengths and folds together. It chooses by the same folds and loss, so both must reach
equal precision.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks.row import Row, alternate_seconds
from mediafm.probes.clips import ClipVectors
from mediafm.probes.folds import group_folds, held_out
from mediafm.probes.linear import LINEAR, held_out_scores, standardised
from mediafm.probes.logistic import fit_jointly
from mediafm.probes.neighbours import neighbour_share
from mediafm.probes.ranking import average_precision
from mediafm.probes.vectors import TitleVectors

NUM_TITLES, CLIPS_PER_TITLE, WIDTH, NUM_CLASSES, NUM_FOLDS, REPEATS = 8, 10, 2304, 5, 5, 2
SHOTS_PER_TITLE = 400
NUM_LARGE_CLIPS = 4_000
LARGEST_DIFFERENCE = 0.02
SEED = 0

Arrays = tuple[NDArray[np.float32], NDArray[np.float64], list[str], NDArray[np.int64]]


def rows(catalog: Path | None) -> list[Row]:
    """`catalog` is not used: the data is made from a seed."""
    with threadpool_limits(1):
        return [*_probe_rows(), *_large_rows(), *_neighbour_rows()]


def _probe_rows() -> list[Row]:
    data = _clips()
    ours = _mean_precision(_ours(data), data)
    naive = _mean_precision(_naive(data), data)
    if abs(ours - naive) > LARGEST_DIFFERENCE:
        raise AssertionError(f"probes and the naive loop disagree: average precision {ours} and {naive}")
    seconds = alternate_seconds(lambda: _ours(data), lambda: _naive(data), REPEATS)
    shape = f"{len(data[0])} clips x {WIDTH}, {NUM_CLASSES} classes, {NUM_FOLDS} folds"
    return [
        Row(
            name=f"probes: {shape}",
            value=seconds[0],
            unit="s",
            rival="a loop over scikit-learn",
            rival_value=seconds[1],
            goal=0.5,
            better="lower",
        ),
        Row(
            name="probes: average precision of the same",
            value=ours,
            unit="",
            rival="a loop over scikit-learn",
            rival_value=naive,
            better="higher",
        ),
    ]


def _large_rows() -> list[Row]:
    """One fit of many clips at one strength: torch's products, on the GPU if there is one, against numpy's."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rng = np.random.default_rng(SEED)
    found = []
    for num_classes in (1, NUM_CLASSES):
        rows_CW = rng.normal(size=(NUM_LARGE_CLIPS, WIDTH)) / WIDTH**0.5
        target = (rows_CW[:, :num_classes] * WIDTH**0.5 + rng.normal(size=(NUM_LARGE_CLIPS, num_classes)) > 0.8) * 1.0
        in_numpy = fit_jointly(rows_CW, target, (1.0,), LINEAR.max_iterations)
        in_torch = fit_jointly(rows_CW, target, (1.0,), LINEAR.max_iterations, torch_device=device)
        if not np.allclose(in_numpy.weights, in_torch.weights, atol=1e-3):
            raise AssertionError("numpy and torch disagree about the weights of a probe")
        seconds = alternate_seconds(
            partial(fit_jointly, rows_CW, target, (1.0,), LINEAR.max_iterations),
            partial(fit_jointly, rows_CW, target, (1.0,), LINEAR.max_iterations, torch_device=device),
            REPEATS,
        )
        found.append(
            Row(
                name=f"probes: one fit of {NUM_LARGE_CLIPS} clips x {WIDTH}, {num_classes} classes",
                value=seconds[0],
                unit="s",
                rival=f"torch on {device}",
                rival_value=seconds[1],
                better="lower",
            )
        )
    return found


def _clips() -> Arrays:
    rng = np.random.default_rng(SEED)
    num_clips = NUM_TITLES * CLIPS_PER_TITLE
    hidden = rng.normal(size=(num_clips, NUM_CLASSES))
    vectors = hidden @ rng.normal(size=(NUM_CLASSES, WIDTH)) + 4 * rng.normal(size=(num_clips, WIDTH))
    target = (hidden > 0.8).astype(np.float64)
    groups = [f"title-{number}" for number in range(NUM_TITLES) for _ in range(CLIPS_PER_TITLE)]
    return vectors.astype(np.float32), target, groups, group_folds(groups, NUM_FOLDS, rng)


def _ours(data: Arrays) -> NDArray[np.float64]:
    vectors, target, groups, folds = data
    whole = ClipVectors(vectors=vectors, is_present=np.ones(len(vectors), dtype=np.bool_))
    return held_out_scores([whole], target, groups, folds, False, np.random.default_rng(SEED)).scores


def _naive(data: Arrays) -> NDArray[np.float64]:
    vectors, target, groups, folds = data
    rng = np.random.default_rng(SEED)
    is_present = np.ones(len(vectors), dtype=np.bool_)
    scores = np.zeros_like(target)
    for trains, is_tested in held_out(folds):
        train, test = standardised(vectors, is_present, trains, is_tested)
        inner = group_folds(np.asarray(groups)[trains].tolist(), LINEAR.num_inner_folds, rng)
        losses = [_naive_loss(train, target[trains], inner, strength) for strength in LINEAR.inverse_strengths]
        best = LINEAR.inverse_strengths[int(np.argmin(losses))]
        for number in range(NUM_CLASSES):
            scores[is_tested, number] = _log_odds(train, target[trains, number], test, best)
    return scores


def _naive_loss(
    rows_CW: NDArray[np.float64], target: NDArray[np.float64], folds: NDArray[np.int64], strength: float
) -> float:
    loss = 0.0
    for trains, is_tested in held_out(folds):
        for column in target.T:
            log_odds = _log_odds(rows_CW[trains], column[trains], rows_CW[is_tested], strength)
            loss += float((np.logaddexp(0, log_odds) - column[is_tested] * log_odds).sum())
    return loss


def _log_odds(
    train: NDArray[np.float64], target: NDArray[np.float64], test: NDArray[np.float64], strength: float
) -> NDArray[np.float64]:
    model = LogisticRegression(C=strength, max_iter=LINEAR.max_iterations).fit(train, target > 0.5)
    return np.asarray(model.decision_function(test))


def _mean_precision(scores: NDArray[np.float64], data: Arrays) -> float:
    _, target, _, folds = data
    found = [
        average_precision(target[folds == fold, number] > 0.5, scores[folds == fold, number])
        for fold in range(NUM_FOLDS)
        for number in range(NUM_CLASSES)
    ]
    return float(np.nanmean(found))


def _neighbour_rows() -> list[Row]:
    rng = np.random.default_rng(SEED)
    title = TitleVectors(
        title_id="title",
        vectors=rng.normal(size=(SHOTS_PER_TITLE, WIDTH)).astype(np.float32),
        is_present=np.ones(SHOTS_PER_TITLE, dtype=np.bool_),
    )
    ours, rival = neighbour_share([title]).share, _naive_share(title)
    if ours is None or abs(ours - rival) > 1e-9:
        raise AssertionError(f"neighbour shares disagree: {ours} and {rival}")
    seconds = alternate_seconds(lambda: neighbour_share([title]), lambda: _naive_share(title), REPEATS)
    return [
        Row(
            name=f"probes: neighbour share of {SHOTS_PER_TITLE} shots x {WIDTH}",
            value=seconds[0],
            unit="s",
            rival="a loop over shots",
            rival_value=seconds[1],
            goal=0.5,
            better="lower",
        )
    ]


def _naive_share(title: TitleVectors) -> float:
    hits = []
    norms = [float(np.linalg.norm(vector)) for vector in title.vectors]
    for shot, vector in enumerate(title.vectors):
        others = [other for other in range(title.num_shots) if abs(other - shot) > 1]
        cosines = [float(vector @ title.vectors[other]) / norms[other] for other in others]
        hits.append(abs(others[int(np.argmax(cosines))] - shot) <= 10)
    return float(np.mean(hits))

"""Fits against scikit-learn's, and torch's against both; held-out losses against fits without the fold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from mediafm.probes.fits import SEARCH_TOLERANCE, Fitting, fit_ridge
from mediafm.probes.logistic import fit_jointly, held_out_losses

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
DEVICES = [None, "cpu"]
"""numpy, and torch on the processor."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The problems are small; threads would wait for each other."""
    assert torch.get_num_threads() > 0
    with threadpool_limits(1):
        yield


def rows_and_classes(num_clips: int = 60, width: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(num_clips, width)) / width**0.5
    return rows, (rows[:, :4] * width**0.5 + rng.normal(size=(num_clips, 4)) > 0.5).astype(float)


@pytest.mark.parametrize("device", DEVICES)
def test_the_joint_solver_agrees_with_scikit_learn(device: str | None) -> None:
    rows, target = rows_and_classes()
    found = fit_jointly(rows, target, STRENGTHS, 1000, torch_device=device)
    assert found.has_converged
    for number, strength in enumerate(STRENGTHS):
        for column in range(4):
            model = LogisticRegression(C=strength, max_iter=5000, tol=1e-9).fit(rows, target[:, column])
            # The tolerance is the gradient's, which is flattest where regularisation is weakest.
            assert found.weights[number, :, column] == pytest.approx(model.coef_[0], abs=2e-3)
            assert found.intercepts[number, column] == pytest.approx(model.intercept_[0], abs=2e-3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_the_fit_that_scores_is_scikit_learn_s_to_a_thousandth(device: str | None, strength: float) -> None:
    rows, target = rows_and_classes()
    test, _ = rows_and_classes(seed=1)
    fitting = Fitting(is_score=False, max_iterations=1000, torch_device=device)
    fitted = fitting.fit(rows, target, strength)
    assert fitted.has_converged
    found = fitted.log_odds(test)[0]
    for column in range(4):
        model = LogisticRegression(C=strength, max_iter=5000, tol=1e-10).fit(rows, target[:, column])
        assert found[:, column] == pytest.approx(model.decision_function(test), abs=1e-3)


def test_a_class_with_one_side_only_gets_the_log_odds_of_its_share() -> None:
    rows, target = rows_and_classes()
    target[:, 1], target[:, 2] = 0, 1
    fitted = Fitting(is_score=False, max_iterations=1000, torch_device=None).fit(rows, target, 1.0)
    assert fitted.has_converged
    assert not fitted.weights[0, :, 1:3].any()
    assert fitted.weights[0, :, 0].any()
    assert fitted.intercepts[0, 1:3] == pytest.approx([-np.log(61), np.log(61)])


@pytest.mark.parametrize("device", DEVICES)
def test_ridge_is_scikit_learn_s(device: str | None) -> None:
    rng = np.random.default_rng(0)
    rows, test, target = rng.normal(2, 1, size=(40, 12)), rng.normal(size=(9, 12)), rng.normal(1, 1, size=(40, 2))
    found = fit_ridge(rows, target, STRENGTHS, device)
    for number, strength in enumerate(STRENGTHS):
        expected = Ridge(alpha=1 / strength).fit(rows, target).predict(test)
        assert found.log_odds(test)[number] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("device", DEVICES)
def test_held_out_losses_are_those_of_fits_without_the_fold(
    device: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, target = rows_and_classes()
    folds = np.arange(60) % 3
    target[folds != 1, 3] = 0  # one side only where fold 1 is left out: not counted there
    expected = np.zeros(len(STRENGTHS))
    for fold in range(3):
        held = folds == fold
        for column in range(4 if fold != 1 else 3):
            for number, strength in enumerate(STRENGTHS):
                model = LogisticRegression(C=strength, max_iter=5000, tol=1e-7).fit(rows[~held], target[~held, column])
                log_odds = model.decision_function(rows[held])
                expected[number] += (np.logaddexp(0, log_odds) - target[held, column] * log_odds).sum()
    found, num_unconverged = held_out_losses(rows, target, folds, STRENGTHS, 1000, 1e-6, device)
    assert num_unconverged == 0
    assert found == pytest.approx(expected, rel=1e-4)
    roughly, _ = held_out_losses(rows, target, folds, STRENGTHS, 1000, SEARCH_TOLERANCE, device)
    assert roughly == pytest.approx(expected, rel=2e-3)
    monkeypatch.setattr("mediafm.probes.logistic.MAX_LOG_ODDS", 10)
    apart, _ = held_out_losses(rows, target, folds, STRENGTHS, 1000, 1e-6, device)
    assert apart == pytest.approx(found, rel=1e-5)

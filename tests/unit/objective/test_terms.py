"""Each term against the same by hand or by numpy, on tensors small enough to see."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm.objective.blocks import MIN_VARIANCE, measure
from mediafm.objective.terms import contrast, spread_penalty, standardised_errors

SLICES = (slice(0, 3), slice(3, 5), slice(5, 9))
WEIGHTS = (1.0, 2.0, 0.5)


def randn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fused_shots(seed, num_shots):
    """Fused vectors [N, 9] of weighted unit blocks and their presence [N, 3]; spreads differ by modality."""
    rows = randn(seed, num_shots, 9) * torch.tensor([1.0] * 3 + [0.2] * 2 + [3.0] * 4) + 1.0
    present = torch.rand(num_shots, 3, generator=torch.Generator().manual_seed(seed + 1)) > 0.3
    present[:, 0] = True
    blocks = [
        weight * torch.nn.functional.normalize(rows[:, where], dim=-1) * present[:, number, None]
        for number, (where, weight) in enumerate(zip(SLICES, WEIGHTS, strict=True))
    ]
    return torch.nn.functional.normalize(torch.cat(blocks, dim=1), dim=-1), present


def test_predicting_the_mean_has_error_one_in_every_modality():
    true_NE, present_N3 = fused_shots(0, 200)
    blocks = measure(true_NE, present_N3, SLICES, WEIGHTS)
    errors = standardised_errors(blocks.mean_E.expand(200, 9), blocks.targets(true_NE), blocks)
    for number in range(3):
        assert errors[present_N3[:, number], number].mean().item() == pytest.approx(1.0, rel=1e-4)
    worse = standardised_errors(blocks.mean_E.expand(200, 9) + 0.1, blocks.targets(true_NE), blocks)
    assert (worse.mean(0) > errors.mean(0)).all()
    assert standardised_errors(blocks.targets(true_NE), blocks.targets(true_NE), blocks).abs().max() == 0


def test_a_target_does_not_depend_on_what_else_the_shot_has():
    true_NE, present_N3 = fused_shots(3, 20)
    blocks = measure(true_NE, present_N3, SLICES, WEIGHTS)
    alone = torch.zeros_like(true_NE)
    alone[:, SLICES[0]] = torch.nn.functional.normalize(true_NE[:, SLICES[0]], dim=-1)
    assert torch.allclose(blocks.targets(alone)[:, SLICES[0]], blocks.targets(true_NE)[:, SLICES[0]], atol=1e-6)
    # The block that a shot with everything has in its fused vector.
    whole = true_NE[present_N3.all(dim=1)]
    assert len(whole) > 2
    assert torch.allclose(blocks.targets(whole), whole, atol=1e-6)


def test_statistics_are_those_of_present_blocks_by_numpy():
    true_NE, present_N3 = fused_shots(1, 60)
    blocks = measure(true_NE, present_N3, SLICES, WEIGHTS)
    length = np.linalg.norm(WEIGHTS)
    for number, (where, weight) in enumerate(zip(SLICES, WEIGHTS, strict=True)):
        rows = true_NE.numpy()[present_N3[:, number].numpy()][:, where].astype(np.float64)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True) * weight / length
        assert np.allclose(blocks.mean_E[where].numpy(), rows.mean(axis=0), atol=1e-6)
        variance = np.square(rows - rows.mean(axis=0)).sum(axis=1).mean()
        assert blocks.variances[number] == pytest.approx(variance, rel=1e-4)
        assert blocks.weights[number] == pytest.approx(weight / length)


def test_a_modality_that_never_varies_or_never_is_divides_by_something():
    row, present = torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 0, 0]]), torch.tensor([[True, False, False]])
    blocks = measure(row.expand(5, 9), present.expand(5, 3), SLICES, WEIGHTS)
    assert blocks.variances == (MIN_VARIANCE, 1.0, 1.0)
    assert torch.isfinite(standardised_errors(row, blocks.targets(row), blocks)).all()


@given(st.integers(0, 10_000), st.floats(0.05, 2.0))
def test_contrast_is_minus_the_log_softmax_of_cosines(seed, temperature):
    predicted, true = randn(seed, 4, 6), randn(seed + 1, 10, 6)
    own = torch.tensor([7, 0, 3, 3])
    one, other = predicted.double().numpy(), true.double().numpy()
    cosines = (one @ other.T) / np.linalg.norm(one, axis=1)[:, None] / np.linalg.norm(other, axis=1)
    logits = cosines / temperature
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(4), own.numpy()]
    assert np.allclose(contrast(predicted, true, own, temperature).numpy(), expected, atol=1e-4)


def test_contrast_wants_the_own_shot_and_no_other():
    true = torch.eye(5)
    assert contrast(true[:2], true, torch.tensor([0, 1]), 0.05).max() < 1e-6
    assert contrast(true[:2], true, torch.tensor([1, 0]), 0.05).min() > 10
    # Who tells nothing apart pays the logarithm of the number of shots.
    flat = contrast(torch.ones(1, 5), true, torch.tensor([2]), 0.1)
    assert flat.item() == pytest.approx(np.log(5), abs=1e-5)


def test_spread_is_nothing_for_whitened_vectors_and_large_for_constant_ones():
    whitened = torch.cat([torch.eye(8), -torch.eye(8)])
    assert spread_penalty(whitened).item() == pytest.approx(0.0, abs=1e-6)
    assert spread_penalty(whitened * 17.0).item() == pytest.approx(0.0, abs=1e-6)
    # No variance: each coordinate misses the margin by all of it but the root of epsilon.
    assert spread_penalty(torch.ones(16, 8)).item() == pytest.approx(1.0 - 0.01, abs=1e-4)
    # Spread along one line: coordinates vary, and all together.
    line = torch.ones(16, 8) * torch.tensor([1.0, -1.0] * 8)[:, None]
    assert spread_penalty(line).item() == pytest.approx(7 * (16 / 15) ** 2, rel=1e-4)


def test_spread_by_numpy_and_its_gradient_spreads():
    vectors = randn(5, 12, 4) * 0.1 + 1.0
    rows = vectors.double().numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True) * 2.0
    covariance = np.cov(rows.T)
    hinge = np.maximum(0.0, 1.0 - np.sqrt(np.diag(covariance) + 1e-4)).mean()
    off_diagonal = covariance - np.diag(np.diag(covariance))
    expected = hinge + np.square(off_diagonal).sum() / 4
    assert spread_penalty(vectors).item() == pytest.approx(expected, rel=1e-4)
    vectors.requires_grad_(True)
    before = spread_penalty(vectors)
    before.backward()
    with torch.no_grad():
        assert spread_penalty(vectors - 0.5 * vectors.grad) < before


def test_spread_of_a_single_shot_is_zero_with_a_gradient():
    vectors = torch.ones(1, 4, requires_grad=True)
    penalty = spread_penalty(vectors)
    penalty.backward()
    assert penalty.item() == 0.0
    assert vectors.grad.abs().max() == 0.0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_terms_are_float32_whatever_comes_in(dtype):
    true_NE, present_N3 = fused_shots(2, 6)
    blocks = measure(true_NE, present_N3, SLICES, WEIGHTS)
    low = true_NE.to(dtype)
    assert standardised_errors(low, blocks.targets(true_NE), blocks).dtype == torch.float32
    assert contrast(low, low, torch.arange(6), 0.1).dtype == torch.float32
    assert spread_penalty(low).dtype == torch.float32

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm.objective.msm import cosine_distances, msm_loss


def rows(seed, num_rows, width=6):
    return torch.randn(num_rows, width, generator=torch.Generator().manual_seed(seed))


def test_distances_by_hand():
    predicted = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [1.0, 1.0]])
    target = torch.tensor([[1.0, 0.0]]).expand(4, 2)
    assert cosine_distances(predicted, target).tolist() == pytest.approx([0.0, 1.0, 2.0, 1 - 0.5**0.5], abs=1e-6)


@given(st.integers(0, 1000), st.floats(0.01, 100.0))
def test_length_of_a_prediction_does_not_matter(seed, scale):
    predicted, target = rows(seed, 5), rows(seed + 1, 5)
    assert torch.allclose(cosine_distances(predicted * scale, target), cosine_distances(predicted, target), atol=1e-5)


@given(st.integers(0, 1000), st.integers(1, 9))
def test_micro_steps_add_up_to_the_whole_step(seed, cut):
    predicted, target = rows(seed, 10), rows(seed + 1, 10)
    whole = msm_loss(predicted, target, 10)
    parts = msm_loss(predicted[:cut], target[:cut], 10) + msm_loss(predicted[cut:], target[cut:], 10)
    assert torch.allclose(whole, parts, atol=1e-6)
    assert torch.allclose(whole, cosine_distances(predicted, target).mean(), atol=1e-6)


def test_the_loss_is_float32_whatever_the_model_computes_in():
    loss = msm_loss(rows(0, 4).bfloat16(), rows(1, 4), 4)
    assert loss.dtype == torch.float32


def test_a_zero_prediction_has_distance_one_and_finite_gradients():
    predicted = torch.zeros(3, 6, requires_grad=True)
    loss = msm_loss(predicted, rows(0, 3), 3)
    loss.backward()
    assert loss.item() == pytest.approx(1.0)
    assert torch.isfinite(predicted.grad).all()

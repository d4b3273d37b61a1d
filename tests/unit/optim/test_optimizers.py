from copy import deepcopy

import pytest
import torch

from mediafm.model import presets
from mediafm.model.mediafm import build
from mediafm.optim.optimizers import OptimConfig, Optimizers


def model_with_gradients(seed=0):
    model = build(presets.tiny(24, 8), seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    return model


def test_a_step_moves_every_parameter_and_clears_the_gradients():
    model = model_with_gradients()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    Optimizers(model, OptimConfig()).step()
    assert all(not torch.equal(before[name], parameter) for name, parameter in model.named_parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_scale_zero_moves_nothing():
    model = model_with_gradients()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizers = Optimizers(model, OptimConfig())
    optimizers.set_scale(0.0)
    optimizers.step()
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_scales_are_of_the_top_rate_and_do_not_compound():
    optimizers = Optimizers(model_with_gradients(), OptimConfig(muon_lr=0.02, adamw_lr=0.004))
    for scale in (0.5, 0.25):
        optimizers.set_scale(scale)
        assert optimizers.rates() == pytest.approx({"muon": 0.02 * scale, "adamw": 0.004 * scale})


def test_muon_moves_a_matrix_by_about_the_rms_of_adamw():
    # Liu et al. 2025: 0.2 * sqrt(max(A, B)) brings an orthogonal update to an RMS of about 0.2 per unit of rate.
    model = model_with_gradients()
    weight = model.blocks[0].attention.query.weight
    before = weight.detach().clone()
    Optimizers(model, OptimConfig(muon_lr=0.01, weight_decay=0.0)).step()
    rms = float((weight.detach() - before).square().mean().sqrt())
    assert rms == pytest.approx(0.2 * 0.01, rel=0.25)


def test_adamw_alone_is_an_option():
    model = model_with_gradients()
    optimizers = Optimizers(model, OptimConfig(hidden_optimizer="adamw"))
    assert optimizers.rates()["muon"] == 0.0
    optimizers.step()


def test_gradients_are_clipped_to_the_norm():
    model = model_with_gradients()
    optimizers = Optimizers(model, OptimConfig(clip_norm=1.0))
    norm = optimizers.clip()
    clipped = torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm()
    assert norm > 10
    assert float(clipped) == pytest.approx(1.0, abs=1e-4)


def test_state_brings_the_moving_averages_back():
    one, other = model_with_gradients(), model_with_gradients()
    first, second = Optimizers(one, OptimConfig()), Optimizers(other, OptimConfig())
    first.step()
    other.load_state_dict(one.state_dict())
    second.load_state_dict(deepcopy(first.state_dict()))
    for model in (one, other):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
    first.step()
    second.step()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))

"""The teacher's view by hand: targets, inertia, what learns from what, and titles too short for statistics."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from mediafm.model.batch import pack
from mediafm.model.config import ModelConfig
from mediafm.model.mediafm import build
from mediafm.objective.batch import MaskedBatch, StepCounts
from mediafm.objective.config import PRESETS
from mediafm.objective.contextual import MIN_TITLE_SHOTS, Contextual, instance_norm

E, M, D = 9, 4, 16
CONFIG = ModelConfig(
    fused_dim=E, metadata_dim=M, hidden_dim=D, num_layers=3, num_heads=2, feedforward_dim=32, has_zero_init=False
)


@pytest.fixture
def model():
    return build(CONFIG, seed=1)


def objective(model, **changes):
    preset = PRESETS["contextual"]
    return Contextual(replace(preset, contextual=replace(preset.contextual, **changes)), model, seed=5)


def batch_of(lengths, seed=0, student_masks=None):
    """Titles of these lengths, the first shot of each masked unless told; the teacher sees all."""
    generator = torch.Generator().manual_seed(seed)
    fused = [functional.normalize(torch.randn(n, E, generator=generator), dim=-1) for n in lengths]
    masks = student_masks or [torch.arange(n) == 0 for n in lengths]
    present = [torch.ones(n, 3, dtype=torch.bool) for n in lengths]
    shots = pack([(f, p, None, m) for f, p, m in zip(fused, present, masks, strict=True)], M)
    teacher = pack([(f, p, None, None) for f, p in zip(fused, present, strict=True)], M)
    is_masked, is_present = torch.cat(masks), torch.cat(present)
    return MaskedBatch(shots, torch.cat(fused), is_present, is_masked[:, None] & is_present, is_masked, teacher)


def counts_of(batch):
    num_masked, num_shots = int(batch.is_masked_N.sum()), len(batch.true_NE)
    return StepCounts(
        num_shots=num_shots,
        num_masked=num_masked,
        num_targets=num_masked,
        num_hidden=(num_masked,) * 3,
        num_present=(num_shots,) * 3,
        num_masked_present=(0,) * 3,
    )


def terms(one, model, batch):
    found = one.terms(model, batch, counts_of(batch))
    assert {name: weight for name, (weight, _) in found.items()} == {"contextual": 1.0}
    return {name: term for name, (_, term) in found.items()}


def moved(model, scale=0.1):
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
            parameter.add_(noise, alpha=scale)


def by_numpy(x_nD):
    x = x_nD.double().numpy()
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)


def test_instance_norm_by_numpy():
    title = torch.randn(7, D, generator=torch.Generator().manual_seed(0)) * 3.0 + 2.0
    assert np.allclose(instance_norm(title).numpy(), by_numpy(title), atol=1e-5)
    assert instance_norm(title[:1]).abs().max() == 0.0


@pytest.mark.parametrize(("wanted", "first"), [(1, 3), (2, 2), (8, 1)])
def test_targets_are_the_mean_of_the_top_blocks_each_normed_over_its_title(model, wanted, first):
    batch = batch_of([6, 9])
    layers = model.shot_layers(batch.teacher)
    expected = np.mean(
        [np.concatenate([by_numpy(title.detach()) for title in torch.split(x, [6, 9])]) for x in layers[first:]], axis=0
    )
    found = objective(model, target_blocks=wanted)._targets(batch.teacher)
    assert found.dtype == torch.float32
    assert np.allclose(found.numpy(), expected, atol=1e-4)


def test_the_loss_is_the_mean_squared_error_at_the_masked_shots(model):
    one, batch = objective(model), batch_of([6, 9])
    targets = one._targets(batch.teacher)[batch.is_masked_N]
    last = model.shot_layers(batch.shots)[-1][batch.is_masked_N]
    expected = (one.regress(one.norm(last)) - targets).square().mean(1).mean()
    assert terms(one, model, batch)["contextual"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_no_gradient_reaches_the_teacher(model):
    one, batch = objective(model), batch_of([6, 9])
    sum(terms(one, model, batch).values()).backward()
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in one.teacher.parameters())
    assert one.regress.weight.grad.abs().max() > 0
    assert model.blocks[0].attention.output.weight.grad.abs().max() > 0
    assert not one.teacher.training


def test_a_teacher_begins_as_a_copy_that_does_not_move_with_the_model(model):
    one = objective(model)
    assert all(torch.equal(a, b) for a, b in zip(one.teacher.parameters(), model.parameters(), strict=True))
    before = [parameter.clone() for parameter in one.teacher.parameters()]
    moved(model)
    assert all(torch.equal(a, b) for a, b in zip(one.teacher.parameters(), before, strict=True))


def test_the_teacher_is_the_moving_average_of_the_student_with_annealed_inertia(model):
    one = objective(model, tau_start=0.5, tau_end=0.9, tau_steps=4)
    expected = [parameter.double() for parameter in one.teacher.parameters()]
    for step in range(1, 8):
        moved(model)
        one.after_step(model, step)
        tau = 0.5 + 0.4 * min(1.0, step / 4)
        expected = [tau * own + (1 - tau) * new.double() for own, new in zip(expected, model.parameters(), strict=True)]
    for own, wanted in zip(one.teacher.parameters(), expected, strict=True):
        assert torch.allclose(own.double(), wanted, atol=1e-5)


def test_the_loss_puts_no_gradient_into_the_head(model):
    one, batch = objective(model), batch_of([6, 9])
    terms(one, model, batch)["contextual"].backward()
    assert not one.trains_head
    assert one.regress.weight.grad.any()
    assert model.head.weight.grad is None
    assert model.final_norm.weight.grad is None


def test_targets_do_not_depend_on_what_the_student_is_shown(model):
    one = objective(model)
    masks = [torch.arange(6) < 3, torch.arange(9) % 2 == 0]
    first, second = batch_of([6, 9]), batch_of([6, 9], student_masks=masks)
    assert not torch.equal(first.is_masked_N, second.is_masked_N)
    assert torch.equal(one._targets(first.teacher), one._targets(second.teacher))


def test_short_titles_give_no_loss_and_no_nan(model):
    one = objective(model)
    short = batch_of(list(range(1, MIN_TITLE_SHOTS)))
    found = terms(one, model, short)
    assert found["contextual"].item() == 0.0
    sum(found.values()).backward()
    assert all(torch.isfinite(item.grad).all() for item in model.parameters() if item.grad is not None)
    assert one.complaint() == ""
    assert one.measures() == {}


def test_beside_a_short_title_the_long_one_keeps_its_loss(model):
    one = objective(model)
    long, both = batch_of([8]), batch_of([8, 2])
    alone, together = terms(one, model, long)["contextual"], terms(one, model, both)["contextual"]
    # One masked shot each: the short title's counts in the mean, with nothing.
    assert together.item() == pytest.approx(alone.item() / 2, rel=1e-4)


def test_the_teachers_spread_is_remembered_and_collapse_is_complained_of(model):
    one, batch = objective(model), batch_of([6, 9])
    top = one.teacher.shot_layers(batch.teacher)[1:]
    first = torch.stack([title.std(0).mean() for x in top for title in torch.split(x, [6, 9])]).mean().item()
    terms(one, model, batch)
    assert one.measures()["teacher_std"] == pytest.approx(first, rel=1e-5)
    assert one.complaint() == ""
    with torch.no_grad():
        for parameter in one.teacher.parameters():
            parameter.zero_()
    terms(one, model, batch)
    assert one.measures()["teacher_std"] == pytest.approx(0.9 * first, rel=1e-4)
    for _ in range(60):
        terms(one, model, batch)
    assert "less than min_teacher_std = 0.01: it has collapsed" in one.complaint()
    # The normalisation alone would have hidden it: a little noise looks like any teacher.
    noise = torch.randn(50, D, generator=torch.Generator().manual_seed(0))
    assert instance_norm(1.0 + 0.01 * noise).std() > 0.9

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from mediafm.errors import MediaFMError
from mediafm.model import blocks, presets
from mediafm.model.batch import PackedShots, pack
from mediafm.model.layout import rotary_table
from mediafm.model.mediafm import build, num_parameters
from tests.unit.model.sequences import E, M, sequence

OURS = replace(presets.tiny(E, M), has_zero_init=False)
FORMS = {
    "ours": OURS,
    "ours, zero init": presets.tiny(E, M),
    "published": presets.published_tiny(E, M),
    "qk norm": replace(OURS, has_qk_norm=True),
}


@pytest.mark.parametrize("form", FORMS)
def test_decoding_the_last_tokens_at_masked_shots_is_the_forward_pass(form):
    model, batch = build(FORMS[form], 0), pack([sequence(0, 7, num_masked=3), sequence(1, 5)], M)
    tokens = model.shot_tokens(batch)
    assert torch.equal(tokens, model.shot_layers(batch)[-1])
    assert torch.equal(model.decode(tokens[batch.is_masked_N]), model(batch))
    assert model.decode(tokens.unflatten(0, (3, 4))).shape == (3, 4, E)


def test_context_reaches_every_shot_and_so_does_the_metadata():
    model = build(OURS, 0)
    fused, present, metadata, _ = sequence(0, 12)
    plain = model.shot_layers(pack([(fused, present, metadata, None)], M))
    changed = fused.clone()
    changed[3] = -changed[3]
    moved = model.shot_layers(pack([(changed, present, metadata, None)], M))
    distance = (plain[-1] - moved[-1]).norm(dim=-1)
    assert (distance > 1e-4).all()
    assert (plain[0] - moved[0]).norm(dim=-1).count_nonzero() == 1
    without = model.shot_layers(pack([(fused, present, None, None)], M))
    assert ((plain[-1] - without[-1]).norm(dim=-1) > 1e-4).all()


def test_a_masked_shot_is_hidden_whole():
    model = build(OURS, 0)
    fused, present, metadata, is_masked = sequence(0, 10, num_masked=3)
    before = model(pack([(fused, present, metadata, is_masked)], M))
    other, other_present = fused.clone(), present.clone()
    other[is_masked] = functional.normalize(torch.ones(3, E), dim=-1)
    other_present[is_masked] = ~present[is_masked]
    after = model(pack([(other, other_present, metadata, is_masked)], M))
    assert torch.equal(before, after)
    assert before.shape == (3, E)


def test_order_matters():
    model = build(OURS, 0)
    fused, present, metadata, _ = sequence(0, 10)
    order = torch.arange(9, -1, -1)
    plain = model.shot_layers(pack([(fused, present, metadata, None)], M))[-1]
    turned = model.shot_layers(pack([(fused[order], present[order], metadata, None)], M))[-1][order]
    assert not torch.allclose(plain, turned, atol=1e-3)


def test_rotary_scores_depend_on_distance_only():
    # Su et al. 2021, equation 16: <R_m q, R_n k> is a function of m - n.
    positions = torch.tensor([2, 7, 102, 107])
    table = rotary_table(positions, 16, 1000.0)
    q, k = (torch.randn(1, 1, 16, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    turned_q, turned_k = (blocks.rotate(item.expand(4, 1, 16), table)[:, 0] for item in (q, k))
    assert torch.allclose(turned_q[0] @ turned_k[1], turned_q[2] @ turned_k[3], atol=1e-4)
    assert not torch.allclose(turned_q[0] @ turned_k[1], turned_q[0] @ turned_k[3], atol=1e-2)
    assert torch.allclose(turned_q.norm(dim=-1), q.norm().expand(4), atol=1e-4)


@pytest.mark.parametrize("num_turned", [2, 6, 16])
def test_partial_rotary_turns_the_first_coordinates_and_leaves_the_others_bit_equal(num_turned):
    x = torch.randn(5, 3, 16, generator=torch.Generator().manual_seed(0))
    table = rotary_table(torch.tensor([0, 1, 2, 7, 400]), num_turned, 1000.0)
    turned = blocks.rotate(x, table)
    assert torch.equal(turned[..., num_turned:], x[..., num_turned:])
    assert torch.equal(turned[0], x[0])
    assert (turned[1:, :, :num_turned] != x[1:, :, :num_turned]).any(0).all()
    # The turned part is turned as a head of that width would be.
    assert torch.equal(turned[..., :num_turned], blocks.rotate(x[..., :num_turned], table))
    assert torch.allclose(turned.norm(dim=-1), x.norm(dim=-1), atol=1e-5)


def test_the_model_turns_the_share_that_its_configuration_says_and_the_first_blocks_are_blind():
    for share, num_turned in ((1.0, 32), (0.5, 16), (0.3, 10), (0.001, 2)):
        config = replace(OURS, hidden_dim=128, rotary_share=share)
        model = build(config, 0)
        cos_TR, _ = model._rotary(model.layout(pack([sequence(0, 4)], M)))
        assert config.rotary_dim == 2 * cos_TR.shape[1] == num_turned
    for num_blind in (0, 1, 3):
        model = build(replace(OURS, num_layers=3, num_blind_blocks=num_blind), 0)
        assert [block.attention.sees_self for block in model.blocks] == [False] * num_blind + [True] * (3 - num_blind)
        assert (model.layout(pack([sequence(0, 4)], M)).blind_plan is None) == (num_blind == 0)


def test_first_weights_come_from_the_seed_and_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    one, same, other = build(OURS, 1), build(OURS, 1), build(OURS, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.head.weight, other.head.weight)
    assert all(torch.isfinite(item).all() for item in one.parameters())


def test_predictions_begin_at_the_heads_bias():
    bias = functional.normalize(torch.randn(E, generator=torch.Generator().manual_seed(0)), dim=0)
    model = build(presets.tiny(E, M), 0, bias)
    predicted = model(pack([sequence(0, 30, num_masked=6)], M))
    cosine = functional.cosine_similarity(predicted, bias.expand(6, E), dim=-1)
    assert (cosine > 0.97).all()


def test_a_shot_enters_at_the_models_scale():
    model = build(presets.base(2304, 768), 0)
    fused = functional.normalize(torch.randn(5, 2304, generator=torch.Generator().manual_seed(0)), dim=-1)
    tokens = model.shot_layers(pack([(fused, torch.ones(5, 3, dtype=torch.bool), None, None)], 768))[0]
    assert float(tokens.detach().std()) == pytest.approx(1.0, abs=0.1)
    assert num_parameters(model) == pytest.approx(12 * 12 * 768**2 + 2 * 2304 * 768, rel=0.02)


def test_gradients_are_right():
    # Against finite differences in float64, through split attention, rotary positions and GeGLU.
    model = build(replace(OURS, hidden_dim=8, num_heads=2, num_layers=1, feedforward_dim=8), 0).double()
    fused, present, _, is_masked = sequence(0, 3)

    def predict(fused_NE):
        batch = PackedShots(fused_NE, present, torch.zeros(1, M).double(), torch.tensor([False]), (3,), is_masked)
        return model(batch)

    assert torch.autograd.gradcheck(predict, (fused.double().requires_grad_(),), fast_mode=True)


def test_a_batch_checks_its_shapes():
    fused, present, _, is_masked = sequence(0, 4)
    with pytest.raises(MediaFMError, match="one row a shot"):
        PackedShots(fused, present, torch.zeros(1, M), torch.tensor([True]), (5,), is_masked)
    with pytest.raises(MediaFMError, match="one or more sequences of one or more shots"):
        PackedShots(fused[:0], present[:0], torch.zeros(1, M), torch.tensor([True]), (0,), is_masked[:0])

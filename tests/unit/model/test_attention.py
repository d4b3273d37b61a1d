from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mediafm.errors import MediaFMError
from mediafm.model import attention, presets
from mediafm.model.attention import attend, choose_backend, has_varlen_kernel
from mediafm.model.batch import pack
from mediafm.model.layout import layout_of
from mediafm.model.mediafm import build
from tests.unit.model import reference
from tests.unit.model.sequences import E, M, sequence
from tests.unit.model.varlen_twin import varlen_attn_twin

SMALL = replace(presets.tiny(E, M), hidden_dim=16, num_heads=2, feedforward_dim=24, max_shots=32, has_zero_init=False)
PUBLISHED = replace(
    presets.published_tiny(E, M), hidden_dim=16, num_heads=2, feedforward_dim=32, max_shots=32, num_layers=3
)
FORMS = {
    f"{norm}, {positions}, {activation}{', qk norm' if has_qk_norm else ''}": replace(
        SMALL, norm=norm, positions=positions, activation=activation, has_qk_norm=has_qk_norm
    )
    for norm, positions, activation, has_qk_norm in product(
        ("pre", "post"), ("rotary", "learned"), ("geglu", "gelu"), (False, True)
    )
} | {
    "published": PUBLISHED,
    "no qk bias": replace(SMALL, has_qk_bias=False, has_presence=False),
    "none blind, all turned": replace(SMALL, num_blind_blocks=0, rotary_share=1.0),
    "none blind, half turned": replace(SMALL, num_blind_blocks=0),
    "one blind, all turned": replace(SMALL, rotary_share=1.0),
    "all blind, one pair turned, qk norm": replace(SMALL, num_blind_blocks=2, rotary_share=0.01, has_qk_norm=True),
    "published, two blind": replace(PUBLISHED, num_blind_blocks=2),
}
BACKENDS = ("buckets", "padded", "varlen")
LENGTHS = ((7, 1, 12, 7, 4), (5,), (3, 3, 3), (9, 4, 4, 1))


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    monkeypatch.setattr(attention, "varlen_attn", varlen_attn_twin)
    return request.param


def batch_of(lengths, **changes):
    return pack([sequence(seed, count, has_metadata=seed != 2) for seed, count in enumerate(lengths)], M, **changes)


def model_of(config, backend=None):
    model = build(config, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            # Biases, norms and scales leave their first values, or a test could not tell whether they are read.
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    model.attention = backend
    return model


def gradients(model, predicted):
    model.zero_grad()
    predicted.square().sum().backward()
    return {name: item.grad for name, item in model.named_parameters() if item.grad is not None}


@pytest.mark.parametrize("form", FORMS)
def test_packed_equals_the_padded_reference_forward_and_backward(form, backend):
    # float64, so that only the rotary angles, float32 on both sides but computed differently, may differ: 1e-6.
    model, batch = model_of(FORMS[form], backend).double(), batch_of(LENGTHS[0])
    for found, expected in zip(model.shot_layers(batch), reference.padded_states(model, batch), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    predicted, expected = model(batch), reference.predictions(model, batch)
    torch.testing.assert_close(predicted, expected, rtol=1e-6, atol=1e-6)
    found, wanted = gradients(model, predicted), gradients(model, expected)
    assert found.keys() == wanted.keys() == {name for name, _ in model.named_parameters()}
    config = model.config
    for name, gradient in found.items():
        # A constant added to every key adds the same to all scores of a query, unless a turn or a norm follows.
        is_felt = config.positions == "rotary" or config.has_qk_norm or not name.endswith("key.bias")
        assert bool(gradient.abs().max() > 1e-9) == is_felt, name
        assert torch.allclose(gradient, wanted[name], rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize("lengths", LENGTHS)
def test_float32_is_within_its_rounding_of_the_reference(lengths, backend):
    # float32 keeps 24 bits, 6e-8; sums of tens of terms through two blocks stay under 2e-5 of values of size 1.
    model, batch = model_of(SMALL, backend), batch_of(lengths)
    torch.testing.assert_close(model(batch), reference.predictions(model, batch), rtol=1e-4, atol=2e-5)


def test_the_reference_can_fail():
    model, batch = model_of(SMALL).double(), batch_of(LENGTHS[0])
    before = reference.predictions(model, batch)
    longer = reference.predictions(model, replace(batch, num_shots=(7, 1, 12, 8, 3)))
    assert (before - longer).abs().max() > 1e-3


@pytest.mark.parametrize("form", ["pre, rotary, geglu", "pre, rotary, geglu, qk norm", "published"])
def test_no_gradient_crosses_titles(form, backend):
    model, batch = model_of(FORMS[form], backend), batch_of((5, 9, 9, 3))
    batch.fused_NE.requires_grad_()
    layers = model.shot_layers(replace(batch, is_masked_N=torch.zeros(26, dtype=torch.bool)))
    layers[-1][5:14].square().sum().backward()
    reached = batch.fused_NE.grad.abs().sum(dim=1)
    assert (reached[5:14] > 0).all()
    assert torch.equal(torch.cat((reached[:5], reached[14:])), torch.zeros(17))


@pytest.mark.parametrize("form", ["pre, rotary, geglu", "published"])
def test_one_titles_vectors_do_not_see_what_another_holds_not_even_nan(form, backend):
    # Same shapes, same kernels, same order of sums: not a bit may change.
    model, titles = model_of(FORMS[form], backend), [sequence(seed, count) for seed, count in enumerate((5, 9, 9, 3))]
    before = model.shot_layers(pack(titles, M))
    fused, present, metadata, is_masked = titles[1]
    titles[1] = (torch.full_like(fused, float("nan")), ~present, 7 * metadata, is_masked)
    for one, other in zip(before, model.shot_layers(pack(titles, M)), strict=True):
        assert torch.equal(one[:5], other[:5])
        assert torch.equal(one[14:], other[14:])
        assert other[5:14].isnan().any()


@pytest.mark.parametrize("form", ["pre, rotary, geglu", "pre, learned, gelu, qk norm", "published"])
def test_a_titles_vectors_do_not_depend_on_how_it_was_batched(form, backend):
    # float32: a matrix product of more rows may add in another order. Values are of size 1.
    model, counts = model_of(FORMS[form], backend), (7, 1, 19, 7, 4, 19)
    titles = [sequence(seed, count) for seed, count in enumerate(counts)]
    alone = [model.shot_tokens(pack([title], M)) for title in titles]
    for order in ((0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (2, 5, 0, 3, 1, 4), (3, 0)):
        together = model.shot_tokens(pack([titles[item] for item in order], M))
        for item, found in zip(order, together.split([counts[item] for item in order]), strict=True):
            torch.testing.assert_close(found, alone[item], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("form", ["pre, rotary, geglu", "pre, rotary, geglu, qk norm", "published"])
def test_under_bfloat16_the_residual_stream_of_pre_norm_stays_float32(form, backend):
    model, batch = model_of(FORMS[form], backend), batch_of(LENGTHS[0])
    full = model(batch).detach()
    with torch.autocast("cpu", torch.bfloat16):
        layers, half = model.shot_layers(batch), model(batch)
    assert {layer.dtype for layer in layers} == {torch.float32}
    # bfloat16 keeps eight bits: a few per cent after two or three blocks.
    assert functional.cosine_similarity(half.float(), full, dim=-1).detach().min() > 0.99


def test_attention_alone_equals_softmax_for_ragged_runs_in_any_order(backend):
    generator = torch.Generator().manual_seed(0)
    layout = layout_of((4, 1, 4, 9, 1), torch.device("cpu"), backend)
    assert layout.backend == backend
    q, k, v = (torch.randn(layout.num_tokens, 2, 8, generator=generator, dtype=torch.float64) for _ in range(3))
    found = attend(q, k, v, layout)
    parts = zip(*(item.split(layout.lengths) for item in (q, k, v)), strict=True)
    for one, (a, b, c) in zip(found.split(layout.lengths), parts, strict=True):
        expected = reference.softmax_attention(a.transpose(0, 1), b.transpose(0, 1), c.transpose(0, 1))
        torch.testing.assert_close(one, expected.transpose(0, 1))


def blind_layout(counts, backend):
    return layout_of(counts, torch.device("cpu"), backend, has_blind=True)


def random_qkv(layout, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(layout.num_tokens, 2, 8, generator=generator, dtype=torch.float64) for _ in range(3)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # The fixture is the same for every example.
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_blind_attention_equals_softmax_over_the_others_forward_and_backward(backend, counts, seed):
    layout = blind_layout(tuple(counts), backend)
    qkv = [item.requires_grad_() for item in random_qkv(layout, seed)]
    found = attend(*qkv, layout, sees_self=False)
    expected = []
    for runs in zip(*(item.split(layout.lengths) for item in qkv), strict=True):
        q, k, v = (item.transpose(0, 1) for item in runs)
        is_other = ~torch.eye(q.shape[1], dtype=torch.bool)
        expected.append(reference.softmax_attention(q, k, v, is_other).transpose(0, 1))
    wanted = torch.cat(expected)
    torch.testing.assert_close(found, wanted)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    gradients_of = [torch.autograd.grad((item * weights).sum(), qkv) for item in (found, wanted)]
    for one, other in zip(*gradients_of, strict=True):
        torch.testing.assert_close(one, other)
    sighted = attend(*qkv, layout)
    assert not torch.allclose(sighted, wanted, atol=1e-3)


@pytest.mark.parametrize("counts", [(1,), (1, 1), (4, 1, 4, 6)])
def test_what_a_blind_token_gathers_does_not_hold_its_own_value(counts, backend):
    layout = blind_layout(counts, backend)
    q, k, v = random_qkv(layout)
    v.requires_grad_()
    mixed = attend(q, k, v, layout, sees_self=False)
    for token in range(layout.num_tokens):
        (felt,) = torch.autograd.grad(mixed[token].sum(), v, retain_graph=True)
        start = max(start for start in layout.cls_B.tolist() if start <= token)
        end = start + layout.lengths[layout.cls_B.tolist().index(start)]
        # Exactly zero for itself and for other titles, weights of a mean for its title's other tokens.
        others = [place for place in range(start, end) if place != token]
        assert felt[others].gt(0).all()
        felt[others] = 0
        assert torch.equal(felt, torch.zeros_like(felt))


def test_a_shot_is_blind_to_itself_in_the_model_too(backend):
    # Values of all other shots reach a shot through the first block; its own reaches it by the residual alone.
    model, batch = model_of(SMALL, backend), batch_of((6, 1))
    block, layout = model.blocks[0], model.layout(batch)
    table = model._rotary(layout)
    tokens = torch.randn(layout.num_tokens, SMALL.hidden_dim, generator=torch.Generator().manual_seed(0))
    values = []
    block.attention.value.register_forward_hook(lambda _, __, made: values.append(made) or made)
    mixed = block.attention(tokens, layout, table)
    own = [torch.autograd.grad(mixed[token].sum(), values[0], retain_graph=True)[0][token] for token in range(11)]
    assert torch.equal(torch.stack(own), torch.zeros(11, SMALL.hidden_dim))
    (felt,) = torch.autograd.grad(mixed[3].sum(), values[0])
    assert felt[[0, 1, 2, 4, 5, 6, 7]].abs().sum(1).gt(0).all()


def test_a_title_of_one_shot_passes_blind_blocks(backend):
    model = model_of(replace(SMALL, num_blind_blocks=2), backend)
    predicted = model(batch_of((1, 1)))
    assert predicted.shape == (2, E)
    assert predicted.isfinite().all()
    predicted.square().sum().backward()
    assert all(item.grad.isfinite().all() for item in model.parameters() if item.grad is not None)


def test_blind_attention_without_a_plan_for_it_is_refused(backend):
    layout = layout_of((3, 2), torch.device("cpu"), backend)
    with pytest.raises(MediaFMError, match="a layout without a plan for blind blocks"):
        attend(*random_qkv(layout), layout, sees_self=False)


@pytest.mark.parametrize(
    ("device_type", "dtype", "head_dim", "has_varlen", "expected"),
    [
        ("cpu", torch.float32, 64, False, "buckets"),
        ("cpu", torch.bfloat16, 64, True, "buckets"),
        ("cuda", torch.bfloat16, 64, True, "varlen"),
        ("cuda", torch.float16, 256, True, "varlen"),
        ("cuda", torch.float32, 64, True, "padded"),
        ("cuda", torch.bfloat16, 64, False, "padded"),
        ("cuda", torch.bfloat16, 12, True, "padded"),
        ("cuda", torch.bfloat16, 512, True, "padded"),
        ("mps", torch.bfloat16, 64, False, "padded"),
    ],
)
def test_the_backend_follows_device_dtype_and_head_width(device_type, dtype, head_dim, has_varlen, expected):
    assert choose_backend(device_type, dtype, head_dim, has_varlen=has_varlen) == expected


def test_a_cpu_has_no_varlen_kernel_and_the_model_takes_buckets_unless_told():
    model, batch = build(SMALL, 0), batch_of((3, 4))
    assert not has_varlen_kernel(torch.device("cpu"))
    assert model.layout(batch).backend == "buckets"
    model.attention = "padded"
    assert model.layout(batch).backend == "padded"

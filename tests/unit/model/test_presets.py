import re
from dataclasses import fields, replace

import pytest
import torch
from torch.nn import functional

from mediafm.errors import ConfigError, MediaFMError
from mediafm.model import presets
from mediafm.model.batch import pack
from mediafm.model.config import ModelConfig
from mediafm.model.export import layer_vectors
from mediafm.model.mediafm import MediaFM, build, num_parameters
from tests.unit.model.sequences import E, M, sequence

SIZES = {
    "tiny": (2, 256, 4),
    "shallow": (3, 256, 4),
    "small": (4, 256, 4),
    "medium": (8, 512, 8),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}
"""Blocks, width and heads."""


def expected_parameters(config):
    """Matrices, biases, norms, tokens and tables, summed by hand."""
    width, inner, biases = config.hidden_dim, config.feedforward_dim, config.has_bias
    attention = 4 * width**2 + width * (4 if biases else 2 if config.has_qk_bias else 0)
    attention += config.num_heads if config.has_qk_norm else 0
    num_in = 2 if config.activation == "geglu" else 1
    feedforward = (num_in + 1) * width * inner + (num_in * inner + width if biases else 0)
    norm = width * (2 if biases else 1)
    ends = (config.fused_dim + config.metadata_dim) * width + 2 * width
    ends += width * config.fused_dim + config.fused_dim + norm
    tokens = 4 * width + (3 * width if config.has_presence else 0)
    tokens += config.max_shots * width if config.positions == "learned" else 0
    return config.num_layers * (attention + feedforward + 2 * norm) + ends + tokens


def test_each_size_exists_in_both_families():
    assert set(presets.PRESETS) == {*SIZES, *(f"published_{size}" for size in SIZES)}
    for prefix in ("", "published_"):
        for size, expected in SIZES.items():
            config = presets.PRESETS[prefix + size](2304, 768)
            assert (config.num_layers, config.hidden_dim, config.num_heads) == expected
            assert config.max_shots == 512


def test_the_families_differ_in_what_was_published():
    for size in SIZES:
        ours, published = presets.PRESETS[size](24, 8), presets.PRESETS[f"published_{size}"](24, 8)
        assert (ours.norm, ours.positions, ours.activation, ours.has_bias) == ("pre", "rotary", "geglu", False)
        assert (ours.rotary_share, ours.num_blind_blocks) == (0.5, 1)
        assert (published.norm, published.positions, published.activation) == ("post", "learned", "gelu")
        assert (published.rotary_share, published.num_blind_blocks) == (1.0, 0)
        assert published.has_bias
        assert not any((published.has_presence, published.has_zero_init, published.has_qk_norm))


@pytest.mark.parametrize("name", sorted(presets.PRESETS))
def test_parameters_are_as_many_as_the_formula_and_the_docstring_say(name):
    config = presets.PRESETS[name](2304, 768)
    with torch.device("meta"):
        found = num_parameters(MediaFM(config))
    assert found == expected_parameters(config)
    said = re.search(r"([\d.]+) M parameters", presets.PRESETS[name].__doc__).group(1)
    assert float(said) == pytest.approx(found / 1e6, abs=0.05 if "." in said else 0.5)


@pytest.mark.parametrize("name", ["tiny", "published_tiny"])
def test_the_formula_holds_for_every_choice(name):
    for change in ({}, {"has_qk_norm": True}, {"has_bias": True}, {"has_qk_bias": False, "has_presence": False}):
        config = replace(presets.PRESETS[name](24, 8), **change)
        assert num_parameters(MediaFM(config)) == expected_parameters(config)


CHANGES = {
    "fused_dim": E + 8,
    "metadata_dim": M + 8,
    "hidden_dim": 64,
    "num_layers": 3,
    "num_heads": 2,
    "feedforward_dim": 64,
    "max_shots": 6,
    "norm": "post",
    "positions": "learned",
    "activation": "gelu",
    "has_bias": True,
    "has_qk_bias": False,
    "has_presence": False,
    "has_qk_norm": True,
    "has_zero_init": True,
    "rotary_share": 1.0,
    "num_blind_blocks": 2,
    "rotary_base": 10.0,
    "init_std_scale": 2.0,
}
"""One other value for each field of an architecture."""

BEFORE = replace(presets.tiny(E, M), hidden_dim=32, feedforward_dim=48, has_zero_init=False)


def signature(config):
    """What can be seen of an architecture: its weights' shapes and the vectors of a title with other first weights."""
    model = build(config, 0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    fused = functional.normalize(torch.randn(10, config.fused_dim, generator=torch.Generator().manual_seed(2)), dim=-1)
    vectors = layer_vectors(model, fused, torch.ones(10, 3, dtype=torch.bool), None)[-1]
    return {name: tuple(item.shape) for name, item in model.named_parameters()}, vectors


def test_a_change_is_written_for_every_field():
    assert set(CHANGES) == {field.name for field in fields(ModelConfig)}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_has_an_effect(name):
    after = replace(BEFORE, **{name: CHANGES[name]})
    (shapes, vectors), (other_shapes, other_vectors) = signature(BEFORE), signature(after)
    is_seen = shapes != other_shapes or not torch.allclose(vectors, other_vectors, atol=1e-3)
    assert is_seen
    if name in (
        "norm",
        "rotary_share",
        "num_blind_blocks",
        "rotary_base",
        "has_zero_init",
        "init_std_scale",
        "max_shots",
    ):
        assert shapes == other_shapes


def test_post_norm_gives_normalised_tokens_and_pre_norm_lets_them_grow():
    batch = pack([sequence(0, 9, num_masked=0)], M)
    post, pre = build(replace(BEFORE, norm="post"), 0).shot_tokens(batch), build(BEFORE, 0).shot_tokens(batch)
    assert torch.allclose(post.std(-1, correction=0), torch.ones(9), atol=1e-3)
    assert (pre.std(-1, correction=0) > 1.1).all()


def test_residual_outputs_that_begin_at_zero_pass_tokens_on():
    layers = build(replace(BEFORE, has_zero_init=True), 0).shot_layers(pack([sequence(0, 9)], M))
    assert all(torch.equal(layer, layers[0]) for layer in layers)


def test_qk_norm_bounds_the_scores_by_the_learned_scale():
    # Henry et al. 2020: scores are scale * cosine, however large the inputs are.
    model = build(replace(BEFORE, has_qk_norm=True), 0)
    attention = model.blocks[0].attention
    assert torch.allclose(attention.query_scale, torch.full((4, 1), 8**0.5))
    batch = pack([sequence(0, 9)], M)
    with torch.no_grad():
        attention.key.weight.mul_(50)
        before = model.shot_tokens(batch)
        attention.key.weight.mul_(50)
        assert torch.allclose(model.shot_tokens(batch), before, atol=1e-4)
        attention.query_scale.mul_(3)
        assert not torch.allclose(model.shot_tokens(batch), before, atol=1e-3)


def test_a_sequence_longer_than_learned_positions_is_refused():
    model = build(replace(BEFORE, positions="learned", max_shots=8), 0)
    assert model.shot_tokens(pack([sequence(0, 8)], M)).shape == (8, 32)
    with pytest.raises(MediaFMError, match="learned positions reach 8 shots"):
        model.shot_tokens(pack([sequence(0, 9)], M))


def test_configurations_written_before_a_field_existed_still_load():
    # What the first checkpoints hold; fields that came later take their defaults, which are the network of then.
    old = {
        "fused_dim": 24,
        "metadata_dim": 8,
        "hidden_dim": 128,
        "num_layers": 2,
        "num_heads": 4,
        "feedforward_dim": 320,
    }
    loaded = ModelConfig.from_json(old)
    assert (loaded.rotary_share, loaded.rotary_dim, loaded.num_blind_blocks) == (1.0, 32, 0)
    then = {"hidden_dim": 128, "feedforward_dim": 320, "rotary_share": 1.0, "num_blind_blocks": 0}
    assert loaded == replace(presets.tiny(24, 8), **then)
    with pytest.raises(ConfigError, match="holds what `ModelConfig"):
        ModelConfig.from_json({name: value for name, value in old.items() if name != "hidden_dim"})

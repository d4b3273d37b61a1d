from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from mediafm.model import from_data, presets
from mediafm.model.batch import pack
from mediafm.model.blocks import rotate
from mediafm.model.from_data import begin_from_data, gathers_apart, principal_directions
from mediafm.model.layout import rotary_table
from mediafm.model.mediafm import build

OWN = 32
"""The half of the width that holds the shot itself."""
WHOLE = {"num_blind_blocks": 0, "rotary_share": 1.0}
FORMS = {
    "halves": {},
    "halves, four heads": {"num_heads": 4},
    "halves, qk norm": {"has_qk_norm": True},
    "halves, all turned": {"rotary_share": 1.0},
    "halves, all turned, qk norm": {"rotary_share": 1.0, "has_qk_norm": True},
    "whole": WHOLE,
    "whole, qk norm": {**WHOLE, "has_qk_norm": True},
    "whole, half turned": {"num_blind_blocks": 0},
    "one head, blind": {"num_heads": 1},
}
HALVES = [name for name in FORMS if name.startswith("halves")]


def rows(num_rows, width, rank, seed=0):
    generator = torch.Generator().manual_seed(seed)
    low = torch.randn(num_rows, rank, generator=generator) @ torch.randn(rank, width, generator=generator)
    return functional.normalize(low + 0.5 * torch.randn(width, generator=generator), dim=-1)


def begun(vectors, seed=0, **changes):
    config = replace(presets.tiny(vectors.shape[1], 8), **{"hidden_dim": 2 * OWN, "num_heads": 2, **changes})
    model = build(config, 0, vectors.mean(0))
    begin_from_data(model, vectors, torch.Generator().manual_seed(seed))
    return model


def title(vectors, is_masked=None, metadata=None):
    return pack([(vectors, torch.ones(len(vectors), 3, dtype=torch.bool), metadata, is_masked)], 8)


def weights_of(model, batch):
    """Logits [H, T, T] of the first block, as its attention computes them."""
    block, layout = model.blocks[0], model.layout(batch)
    part = block.attention
    x_TD = block.attention_norm(model._embed(batch, layout))
    q, k = (item(x_TD).unflatten(-1, (part.num_heads, -1)) for item in (part.query, part.key))
    if part.query_scale is not None:
        q, k = functional.normalize(q, dim=-1) * part.query_scale, functional.normalize(k, dim=-1)
        q = q * part.head_dim**0.5
    q, k = (rotate(item, model._rotary(layout)) for item in (q, k))
    return torch.einsum("qhk,shk->hqs", q, k).detach() / part.head_dim**0.5


@pytest.mark.parametrize(("num_rows", "width"), [(10, 48), (400, 48), (48, 48)])
def test_directions_are_orthonormal_and_hold_the_variance(num_rows, width):
    vectors = rows(num_rows, width, rank=6)
    centred = vectors - vectors.mean(0)
    basis, variance = principal_directions(centred, 32)
    assert torch.allclose(basis @ basis.T, torch.eye(len(basis)), atol=1e-5)
    assert torch.allclose(centred @ basis.T @ basis, centred, atol=2e-3)
    assert float(variance.sum()) == pytest.approx(float(centred.square().sum() / num_rows), rel=1e-3)
    assert (variance[:-1] >= variance[1:]).all()
    assert len(principal_directions(centred, 3)[0]) == 3


@pytest.mark.parametrize("form", FORMS)
def test_only_a_fit_model_gathers_apart(form):
    assert gathers_apart(begun(rows(50, 48, rank=8), **FORMS[form]).config) == (form in HALVES)


@pytest.mark.parametrize("num_rows", [12, 300])
@pytest.mark.parametrize("form", FORMS)
def test_the_head_undoes_the_projection(form, num_rows):
    vectors = rows(num_rows, 48, rank=8)
    model = begun(vectors, **FORMS[form])
    tokens = model.project_shot(vectors * 48**0.5).detach()
    assert torch.allclose(model.head(tokens), vectors, atol=2e-2)
    held = tokens[:, :OWN] if form in HALVES else tokens
    assert float(held.square().mean().sqrt()) == pytest.approx(1.0, rel=0.05)
    if form in HALVES:
        # What is gathered is read by the head as a shot is.
        assert torch.equal(tokens[:, OWN:], torch.zeros(num_rows, OWN))
        assert torch.allclose(model.head(tokens.roll(OWN, dims=1)), vectors, atol=2e-2)


@pytest.mark.parametrize("form", FORMS)
def test_a_masked_shot_begins_as_a_mean_of_its_neighbours(form):
    is_masked = torch.zeros(30, dtype=torch.bool)
    is_masked[[5, 24]] = True
    found = []
    for seed in range(8):
        vectors = rows(300, 48, rank=8, seed=seed)
        model = begun(vectors, seed, **FORMS[form])
        predicted = model(title(vectors[torch.arange(30) // 15 * 100], is_masked)).detach() - vectors.mean(0)
        found.append(functional.cosine_similarity(predicted[:, None], vectors[[0, 100]] - vectors.mean(0), dim=-1))
    right, wrong = (torch.stack(items).diagonal(dim1=1, dim2=2) for items in (found, [item.flip(1) for item in found]))
    assert right.mean() > 0.8
    assert (right - wrong).mean() > 0.3
    # Where the first queries and keys hold random content it stands beside the distance, now for it, now against.
    least = 0.95 if form in HALVES else 0.75
    assert (right > wrong).float().mean() >= least


@pytest.mark.parametrize("form", [name for name in FORMS if name != "one head, blind"])
def test_attention_begins_to_fall_with_distance_at_each_heads_pace(form):
    model = begun(rows(300, 48, rank=8), **FORMS[form])
    attention = model.blocks[0].attention
    table = rotary_table(torch.arange(100), model.config.rotary_dim, 1000.0)
    query, key = (
        rotate(item.bias.detach().view(1, attention.num_heads, -1).expand(100, -1, -1), table)
        for item in (attention.query, attention.key)
    )
    weights = torch.einsum("hk,thk->ht", query[0], key).div(attention.head_dim**0.5).softmax(dim=1)
    assert (weights[:, 0] > weights[:, 1]).all()
    assert (weights[:, 1] > weights[:, 5]).all()
    assert (weights[:, 5] > weights[:, 40]).all()
    assert weights[0, 0] > 1.5 * weights[-1, 0]


@pytest.mark.parametrize("form", FORMS)
def test_masked_shots_look_around_by_distance_alone_whatever_the_form(form):
    vectors, is_masked = rows(40, 48, rank=8), torch.zeros(40, dtype=torch.bool)
    is_masked[7] = True
    has_content = form in HALVES
    model = begun(vectors, **FORMS[form])
    if not has_content:
        with torch.no_grad():
            # There queries and keys begin with random content, which stands beside the fall.
            model.blocks[0].attention.query.weight.zero_()
            model.blocks[0].attention.key.weight.zero_()
    by_place = weights_of(model, title(vectors, is_masked))[:, 2 + 7, 2:]
    assert by_place.isfinite().all()
    # The norm of keys leaves in how long a neighbour's content is, and shots of one length in the own half, whose
    # coordinates have one spread, are of several lengths as they are.
    loose = 0.25 if has_content and model.config.has_qk_norm else 1e-3
    for away in (1, 2, 3):
        assert (by_place[:, 7 + away] < by_place[:, 7 + away - 1]).all()
        torch.testing.assert_close(by_place[:, 7 + away], by_place[:, 7 - away], rtol=loose, atol=1e-3)


def test_with_qk_norm_two_visible_shots_have_the_same_logits_but_for_the_length_of_their_content():
    # Directions as many as the met coordinates, so content holds all of a shot but the mean that the norm takes away.
    vectors = rows(200, 48, rank=8)
    plain, normed = (
        weights_of(begun(vectors, num_heads=2, has_qk_norm=has_qk_norm), title(vectors[:20]))[:, 2:, 2:]
        for has_qk_norm in (False, True)
    )
    # A shot's content is now longer, now shorter than the mean; the norm makes all alike.
    assert (plain - normed).square().mean() < 0.05 * plain.var()
    # A shot meets itself with all there is: the sum over the pairs, times the head's scale, and the content.
    scale = torch.tensor([from_data.SHARPEST, from_data.BROADEST])
    expected = (scale * 8 + from_data.CONTENT)[:, None].expand(-1, 20)
    torch.testing.assert_close(normed.diagonal(dim1=1, dim2=2), expected)
    # Of masked shots, as the docstring says.
    is_masked = torch.zeros(20, dtype=torch.bool)
    is_masked[5] = True
    plain, normed = (
        weights_of(begun(vectors, num_heads=2, has_qk_norm=has_qk_norm), title(vectors[:20], is_masked))[:, 7, 2:]
        for has_qk_norm in (False, True)
    )
    seen = ~is_masked
    sharper = (1 + 2 * from_data.CONTENT / (scale * 16)).sqrt()
    torch.testing.assert_close(normed[:, seen], plain[:, seen] * sharper[:, None], rtol=0.1, atol=1e-3)


@pytest.mark.parametrize("form", HALVES)
def test_the_first_block_leaves_a_shots_own_half_alone_and_fills_the_other(form):
    vectors = rows(300, 48, rank=8)
    model = begun(vectors, **FORMS[form])
    before, after = (item.detach() for item in model.shot_layers(title(vectors[:25]))[:2])
    assert torch.equal(after[:, :OWN], before[:, :OWN])
    projected = model.project_shot(vectors[:25] * 48**0.5)[:, :OWN].detach()
    # Presence flags are a whisper: three vectors of entries .002.
    assert (before[:, :OWN] - projected).abs().max() < 0.02
    assert before[:, OWN:].abs().max() < 0.02
    size = after[:, OWN:].square().mean(1).sqrt()
    assert ((size > 0.2) & (size < 5)).all()


def alternating(num_shots=24, noise=0.15, seed=0):
    """ABAB...: shots [N, E] of two groups and which group each is of."""
    generator = torch.Generator().manual_seed(seed)
    centres = functional.normalize(torch.randn(2, 48, generator=generator), dim=-1)
    is_second = torch.arange(num_shots) % 2
    noisy = centres[is_second] + noise * torch.randn(num_shots, 48, generator=generator) / 48**0.5
    return functional.normalize(noisy, dim=-1), is_second


@pytest.mark.parametrize("form", ["halves", "halves, four heads", "halves, qk norm"])
@pytest.mark.parametrize("seed", range(3))
def test_a_shot_gathers_from_its_own_group_where_distance_alone_would_bring_the_other(form, seed):
    vectors, group = alternating(seed=seed)
    found = {}
    for has_content in (True, False):
        model = begun(vectors, **FORMS[form])
        if not has_content:
            with torch.no_grad():
                model.blocks[0].attention.query.weight.zero_()
                model.blocks[0].attention.key.weight.zero_()
        before, after = (item.detach() for item in model.shot_layers(title(vectors))[:2])
        means = torch.stack([before[group == item, :OWN].mean(0) for item in (0, 1)])
        distance = torch.cdist(after[:, OWN:], means)
        rank = torch.arange(len(group))
        found[has_content] = distance[rank, group] < distance[rank, 1 - group]
    assert found[True].all()
    assert not found[False][1:-1].any()


def test_what_is_gathered_is_a_mean_of_the_others_by_likeness_and_nearness():
    # From the definition: weights exp(scale * sum of cos(frequency * distance) + content * likeness) of all but itself.
    vectors = rows(300, 48, rank=4)
    model = begun(vectors)
    with torch.no_grad():
        model.presence.zero_()
    before, after = (item.detach() for item in model.shot_layers(title(vectors[:30]))[:2])
    own = before[:, :OWN]
    # Likeness is that of the fused vectors as they are; the own half has coordinates of one spread.
    centred = functional.normalize(vectors[:30] - vectors.mean(0), dim=-1)
    likeness = centred @ centred.T
    place = torch.cat((torch.zeros(2), torch.arange(30.0)))
    frequencies = 1000.0 ** -(torch.arange(8) / 8)
    nearness = ((place[:, None] - place)[..., None] * frequencies).cos().sum(-1)
    expected = torch.zeros(30, OWN)
    for scale in (from_data.SHARPEST, from_data.BROADEST):
        logits = scale * nearness
        logits[2:, 2:] += from_data.CONTENT * likeness
        weights = logits.masked_fill(torch.eye(32, dtype=torch.bool), float("-inf")).softmax(1)
        expected += weights[2:, 2:] @ own / 2
    # The norm before attention takes each token's mean away and makes all of one length.
    assert functional.cosine_similarity(after[:, OWN:], expected, dim=1).min() > 0.9
    assert functional.cosine_similarity(after[:, OWN:], expected, dim=1).mean() > 0.97


@pytest.mark.parametrize("form", FORMS)
def test_weights_come_from_the_rows_and_the_generator_alone(form):
    vectors = rows(60, 48, rank=8)
    state = torch.get_rng_state()
    one, same, turned = (begun(vectors, seed, **FORMS[form]) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.project_shot.weight, turned.project_shot.weight)
    other = begun(rows(60, 48, rank=8, seed=1), **FORMS[form])
    assert not torch.equal(one.project_shot.weight, other.project_shot.weight)
    if form in HALVES:
        # The turn is only of coordinates: what attention brings together does not depend on it, but for the norm.
        logits = [weights_of(model, title(vectors[:12])) for model in (one, turned)]
        assert torch.corrcoef(torch.stack([item.flatten() for item in logits]))[0, 1] > 0.95


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_dim": 48, "num_heads": 3},
        {"num_heads": 1},
        {"norm": "post"},
        {"positions": "learned"},
        {"has_qk_bias": False},
        {"num_blind_blocks": 2, "num_heads": 1, "has_bias": True},
    ],
)
def test_models_that_are_not_fit_for_halves_use_the_whole_width(changes):
    vectors = rows(300, 48, rank=8)
    model = begun(vectors, **changes)
    assert not gathers_apart(model.config)
    tokens = model.project_shot(vectors * 48**0.5).detach()
    assert (tokens.square().mean(0) > 0).all()
    assert torch.allclose(model.head(tokens), vectors, atol=2e-2)
    is_masked = torch.arange(20) % 5 == 0
    assert model(title(vectors[:20], is_masked, torch.ones(8))).isfinite().all()


@pytest.mark.parametrize("vectors", [rows(1, 48, rank=8).expand(20, -1).clone(), rows(1, 48, rank=8)], ids=["20", "1"])
@pytest.mark.parametrize("form", FORMS)
def test_constant_vectors_do_not_break_it(form, vectors):
    model = begun(vectors, **FORMS[form])
    assert all(torch.isfinite(item).all() for item in model.parameters())
    # Nothing to tell shots apart by: the matrices stay of a size that can be trained.
    assert model.blocks[0].attention.query.weight.abs().max() < 10
    predicted = model(title(vectors, torch.ones(len(vectors), dtype=torch.bool)))
    assert functional.cosine_similarity(predicted, vectors, dim=1).min() > 0.99

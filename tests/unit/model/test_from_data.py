from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from mediafm.model import presets
from mediafm.model.batch import pack
from mediafm.model.blocks import rotate
from mediafm.model.from_data import begin_from_data, principal_directions
from mediafm.model.layout import rotary_table
from mediafm.model.mediafm import build


def rows(num_rows, width, rank, seed=0):
    generator = torch.Generator().manual_seed(seed)
    low = torch.randn(num_rows, rank, generator=generator) @ torch.randn(rank, width, generator=generator)
    return functional.normalize(low + 0.5 * torch.randn(width, generator=generator), dim=-1)


def begun(vectors, **changes):
    config = replace(presets.tiny(vectors.shape[1], 8), hidden_dim=32, num_heads=2, **changes)
    model = build(config, 0, vectors.mean(0))
    begin_from_data(model, vectors, torch.Generator().manual_seed(0))
    return model


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


@pytest.mark.parametrize("num_rows", [12, 300])
def test_the_head_undoes_the_projection(num_rows):
    vectors = rows(num_rows, 48, rank=8)
    model = begun(vectors)
    tokens = model.project_shot(vectors * 48**0.5)
    assert torch.allclose(model.head(tokens), vectors, atol=2e-2)
    assert float(tokens.detach().square().mean().sqrt()) == pytest.approx(1.0, rel=0.05)


def test_a_masked_shot_begins_as_a_mean_of_its_neighbours():
    vectors = rows(300, 48, rank=8)
    model = begun(vectors)
    order = torch.arange(30) // 15 * 100
    is_masked = torch.zeros(30, dtype=torch.bool)
    is_masked[[5, 24]] = True
    batch = pack([(vectors[order], torch.ones(30, 3, dtype=torch.bool), None, is_masked)], 8)
    predicted = model(batch).detach()
    similarity = functional.normalize(predicted, dim=-1) @ vectors[[0, 100]].T
    assert similarity.argmax(dim=1).tolist() == [0, 1]
    assert (similarity.diagonal() > 0.9).all()


def test_attention_begins_to_fall_with_distance_at_each_heads_pace():
    model = begun(rows(300, 48, rank=8))
    attention = model.blocks[0].attention
    positions = torch.arange(100)
    table = rotary_table(positions, attention.head_dim, 1000.0)
    query, key = (
        rotate(item.bias.detach().view(1, attention.num_heads, -1).expand(100, -1, -1), table)
        for item in (attention.query, attention.key)
    )
    weights = torch.einsum("hk,thk->ht", query[0], key).div(attention.head_dim**0.5).softmax(dim=1)
    assert (weights[:, 0] > weights[:, 1]).all()
    assert (weights[:, 1] > weights[:, 5]).all()
    assert (weights[:, 5] > weights[:, 40]).all()
    assert weights[0, 0] > 2 * weights[-1, 0]


def test_constant_vectors_do_not_break_it():
    model = begun(rows(1, 48, rank=8).expand(20, -1).clone())
    assert all(torch.isfinite(item).all() for item in model.parameters())

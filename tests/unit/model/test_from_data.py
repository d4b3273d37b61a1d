from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from mediafm.model import presets
from mediafm.model.batch import pack
from mediafm.model.from_data import begin_from_data, principal_directions
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


def test_a_masked_shot_begins_as_about_the_mean_of_the_visible():
    vectors = rows(300, 48, rank=8)
    model = begun(vectors)
    scene = vectors[:1].expand(20, -1)
    is_masked = torch.arange(20) == 7
    batch = pack([(scene, torch.ones(20, 3, dtype=torch.bool), None, is_masked)], 8)
    predicted = model(batch)[0].detach()
    at_scene = functional.cosine_similarity(predicted, vectors[0], dim=0)
    at_mean = functional.cosine_similarity(vectors.mean(0), vectors[0], dim=0)
    assert float(at_scene) > float(at_mean) + 0.1


def test_constant_vectors_do_not_break_it():
    model = begun(rows(1, 48, rank=8).expand(20, -1).clone())
    assert all(torch.isfinite(item).all() for item in model.parameters())

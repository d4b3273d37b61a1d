from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from mediafm.model import presets
from mediafm.model.batch import pack
from mediafm.model.export import (
    combine_layers,
    export_windows,
    layer_vectors,
    packed_vectors,
    triangular_weights,
)
from mediafm.model.mediafm import build

E, M = 24, 8
CONFIG = replace(presets.tiny(E, M), max_shots=8, has_zero_init=False)


def shots(num_shots, seed=0):
    generator = torch.Generator().manual_seed(seed)
    fused = functional.normalize(torch.randn(num_shots, E, generator=generator), dim=-1)
    return fused, torch.ones(num_shots, 3, dtype=torch.bool), torch.randn(M, generator=generator)


@given(st.integers(1, 3000), st.integers(2, 512))
def test_windows_reach_every_shot_overlap_by_half_and_end_with_the_title(num_shots, longest):
    windows = export_windows(num_shots, longest)
    assert windows[0][0] == 0
    assert windows[-1][1] == num_shots
    assert {shot for start, end in windows for shot in range(start, end)} == set(range(num_shots))
    if num_shots > longest:
        assert all(end - start == longest for start, end in windows)
        starts = [start for start, _ in windows]
        assert all(0 < b - a <= longest // 2 for a, b in pairwise(starts))


def test_windows_by_hand():
    assert export_windows(512, 512) == [(0, 512)]
    assert export_windows(513, 512) == [(0, 512), (1, 513)]
    assert export_windows(1024, 512) == [(0, 512), (256, 768), (512, 1024)]


def test_triangular_weights_by_hand():
    assert triangular_weights(5).tolist() == [1, 2, 3, 2, 1]
    assert triangular_weights(4).tolist() == [1, 2, 2, 1]


def test_up_to_the_window_it_is_one_pass_exactly():
    model = build(CONFIG, 0)
    fused, present, metadata = shots(8)
    found = layer_vectors(model, fused, present, metadata)
    with torch.no_grad():
        once = [
            functional.normalize(layer, dim=-1)
            for layer in model.shot_layers(pack([(fused, present, metadata, None)], M))
        ]
    assert all(torch.equal(one, other) for one, other in zip(found, once, strict=True))


@pytest.mark.parametrize("num_shots", [9, 12, 16, 31])
def test_a_longer_title_gives_one_unit_vector_a_shot(num_shots):
    model = build(CONFIG, 0)
    layers = layer_vectors(model, *shots(num_shots))
    assert len(layers) == CONFIG.num_layers + 1
    for layer in layers:
        assert layer.shape == (num_shots, CONFIG.hidden_dim)
        assert torch.allclose(layer.norm(dim=-1), torch.ones(num_shots), atol=1e-5)


def test_joined_windows_by_hand():
    model = build(CONFIG, 0)
    fused, present, metadata = shots(10)
    first, last = (layer_vectors(model, fused[s], present[s], metadata)[-1] for s in (slice(0, 8), slice(2, 10)))
    found = layer_vectors(model, fused, present, metadata)[-1]
    assert torch.allclose(found[:2], first[:2], atol=1e-6)
    assert torch.allclose(found[8:], last[6:], atol=1e-6)
    # Shot 4 is place 4 of the first window (weight 4) and place 2 of the last (weight 3).
    assert torch.allclose(found[4], functional.normalize(4 * first[4] + 3 * last[2], dim=0), atol=1e-6)


def test_combined_layers_are_the_normalised_mean():
    layers = [
        functional.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(i)), dim=-1) for i in (0, 1, 2)
    ]
    assert torch.allclose(combine_layers(layers, (1,)), layers[1], atol=1e-6)
    both = combine_layers(layers, (1, 2))
    assert torch.allclose(both, functional.normalize(layers[1] + layers[2], dim=-1), atol=1e-6)


@pytest.mark.parametrize("max_shots_per_pass", [1, 7, 1000])
def test_what_is_packed_together_does_not_matter(max_shots_per_pass):
    model = build(CONFIG, 0)
    titles = [shots(count, seed) for seed, count in enumerate([5, 1, 8, 20, 3, 5, 9])]
    titles[4] = (*titles[4][:2], None)
    found = packed_vectors(model, titles, (1, 2), max_shots_per_pass)
    alone = [combine_layers(layer_vectors(model, *title), (1, 2)) for title in titles]
    assert [tuple(one.shape) for one in found] == [(len(fused), CONFIG.hidden_dim) for fused, _, _ in titles]
    for one, other in zip(found, alone, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=0)
    assert packed_vectors(model, [], (1, 2)) == []


@pytest.mark.parametrize(("max_shots_per_pass", "num_passes"), [(1000, 1), (10, 4), (1, 8)])
def test_a_pass_holds_as_many_shots_as_it_may(max_shots_per_pass, num_passes):
    model, passes = build(CONFIG, 0), []
    shot_layers = model.shot_layers
    model.shot_layers = lambda batch: (passes.append(batch.num_shots), shot_layers(batch))[1]
    packed_vectors(model, [shots(4, seed) for seed in range(8)], (1,), max_shots_per_pass)
    assert len(passes) == num_passes
    assert sum(map(sum, passes)) == 32
    assert all(sum(one) <= max_shots_per_pass or len(one) == 1 for one in passes)

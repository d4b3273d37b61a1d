from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm.data.split import Split
from mediafm.errors import MediaFMError
from mediafm.model.batch import pack
from mediafm.model.export import combine_layers, layer_vectors
from mediafm.model.mediafm import build
from mediafm.train.evaluation import items_of, unit_rows
from mediafm.train.layer_sources import Baselines, ModelSource, View, item_view, neighbour_means, title_view
from mediafm.train.layers import neighbour_pairs

masks = st.lists(st.booleans(), min_size=1, max_size=40).map(np.array)


@pytest.fixture(scope="module")
def model(config):
    model = build(config.model, 3)
    with torch.no_grad():
        # Blocks begin as identities; here each must say something of its neighbours.
        for block in model.blocks:
            block.attention.output.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    return model.eval()


@pytest.fixture(scope="module")
def sources(model):
    named = {"block 0": (0,), "block 2": (2,), "blocks 1-2": (1, 2)}
    joined = ModelSource(model, {"joined": (2,)}, kind="joined", is_joined=True)
    return [Baselines(), ModelSource(model, named, has_head=True), joined]


def rows_of(source, views):
    """[line][view]: what stands at visible shots."""
    found = source.vectors(views)
    return [[found[v][line].rows()[~views[v].is_hidden] for v in range(len(views))] for line in range(len(found[0]))]


def test_lines_and_vectors_agree_in_number_and_are_unit(sources, corpus, manifest):
    view = title_view(corpus, manifest.titles[0].title.title_id)
    for source in sources:
        (found,) = source.vectors([view])
        assert len(found) == len(source.lines)
        for vectors in found:
            assert np.allclose(np.linalg.norm(vectors.rows(), axis=1), 1.0, atol=1e-5)
    assert sources[1].lines[0].export_layers == (0,)
    assert [line.kind for line in sources[1].lines] == ["block", "block", "mean", "head"]
    assert sources[2].lines[0].export_layers == ()


def test_a_hidden_shot_reaches_nobody_elses_vector(sources, corpus, manifest):
    items = items_of(manifest, Split.VALIDATION, "random")[:3]
    views = [item_view(corpus, item) for item in items]
    rng = np.random.default_rng(0)
    changed = []
    for view in views:
        fused, present = view.fused.copy(), view.is_present.copy()
        fused[view.is_hidden] = unit_rows(rng.normal(size=(view.is_hidden.sum(), fused.shape[1])))
        present[view.is_hidden] = ~present[view.is_hidden]
        changed.append(View(fused, present, view.metadata, view.is_hidden))
    for source in sources:
        for line, before, after in zip(source.lines, rows_of(source, views), rows_of(source, changed), strict=True):
            for one, other in zip(before, after, strict=True):
                assert np.array_equal(one, other), line.name


def test_a_visible_shot_reaches_its_neighbours(sources, corpus, manifest):
    view = title_view(corpus, manifest.titles[0].title.title_id)
    fused = view.fused.copy()
    fused[5] = -fused[5]
    changed = View(fused, view.is_present, view.metadata, view.is_hidden)
    moved = {}
    for source in sources:
        for line, one, other in zip(source.lines, *source.vectors([view, changed]), strict=True):
            moved[line.name] = not np.allclose(one.rows()[4], other.rows()[4], atol=1e-6)
    assert not moved["fused"]
    assert not moved["block 0"]
    assert all(moved[name] for name in ("fused ++ mean of +-1 shots", "fused - title mean", "block 2", "joined"))


def test_titles_are_read_as_they_are_exported(model, corpus, manifest):
    view = title_view(corpus, manifest.titles[0].title.title_id)
    fused, present, metadata, _ = view.tensors()
    layers = layer_vectors(model, fused, present, metadata)
    ((found,),) = ModelSource(model, {"blocks 1-2": (1, 2)}).vectors([view])
    assert np.allclose(found.rows(), combine_layers(layers, (1, 2)).numpy(), atol=1e-5)


def test_a_title_longer_than_the_window_is_read_as_it_is_exported_and_never_with_shots_hidden(config, corpus, manifest):
    short = build(replace(config.model, max_shots=6), 3).eval()
    source = ModelSource(short, {"block 2": (2,)})
    view = title_view(corpus, manifest.titles[0].title.title_id)
    brief = View(view.fused[:6], view.is_present[:6], view.metadata, view.is_hidden[:6])
    (long,), (cut,) = source.vectors([view, brief])
    assert np.allclose(long.rows(), layer_vectors(short, *view.tensors()[:3])[2].numpy(), atol=1e-5)
    assert len(cut.rows()) == 6
    hidden = View(view.fused, view.is_present, view.metadata, ~view.is_hidden)
    with pytest.raises(MediaFMError, match="some hidden"):
        source.vectors([hidden])


def test_the_head_reads_what_the_model_would_say(model, corpus, manifest):
    (item, *_) = items_of(manifest, Split.VALIDATION, "random")
    view = item_view(corpus, item)
    with torch.no_grad():
        predicted = model(pack([view.tensors()], model.config.metadata_dim)).numpy()
    ((head,),) = ModelSource(model, {}, has_head=True).vectors([view])
    assert np.allclose(head.rows()[view.is_hidden], unit_rows(predicted), atol=1e-4)


@given(masks, st.integers(1, 5))
def test_neighbour_means_by_hand(is_visible, reach):
    rows = np.random.default_rng(len(is_visible)).normal(size=(len(is_visible), 3)).astype(np.float32)
    found = neighbour_means(rows, is_visible, reach)
    for place in range(len(rows)):
        near = [i for i in range(len(rows)) if 0 < abs(i - place) <= reach and is_visible[i]]
        total = rows[near].sum(axis=0, keepdims=True) if near else np.zeros((1, 3), np.float32)
        assert np.allclose(found[place], unit_rows(total)[0], atol=1e-4)


@given(masks)
def test_pairs_are_all_visible_shots_beside_hidden_ones(is_hidden):
    visible, hidden = neighbour_pairs(is_hidden)
    expected = {
        (v, h)
        for v in range(len(is_hidden))
        for h in (v - 1, v + 1)
        if 0 <= h < len(is_hidden) and is_hidden[h] and not is_hidden[v]
    }
    pairs = list(zip(visible.tolist(), hidden.tolist(), strict=True))
    assert set(pairs) == expected
    assert len(pairs) == len(expected)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.model.mediafm import build
from mediafm.train.evaluation import unit_rows
from mediafm.train.layer_measures import chance_shares, effective_rank, neighbour_hits, neighbourhood_of
from mediafm.train.layer_rows import LayerRow, LayerTable, candidates
from mediafm.train.layers import choose_layers
from mediafm.train.report import is_uncollapsed


def test_candidates_name_every_block_and_some_means():
    assert candidates(1) == {"block 0": (0,), "block 1": (1,)}
    assert candidates(2) == {"block 0": (0,), "block 1": (1,), "block 2": (2,), "blocks 1-2": (1, 2)}
    assert list(candidates(12)) == [f"block {i}" for i in range(13)] + ["blocks 1-2", "blocks 1-6", "blocks 1-12"]


def test_scenes_are_found_and_adjacent_shots_do_not_count():
    scenes = np.repeat(np.eye(10, dtype=np.float32), 8, axis=0)
    assert neighbour_hits(scenes).tolist() == [1.0] * 80
    # Only adjacent shots are alike: what is left to find lies anywhere.
    pairs = np.repeat(np.eye(40, dtype=np.float32), 2, axis=0)
    assert np.allclose(neighbour_hits(pairs), chance_shares(80), atol=0.02)


def test_vectors_that_are_all_alike_reach_chance():
    assert np.allclose(neighbour_hits(np.ones((50, 2), np.float32) / 2**0.5), chance_shares(50))


@given(st.integers(8, 300))
def test_chance_is_what_random_vectors_reach(num_shots):
    assert 0 < chance_shares(num_shots).mean() <= 1
    assert 2 <= neighbourhood_of(num_shots) <= 10


def test_random_vectors_are_at_chance():
    rng = np.random.default_rng(0)
    hits = [neighbour_hits(unit_rows(rng.normal(size=(100, 8)))).mean() for _ in range(60)]
    assert np.mean(hits) == pytest.approx(chance_shares(100).mean(), abs=0.02)


def test_effective_rank_by_hand():
    basis = np.concatenate([np.eye(4), -np.eye(4)]).astype(np.float32)
    assert effective_rank(basis) == pytest.approx(4.0)
    line = np.outer(np.linspace(-1, 1, 9), [1.0, 2.0]).astype(np.float32)
    assert effective_rank(line) == pytest.approx(1.0)
    assert effective_rank(np.ones((5, 3), np.float32)) == pytest.approx(1.0)


def test_the_choice_is_the_best_block_with_context(manifest, corpus, config):
    table = choose_layers(build(config.model, 0), manifest, corpus)
    shares = {row.export_layers: row.neighbour_share for row in table.rows if row.export_layers}
    assert table.chosen_by == "neighbour_share"
    assert table.export_layers != (0,)
    assert shares[table.export_layers] == max(share for layers, share in shares.items() if layers != (0,))
    assert {"fused", "fused - title mean", "block 0"} <= {row.name for row in table.rows}
    assert table.num_titles > 0
    assert 0 < table.chance < 1


def table_of(rank, spread):
    rows = (
        LayerRow(name="fused", export_layers=(), neighbour_share=0.5, effective_rank=20.0, spread=0.6),
        LayerRow(name="block 1", export_layers=(1,), neighbour_share=0.5, effective_rank=rank, spread=spread),
    )
    return LayerTable(
        rows=rows, chance=0.1, export_layers=(1,), chosen_by="neighbour_share", num_shots=10, num_titles=1
    )


@pytest.mark.parametrize(("rank", "spread", "is_fine"), [(18, 0.5, True), (1.2, 0.5, False), (18, 1e-6, False)])
def test_collapse_is_seen_in_rank_and_in_spread(rank, spread, is_fine):
    assert is_uncollapsed(table_of(rank, spread)) is is_fine

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm.config import TrainingSettings
from mediafm.data.corpus import open_corpus
from mediafm.data.manifest import build_manifest
from mediafm.data.sequences import TitleSequence
from mediafm.data.split import Split
from mediafm.data.synthetic import SyntheticSettings, draw_catalog
from mediafm.errors import ConfigError
from mediafm.model.mediafm import build
from mediafm.train.evaluation import FUSED_VIEW, unit_rows
from mediafm.train.layer_measures import chance_shares, effective_rank, neighbour_hits, neighbourhood_of
from mediafm.train.layer_meters import TableData
from mediafm.train.layer_rows import (
    CRITERIA,
    MIN_BALANCED_SKILL,
    LayerRow,
    LayerTable,
    best_of,
    candidates,
    choosable,
)
from mediafm.train.layer_sources import REACHES, Baselines, Line, ModelSource, Vectors, View
from mediafm.train.layers import choose_layers, measure
from mediafm.train.report import is_uncollapsed
from mediafm.train.skill import corpus_means
from mediafm.train.trainer import Trainer
from mediafm.train.untrained import untrained_models


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


@dataclass(frozen=True)
class Written:
    """A source whose single line is a function of a view."""

    write: Callable[[View], np.ndarray]

    @property
    def lines(self):
        return [Line(name="written", kind="baseline")]

    def vectors(self, views):
        return [[Vectors(own=(self.write(view).astype(np.float32),))] for view in views]


def measured(write, data):
    (meter,) = measure([Written(write)], data)
    return meter.row()


@pytest.fixture(scope="module")
def data(manifest, corpus):
    return TableData.of(manifest, corpus)


def test_what_copies_its_shot_keeps_all_of_it(data, corpus):
    turn = np.random.default_rng(0).normal(size=(corpus.fused_dim, corpus.fused_dim))
    copied, turned = (measured(write, data) for write in (lambda view: view.visible, lambda view: view.visible @ turn))
    assert copied.own_skill == pytest.approx(1.0, abs=0.01)
    # A read-out does not mind how what is kept is written down; the other measures do.
    assert turned.own_skill == pytest.approx(1.0, abs=0.02)
    assert turned.hidden_neighbour_skill == pytest.approx(copied.hidden_neighbour_skill, abs=0.05)


def test_what_says_nothing_has_no_skill(data):
    rng = np.random.default_rng(0)
    for write in (lambda view: np.ones((len(view.fused), 4)), lambda view: rng.normal(size=(len(view.fused), 4))):
        row = measured(write, data)
        assert row.own_skill < 0.02
        assert row.hidden_neighbour_skill < 0.02


def test_what_knows_the_hidden_neighbours_has_skill_one(data):
    def write(view):
        # A cheat, to see the scale: both neighbours as they are, hidden or not.
        first, last = np.roll(view.fused, 1, axis=0), np.roll(view.fused, -1, axis=0)
        is_hidden = np.roll(view.is_hidden, 1)[:, None]
        return np.where(is_hidden, first, last)

    assert measured(write, data).hidden_neighbour_skill > 0.7


def test_penalties_are_fitted_on_training_titles_alone(data, corpus, manifest):
    training = {planned.title.title_id for planned, _ in manifest.parts(Split.TRAIN)}
    assert {planned.title.title_id for planned, _ in data.fit_titles} <= training
    assert {item.window.title_id for item in data.fit_items} <= training
    assert not training & {planned.title.title_id for planned, _ in data.scored_titles}


def dealt(catalog, order):
    """The catalogue with all its shots in another order, over titles' ends."""
    whole = np.concatenate([catalog.sequences[title.title_id].fused for title in catalog.titles])[order]
    present = np.concatenate([catalog.sequences[title.title_id].is_present for title in catalog.titles])[order]
    found, start = {}, 0
    for title in catalog.titles:
        part = slice(start, start + title.num_shots)
        found[title.title_id] = TitleSequence(title.title_id, whole[part], present[part], None)
        start += title.num_shots
    return lambda title: found[title.title_id]


def smoothing_gain(catalog, load, folder):
    manifest = build_manifest(catalog.titles, catalog.space.as_json(), TrainingSettings())
    data = TableData.of(manifest, open_corpus(manifest, load, folder))
    rows = {meter.line.name: meter.row() for meter in measure([Baselines()], data)}
    alone = rows["fused"].hidden_neighbour_skill
    return max(row.hidden_neighbour_skill - alone for name, row in rows.items() if "mean of +-" in name)


def test_smoothing_gains_where_runs_are_long_and_nowhere_among_shuffled_shots(tmp_path):
    settings = SyntheticSettings(num_titles=40, width=8, mean_run_shots=8.0, noise=1.5, style=0.0, num_scenes=40)
    catalog = draw_catalog(settings)
    num_shots = sum(title.num_shots for title in catalog.titles)
    order = np.random.default_rng(0).permutation(num_shots)
    assert smoothing_gain(catalog, dealt(catalog, np.arange(num_shots)), tmp_path / "runs") > 0.02
    assert smoothing_gain(catalog, dealt(catalog, order), tmp_path / "shuffled") < 0.01


def test_the_untrained_are_the_run_before_its_first_step(manifest, corpus, config):
    bias = corpus_means(manifest, corpus)[FUSED_VIEW]
    config = replace(config, first_weights="data")
    found = untrained_models(config, manifest, corpus)
    assert list(found) == ["random", "data"]
    for made, model in found.items():
        trainer = Trainer(manifest, corpus, replace(config, first_weights=made), bias, "cpu")
        assert all(torch.equal(model.state_dict()[name], value) for name, value in trainer.model.state_dict().items())
    assert list(untrained_models(replace(config, first_weights="random"), manifest, corpus)) == ["random"]


@pytest.fixture(scope="module")
def model(config):
    """Blocks begin as identities; here each says something, and each something else."""
    model = build(config.model, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for block in model.blocks:
            block.attention.output.weight.normal_(0, 0.3, generator=generator)
            block.feedforward.output.weight.normal_(0, 0.1, generator=generator)
    return model


@pytest.fixture(scope="module")
def table(model, manifest, corpus, config):
    return choose_layers(model, manifest, corpus, {"random": build(config.model, 0)})


def test_the_table_has_every_line_and_every_line_every_measure(table, config, manifest):
    by_kind = Counter(row.kind for row in table.rows)
    assert by_kind == {"baseline": 3, "block": 3, "mean": 1, "head": 1, "joined": 1, "untrained": 1}
    assert [row.name for row in table.rows[:2]] == ["fused", "fused - title mean"]
    assert table.rows[2].name in {f"fused ++ mean of +-{k} shots" for k in REACHES}
    for row in table.rows:
        assert None not in (row.own_skill, row.hidden_neighbour_skill)
    assert table.baseline("fused").own_skill == pytest.approx(1.0, abs=0.01)
    assert table.num_fit_shots == manifest.num_shots(Split.TRAIN)
    assert 0 < table.num_pairs < 2 * manifest.num_shots(Split.VALIDATION)
    assert table.num_titles > 0
    assert 0 < table.chance < 1
    json.dumps(table.as_json(), allow_nan=False)


def test_equal_weights_give_equal_bytes(table, model, manifest, corpus, config):
    again = choose_layers(model, manifest, corpus, {"random": build(config.model, 0)})
    assert json.dumps(again.as_json()) == json.dumps(table.as_json())


def test_the_untrained_line_is_that_of_a_model_built_at_that_seed(table, manifest, corpus, config):
    data = TableData.of(manifest, corpus)
    (meter,) = measure([ModelSource(build(config.model, 0).eval(), {"same": table.export_layers})], data)
    untrained = next(row for row in table.rows if row.kind == "untrained")
    assert untrained.name.startswith("untrained (random), block")
    expected = replace(meter.row(), name=untrained.name, kind="untrained", export_layers=())
    assert untrained == expected


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_choice_is_the_best_block_with_context(table, model, manifest, corpus, criterion):
    chosen = choose_layers(model, manifest, corpus, criterion=criterion)
    assert chosen.chosen_by == criterion
    worths = {row.export_layers: CRITERIA[criterion](row) for row in table.rows if row.export_layers not in ((), (0,))}
    assert worths[chosen.export_layers] == max(worths.values())
    assert next(row for row in chosen.rows if row.kind == "joined").name.startswith("fused ++ block")


def line(name, layers, share=0.5, own=0.5, hidden=0.5):
    return LayerRow(
        name=name,
        export_layers=layers,
        neighbour_share=share,
        effective_rank=9.0,
        spread=0.5,
        own_skill=own,
        hidden_neighbour_skill=hidden,
    )


def test_ties_go_to_the_shallower_and_block_0_is_never_chosen():
    rows = [line("block 2", (2,)), line("blocks 1-2", (1, 2)), line("block 1", (1,)), line("block 0", (0,), 0.9)]
    assert best_of(choosable(rows), "neighbour_share").name == "block 1"
    rows[0] = line("block 2", (2,), share=0.5 + 1e-9)
    assert best_of(choosable(rows), "neighbour_share").name == "block 1"
    rows[0] = line("block 2", (2,), share=0.6)
    assert best_of(choosable(rows), "neighbour_share").name == "block 2"


def test_criteria_by_hand():
    rows = [line("smooth", (1,), 0.9, 0.2, 0.4), line("copy", (2,), 0.3, 1.0, 0.3), line("lost", (3,), 0.4, -0.5, 0.5)]
    assert [best_of(rows, name).name for name in ("neighbour_share", "hidden_neighbour", "balanced")] == [
        "smooth",
        "lost",
        "copy",
    ]
    assert CRITERIA["balanced"](rows[0]) == pytest.approx(0.08**0.5)
    assert CRITERIA["balanced"](rows[2]) == pytest.approx((MIN_BALANCED_SKILL * 0.5) ** 0.5)
    assert best_of([line("short", (1,), hidden=None)], "balanced") is None
    with pytest.raises(ConfigError, match="neighbour_share, hidden_neighbour, balanced"):
        best_of(rows, "loudest")


def test_without_a_title_that_is_long_enough_the_first_block_is_taken(catalog, tmp_path, model):
    short = draw_catalog(SyntheticSettings(num_titles=10, min_shots=5, max_shots=7, width=8))
    manifest = build_manifest(short.titles, short.space.as_json(), TrainingSettings())
    found = choose_layers(model, manifest, open_corpus(manifest, short.load, tmp_path))
    assert (found.rows, found.export_layers, found.chosen_by) == ((), (1,), "default")


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

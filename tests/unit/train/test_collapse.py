"""Vectors that no longer tell shots apart stop a run; those that still do, do not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm.errors import TrainingError
from mediafm.model.export import combine_layers
from mediafm.objective.config import resolve as resolve_objective
from mediafm.objective.objective import Objective
from mediafm.train import trainer as trainer_module
from mediafm.train.collapse import MIN_TITLE_SHOTS, CollapseLimits, CollapseSigns, CollapseWatch
from mediafm.train.layer_measures import effective_rank, spread
from mediafm.train.loop import train
from mediafm.train.run_state import RunFolder


class Gathering(Objective):
    """Wants every shot's exported vector in one place: what collapse is, asked for."""

    def terms(self, model, batch, counts):
        units = [torch.nn.functional.normalize(x, dim=-1) for x in model.shot_layers(batch.shots)[1:]]
        place = torch.ones(units[0].shape[1]) / units[0].shape[1] ** 0.5
        return {"gathering": (1.0, sum((x - place).square().sum() for x in units) / counts.num_shots)}


class Flattening(Objective):
    """Wants exported vectors on one line: spread, and of rank one."""

    def terms(self, model, batch, counts):
        x = torch.nn.functional.normalize(model.shot_layers(batch.shots)[-1], dim=-1)
        return {"flattening": (1.0, x[:, 1:].square().sum() / counts.num_shots)}


def run_with(objective, monkeypatch, manifest, corpus, config, folder=None):
    monkeypatch.setattr(trainer_module, "create", lambda *parts: objective())
    optim = replace(config.optim, muon_lr=0.02, adamw_lr=0.02)
    # A loss near nothing jumps at such rates: an explosion is not what is looked for here.
    begun = replace(config, optim=optim, first_weights="random")  # A held first block cannot shrink.
    hot = replace(begun, explosion_factor=1e9, max_steps=800, patience_evaluations=100)
    return train(manifest, corpus, replace(hot, evaluate_every_steps=20, save_every_steps=10), folder=folder)


def test_a_run_whose_vectors_shrink_to_a_point_is_stopped(manifest, corpus, config, monkeypatch, tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(
        TrainingError, match=r"exported vectors' (spread|effective rank) is .*a collapsed run"
    ) as caught:
        run_with(Gathering, monkeypatch, manifest, corpus, config, folder)
    assert caught.value.where.startswith("step ")
    assert caught.value.where.endswith("objective msm")
    assert "spread_weight" in caught.value.remedy
    assert f"The last good state is {folder.last()}" in caught.value.remedy


def test_a_run_whose_vectors_lose_their_rank_is_stopped(manifest, corpus, config, monkeypatch):
    monkeypatch.setattr(CollapseLimits, "__init__", lambda self: None)
    monkeypatch.setattr(CollapseLimits, "min_rank_share", 0.9, raising=False)
    with pytest.raises(TrainingError, match=r"effective rank is 0\.\d+ of the fused vectors', below 0\.9"):
        run_with(Flattening, monkeypatch, manifest, corpus, config)


def test_a_teacher_that_no_longer_varies_stops_the_run(manifest, corpus, config):
    settings = {"contextual": {"min_teacher_std": 100.0}}
    changed = replace(config, objective=resolve_objective("contextual", settings))
    with pytest.raises(TrainingError, match=r"step 4, objective contextual: the teacher's outputs vary by") as caught:
        train(manifest, corpus, changed)
    assert "min_teacher_std = 100.0: it has collapsed" in caught.value.seen
    assert "No state was saved" in caught.value.remedy
    assert "spread_weight" not in caught.value.remedy


def test_a_sound_run_is_watched_and_not_stopped(result, corpus, manifest):
    shares = [point.rank_share for point in result.curves]
    assert min(shares) > 0.3
    signs = CollapseWatch(manifest, corpus).look(result.checkpoint.load_model())
    assert signs.rank_share == pytest.approx(min(result.curves, key=lambda p: p.validation_loss).rank_share, rel=1e-4)
    assert CollapseLimits().complaint(signs) == ""


def test_both_signs_are_needed():
    """Noise about a point has the rank of noise; a line is spread."""
    rng = np.random.default_rng(0)
    point = (np.ones((40, 32)) / 32**0.5 + 1e-5 * rng.normal(size=(40, 32))).astype(np.float32)
    assert effective_rank(point) > 20
    assert spread(point) < CollapseLimits().min_spread
    line = np.outer(rng.normal(size=40), np.ones(32)).astype(np.float32)
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    assert effective_rank(line) < 1.1
    assert spread(line) > 0.5
    limits = CollapseLimits()
    assert "spread is 1e-05, below 0.001" in limits.complaint(CollapseSigns(rank_share=1.2, spread=1e-5))
    assert "effective rank is 0.050" in limits.complaint(CollapseSigns(rank_share=0.05, spread=0.5))
    assert limits.complaint(CollapseSigns(rank_share=0.1, spread=1e-3)) == ""


def test_without_a_title_long_enough_there_is_no_sign(manifest, corpus, result):
    watch = CollapseWatch(manifest, corpus)
    assert all(title.num_shots >= MIN_TITLE_SHOTS for title in watch._titles)
    watch._titles = []
    assert watch.look(result.checkpoint.load_model()) is None


def test_the_mean_of_all_blocks_is_looked_at(manifest, corpus, result):
    model = result.checkpoint.load_model()
    watch = CollapseWatch(manifest, corpus)
    before = watch.look(model)
    with torch.no_grad():
        for parameter in model.blocks[-1].parameters():
            parameter.mul_(30.0)
    assert watch.look(model) != before
    assert combine_layers([torch.eye(3)] * 3, range(1, 3)).shape == (3, 3)

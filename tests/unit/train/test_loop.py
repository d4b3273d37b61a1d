import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm.config import TrainingSettings
from mediafm.data.manifest import build_manifest
from mediafm.data.split import Split
from mediafm.errors import TrainingError
from mediafm.objective.msm import msm_loss
from mediafm.train.batches import collate
from mediafm.train.evaluation import FUSED_VIEW
from mediafm.train.loop import train
from mediafm.train.skill import corpus_means
from mediafm.train.trainer import Trainer


def test_a_run_learns_and_says_how(config, manifest, corpus):
    # From random weights: what the data gives to begin with is hard to better in a few steps.
    result = train(manifest, corpus, replace(config, first_weights="random"))
    assert result.curves[-1].validation_loss < result.curves[0].validation_loss
    assert result.curves[-1].train_loss < result.curves[0].train_loss
    report = result.report
    assert report["run"]["stop_reason"] == "max_steps"
    assert report["run"]["num_steps"] <= config.max_steps
    assert report["run"]["best_validation_loss"] == min(point.validation_loss for point in result.curves)
    assert report["manifest_sha256"] == manifest.sha256 == result.checkpoint.manifest_sha256
    assert report["environment"]["num_threads"] == 1
    assert report["data"]["train"]["shots"] == manifest.num_shots(Split.TRAIN)
    assert report["is_uncollapsed"] is True
    assert {"random", "span", "retrieval"} <= set(report["skill"])
    assert json.loads(json.dumps(report, allow_nan=False)) == json.loads(json.dumps(result.checkpoint.report))


def test_the_exported_weights_are_those_of_the_best_state(result, manifest, corpus, config):
    trainer = Trainer(manifest, corpus, config, corpus_means(manifest, corpus)[FUSED_VIEW], "cpu")
    trainer.model.load_state_dict(result.checkpoint.load_model().state_dict())
    from mediafm.train.skill import SkillMeter, fit_predictors

    meter = SkillMeter(manifest, corpus, fit_predictors(manifest, corpus, "random"), Split.VALIDATION, "random")
    loss = meter.losses(trainer.predict(meter.items))[FUSED_VIEW].mean
    assert loss == pytest.approx(result.report["run"]["best_validation_loss"], abs=1e-6)


def test_the_same_seed_gives_the_same_bytes_and_global_generators_are_left_alone(result, manifest, corpus, config):
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    again = train(manifest, corpus, config)
    assert again.checkpoint.sha256 == result.checkpoint.sha256
    assert again.report == result.report
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    other = train(manifest, corpus, replace(config, seed=1, max_steps=4))
    assert other.checkpoint.sha256 != result.checkpoint.sha256


def test_progress_and_points_are_told_in_order(manifest, corpus, config):
    steps, points = [], []
    result = train(
        manifest,
        corpus,
        replace(config, max_steps=12),
        progress=lambda step, most: steps.append((step, most)),
        on_metrics=points.append,
    )
    assert [step for step, _ in steps] == list(range(1, len(steps) + 1))
    assert {most for _, most in steps} == {12}
    assert tuple(points) == result.curves
    numbers = [point.num_steps for point in points]
    assert numbers == sorted(set(numbers))
    assert {point.phase for point in points} == {"stable", "decay"}


def test_patience_ends_the_stable_phase(manifest, corpus, config):
    # Nothing improves by 10, so the first point is the best and two more end it.
    run = train(manifest, corpus, replace(config, min_improvement=10.0, patience_evaluations=2, max_steps=500))
    assert run.report["run"]["stop_reason"] == "patience"
    assert [point.step for point in run.curves if point.phase == "stable"] == [4, 8, 12]
    assert run.report["run"]["best_step"] == 4


def test_the_clock_ends_a_run(manifest, corpus, config):
    run = train(manifest, corpus, replace(config, max_seconds=0.01, max_steps=10**6))
    assert run.report["run"]["stop_reason"] == "max_seconds"
    assert run.report["run"]["num_steps"] >= 1


def test_micro_steps_do_not_move_the_gradient(manifest, corpus, config):
    mean = corpus_means(manifest, corpus)[FUSED_VIEW]
    gradients = []
    for size in (10**6, 25):
        trainer = Trainer(manifest, corpus, replace(config, shots_per_micro_step=size), mean, "cpu")
        kept = {}
        trainer.optimizers.step = lambda model=trainer.model, kept=kept: kept.update(
            {name: item.grad.clone() for name, item in model.named_parameters() if item.grad is not None}
        )
        trainer.take_step(1.0)
        gradients.append(kept)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        # float32 sums in another order.
        assert torch.allclose(gradient, gradients[1][name], rtol=1e-3, atol=1e-5), name


def test_a_restored_state_takes_the_same_steps_again(manifest, corpus, config):
    trainer = Trainer(manifest, corpus, config, corpus_means(manifest, corpus)[FUSED_VIEW], "cpu")
    trainer.take_step(1.0)
    state = trainer.state()
    first = [trainer.take_step(1.0) for _ in range(3)]
    trainer.restore(state)
    assert [trainer.take_step(1.0) for _ in range(3)] == first


def test_a_loss_that_is_not_finite_names_step_and_titles(manifest, corpus, config):
    trainer = Trainer(manifest, corpus, config, corpus_means(manifest, corpus)[FUSED_VIEW], "cpu")
    with torch.no_grad():
        trainer.model.head.bias[0] = float("nan")
    with pytest.raises(TrainingError, match=r"titles title-000.*loss nan at step 0"):
        trainer.take_step(1.0)


def test_metadata_is_dropped_and_masked_targets_are_the_truth(manifest, corpus, config):
    trainer = Trainer(manifest, corpus, config, corpus_means(manifest, corpus)[FUSED_VIEW], "cpu")
    dropped = []
    for _ in range(30):
        windows = trainer.loader.next().windows
        batch = collate(windows, corpus, config.model.metadata_dim, trainer.slices)
        target_ME = batch.true_NE[batch.target_rows()]
        dropped += [not has for has in batch.shots.has_metadata_B.tolist()]
        assert len(target_ME) == sum(int(item.is_masked.sum()) for item in windows)
        first = windows[0]
        place = first.window.start + int(np.flatnonzero(first.is_masked)[0])
        truth = corpus.title(first.window.title_id).fused[place].astype(np.float32)
        assert np.array_equal(target_ME[0].numpy(), truth)
        assert torch.isfinite(msm_loss(target_ME, target_ME, len(target_ME)))
    assert 0.1 < np.mean(dropped) < 0.5


def test_a_catalogue_without_metadata_trains(catalog, config, tmp_path):
    from mediafm.data.corpus import open_corpus
    from mediafm.train.config import resolve

    manifest = build_manifest(catalog.titles[:3], catalog.space.as_json(), TrainingSettings())
    corpus = open_corpus(manifest, lambda title: replace(catalog.load(title), metadata=None), tmp_path)
    assert manifest.is_within_title
    run = train(manifest, corpus, replace(resolve(TrainingSettings(), manifest, corpus), max_steps=6))
    assert run.report["skill"]["is_within_title"] is True
    assert run.report["data"]["is_within_title"] is True
    json.dumps(run.report, allow_nan=False)


def test_what_the_data_gave_the_first_block_is_held_and_the_rest_learns(manifest, corpus, config):
    begun = replace(config, first_weights="data")
    for is_held in (True, False):
        trainer = Trainer(
            manifest,
            corpus,
            replace(begun, is_first_block_held=is_held),
            corpus_means(manifest, corpus)[FUSED_VIEW],
            "cpu",
        )
        before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
        for _ in range(3):
            trainer.take_step(1.0)
        after = trainer.model.state_dict()
        same = {name for name in before if torch.equal(before[name], after[name])}
        first = {name for name in before if name.startswith(("project_shot.", "blocks.0.", "presence"))}
        assert same >= first if is_held else "project_shot.weight" not in same
        assert not any(name.startswith(("blocks.1.attention", "head.")) for name in same)


def test_random_first_weights_are_never_held(manifest, corpus, config):
    begun = replace(config, first_weights="random")
    trainer = Trainer(manifest, corpus, begun, corpus_means(manifest, corpus)[FUSED_VIEW], "cpu")
    assert config.is_first_block_held
    assert all(parameter.requires_grad for parameter in trainer.model.parameters())

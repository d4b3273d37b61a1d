"""A loss that is no number, or far above what it was, stops the run and says from where it may go on."""

from dataclasses import replace
from itertools import count

import pytest

from mediafm.errors import TrainingError
from mediafm.objective.config import resolve as resolve_objective
from mediafm.objective.create import create
from mediafm.train import trainer as trainer_module
from mediafm.train.loop import EXPLOSION_STEPS, train
from mediafm.train.run_state import RunFolder


class StoppedError(Exception):
    """What a kill looks like from inside."""


@pytest.fixture
def saving(config):
    return replace(config, save_every_steps=3, evaluate_every_steps=50, max_steps=40)


def faulty(factor, from_step, until_step=10**6):
    """Makes an objective whose loss is `factor` times what it should be between two steps, one micro-step each."""

    def make(*parts):
        objective, num_calls = create(*parts), count(1)
        terms = objective.terms

        def scaled(model, batch, counts):
            scale = factor if from_step < next(num_calls) <= until_step else 1.0
            return {name: (weight * scale, term) for name, (weight, term) in terms(model, batch, counts).items()}

        objective.terms = scaled
        return objective

    return make


def message_of(manifest, corpus, config, folder=None):
    with pytest.raises(TrainingError, match="training stops at") as caught:
        train(manifest, corpus, config, folder=folder)
    return caught.value


def test_a_learning_rate_that_makes_the_loss_explode_is_told_with_step_titles_and_state(
    manifest, corpus, saving, tmp_path
):
    """The error of standardised blocks is not bounded: a run gone on with ten thousand times the rate leaves it."""
    saving = replace(saving, objective=resolve_objective("msm", {"target": "standardised"}))
    folder = RunFolder(tmp_path / "run")

    def stop(num_steps, bound):
        if num_steps == 24:
            raise StoppedError("at step 24")

    with pytest.raises(StoppedError, match="at step 24"):
        train(manifest, corpus, saving, folder=folder, progress=stop)
    hot = replace(saving.optim, muon_lr=10.0, adamw_lr=5.0)
    error = message_of(manifest, corpus, replace(saving, optim=hot, save_every_steps=100), folder)
    assert error.seen.startswith("loss ")
    assert "after a median of" in error.seen
    loss, median = float(error.seen.split()[1]), float(error.seen.split()[-1])
    assert loss > 10 * median
    assert "at a loss more than 10 times the median of the last 20" in error.rule
    assert error.where.startswith("titles title-0")
    last = folder.last()
    assert last.name.startswith("000000021")
    assert f"Lower the learning rates, or look at these titles' vectors. The last good state is {last}" in error.remedy


@pytest.mark.parametrize(("factor", "is_told"), [(12.0, True), (8.0, False)])
def test_the_factor_is_that_of_the_median_of_the_last_steps(manifest, corpus, saving, monkeypatch, factor, is_told):
    monkeypatch.setattr(trainer_module, "create", faulty(factor, EXPLOSION_STEPS + 5))
    saving = replace(saving, explosion_factor=10.0)
    if is_told:
        assert f"at step {EXPLOSION_STEPS + 5}, after" in message_of(manifest, corpus, saving).seen
    else:
        assert train(manifest, corpus, saving).report["run"]["num_steps"] == 40


def test_losses_from_behind_the_best_state_are_not_usual_at_it(manifest, corpus, saving, monkeypatch):
    """Back at the best state the loss is what it was there, however low it had become."""
    # Nothing improves by 10, so the best is at step 4, and patience ends at step 28 with losses near zero.
    monkeypatch.setattr(trainer_module, "create", faulty(1e-3, 4, until_step=28))
    early = replace(saving, evaluate_every_steps=4, min_improvement=10.0, patience_evaluations=6, max_steps=100)
    run = train(manifest, corpus, early).report["run"]
    assert (run["stop_reason"], run["num_steps"], run["best_step"]) == ("patience", 29, 4)


def test_before_there_is_a_usual_loss_nothing_explodes(manifest, corpus, saving, monkeypatch):
    monkeypatch.setattr(trainer_module, "create", faulty(100.0, EXPLOSION_STEPS - 5))
    assert train(manifest, corpus, replace(saving, max_steps=EXPLOSION_STEPS)).curves


def test_a_loss_that_is_no_number_names_the_last_good_state_too(manifest, corpus, saving, monkeypatch, tmp_path):
    monkeypatch.setattr(trainer_module, "create", faulty(float("nan"), 7))
    folder = RunFolder(tmp_path / "run")
    error = message_of(manifest, corpus, saving, folder)
    assert "loss nan at step 7" in error.seen
    assert error.where.startswith("titles title-0")
    assert f"The last good state is {folder.last()}" in error.remedy
    assert folder.last().name.startswith("000000006")
    # And from there a mended run goes on.
    monkeypatch.undo()
    assert train(manifest, corpus, saving, folder=folder).resumed_at_step == 6


def test_without_a_saved_state_that_is_said(manifest, corpus, saving, monkeypatch, tmp_path):
    monkeypatch.setattr(trainer_module, "create", faulty(float("nan"), 1))
    assert "No state was saved before it." in message_of(manifest, corpus, saving).remedy
    assert "No state was saved before it." in message_of(manifest, corpus, saving, RunFolder(tmp_path / "run")).remedy

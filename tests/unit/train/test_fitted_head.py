from dataclasses import replace

import pytest
import torch

from mediafm.data.split import Split
from mediafm.objective import config as objectives
from mediafm.train.evaluation import FUSED_VIEW
from mediafm.train.fitted_head import FittedHead
from mediafm.train.loop import train
from mediafm.train.readout import readout_skill
from mediafm.train.skill import SkillMeter, corpus_means, fit_predictors
from mediafm.train.trainer import Trainer


@pytest.fixture
def trainer(manifest, corpus, config):
    changed = replace(config, objective=objectives.resolve("contextual"), max_steps=12)
    return Trainer(manifest, corpus, changed, corpus_means(manifest, corpus)[FUSED_VIEW], "cpu")


def loss_of(trainer, manifest, corpus):
    meter = SkillMeter(manifest, corpus, fit_predictors(manifest, corpus, "random"), Split.VALIDATION, "random")
    return meter.losses(trainer.predict(meter.items))[FUSED_VIEW].mean


def test_a_fitted_head_predicts_better_and_nothing_else_moves(trainer, manifest, corpus):
    for _ in range(12):
        trainer.take_step(1.0)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    unfitted = loss_of(trainer, manifest, corpus)
    trainer.fit_head()
    changed = {name for name, tensor in trainer.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.weight", "head.bias"}
    assert loss_of(trainer, manifest, corpus) < unfitted


def test_fitting_again_gives_the_same_bits(trainer, manifest, corpus):
    trainer.fit_head()
    first = trainer.model.head.weight.clone()
    FittedHead(manifest, corpus).set(trainer.model)
    assert torch.equal(first, trainer.model.head.weight)


def test_it_is_the_common_read_out_of_the_last_block(trainer, manifest, corpus):
    """Not to the digit: the read-out reads unit vectors, the head the normed tokens."""
    trainer.fit_head()
    meter = SkillMeter(manifest, corpus, fit_predictors(manifest, corpus, "random"), Split.VALIDATION, "random")
    own = meter.report(meter.losses(trainer.predict(meter.items)), 10, 0).skill
    last = trainer.config.model.num_layers
    read = readout_skill(trainer.model, manifest, corpus, Split.VALIDATION, "random", {"last": (last,)})
    assert own == pytest.approx(read["last"].skill, abs=0.05)


def test_what_no_step_moves_is_the_head_beside_the_held_first_block(trainer):
    held = {name for name, item in trainer.model.named_parameters() if not item.requires_grad}
    first = {name for name in held if name.startswith(("project_shot.", "blocks.0.", "presence"))}
    assert {"project_shot.weight", "presence", "blocks.0.attention.value.weight"} <= first
    assert held - first == {"head.weight", "head.bias", "final_norm.weight"}


def test_steps_leave_the_head_alone_and_an_evaluation_fits_it(manifest, corpus, config, trainer):
    before = trainer.model.head.weight.clone()
    trainer.take_step(1.0)
    assert torch.equal(before, trainer.model.head.weight)
    result = train(manifest, corpus, trainer.config)
    assert result.curves[-1].train_terms.keys() == {"contextual", "teacher_std"}
    head = result.checkpoint.load_model().head.weight
    assert not torch.equal(head, before)


def test_an_objective_that_trains_its_head_is_left_alone(manifest, corpus, config):
    trainer = Trainer(manifest, corpus, config, corpus_means(manifest, corpus)[FUSED_VIEW], "cpu")
    before = trainer.model.head.weight.clone()
    trainer.fit_head()
    assert torch.equal(before, trainer.model.head.weight)

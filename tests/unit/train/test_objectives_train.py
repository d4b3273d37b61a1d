"""Every objective takes steps, and how a step is cut moves nothing, but for the two terms that compare shots."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from mediafm.config import TrainingSettings, load_config
from mediafm.data.sampler import Reads, Sampler
from mediafm.errors import ConfigError
from mediafm.objective.config import resolve as resolve_objective
from mediafm.train.config import TrainConfig, resolve
from mediafm.train.evaluation import FUSED_VIEW
from mediafm.train.skill import corpus_means
from mediafm.train.trainer import Trainer

HIDING = {"modality_share": 0.3, "modality_drop_share": 0.5}
OBJECTIVES = {
    "published": ("msm", {}, {"masked"}),
    "standardised": ("msm", {"target": "standardised"}, {"masked"}),
    "spans": ("msm", {"masks": {"shape": "span"}}, {"masked"}),
    "modality masks": ("msm", {"masks": {"modality_share": 0.3}}, {"masked"}),
    "modality dropout": ("msm", {"masks": {"modality_drop_share": 0.5}}, {"masked"}),
    "visible": ("msm", {"visible_weight": 0.5}, {"masked", "visible"}),
    "neighbours": ("msm", {"neighbour_weight": 0.5}, {"masked", "neighbour"}),
    "blocks, all of them": (
        "msm",
        {
            "target": "standardised",
            "visible_weight": 0.5,
            "neighbour_weight": 0.5,
            "masks": {"shape": "span", **HIDING},
        },
        {"masked", "visible", "neighbour"},
    ),
    "contextual": ("contextual", {}, {"contextual"}),
    "contextual_scheduled": ("contextual_scheduled", {}, {"contextual"}),
    "contextual with hidden blocks": ("contextual_scheduled", {"masks": HIDING}, {"contextual"}),
}
COMPARING = {
    "contrast": ("msm", {"contrast_weight": 0.5}, {"masked", "contrast"}),
    "spread": ("msm", {"spread_weight": 0.1}, {"masked", "spread"}),
    "all": (
        "msm",
        {"contrast_weight": 0.5, "spread_weight": 0.1, "visible_weight": 0.5, "masks": HIDING},
        {"masked", "contrast", "spread", "visible"},
    ),
}
EVERY = {**OBJECTIVES, **COMPARING}


@pytest.fixture(scope="module")
def first_head(manifest, corpus):
    return corpus_means(manifest, corpus)[FUSED_VIEW]


@pytest.fixture
def started(manifest, corpus, config, first_head):
    """Makes a trainer of one objective; changes go to the run's configuration."""

    def start(name, settings, **changes):
        changed = {"precision": "float32", "objective": resolve_objective(name, settings), **changes}
        return Trainer(manifest, corpus, replace(config, **{"first_weights": "random", **changed}), first_head, "cpu")

    return start


def gradients_of(trainer):
    """Loss and gradients of the first step, the objective's own included, before they are clipped."""
    kept = {}
    named = [*trainer.model.named_parameters(), *trainer.objective.named_parameters(prefix="objective")]

    def keep():
        kept.update({name: item.grad.clone() for name, item in named if item.grad is not None})
        return 1.0

    trainer.optimizers.clip = keep
    return trainer.take_step(1.0), kept


def difference(one, other):
    """The greatest distance of two parameters' gradients, as a share of the longest gradient."""
    assert one.keys() == other.keys()
    longest = max(gradient.norm() for gradient in one.values())
    return float(max((gradient - other[name]).norm() for name, gradient in one.items()) / longest)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_step_cut_into_micro_steps_has_the_gradient_of_the_whole(started, name):
    preset, settings, _ = OBJECTIVES[name]
    # Enough shots for several micro-steps of several windows each.
    (whole, one), (cut, other) = (
        gradients_of(started(preset, settings, shots_per_micro_step=size)) for size in (10**6, 80)
    )
    # float32 sums in another order.
    assert difference(one, other) < 1e-5
    assert cut.loss == pytest.approx(whole.loss, rel=1e-5)
    assert cut.terms == pytest.approx(whole.terms, rel=1e-5)


@pytest.mark.parametrize("name", COMPARING)
def test_terms_that_compare_shots_depend_on_the_cut_and_do_not_break(started, name):
    """Documented in `mediafm.objective.terms`: only shots of one micro-step are compared."""
    preset, settings, _ = COMPARING[name]
    (whole, one), (cut, other) = (
        gradients_of(started(preset, settings, shots_per_micro_step=size)) for size in (10**6, 80)
    )
    assert difference(one, other) > 1e-4
    assert all(torch.isfinite(gradient).all() for gradient in other.values())
    # A mean over the whole step all the same; among fewer shots a shot is easier to tell.
    if "contrast" in cut.terms:
        assert 0.5 < cut.terms["contrast"] / whole.terms["contrast"] < 1.0
    if "spread" in cut.terms:
        assert 0.5 < cut.terms["spread"] / whole.terms["spread"] < 1.5
    # What does not compare is as before.
    for term in {"masked", "visible"} & cut.terms.keys():
        assert cut.terms[term] == pytest.approx(whole.terms[term], rel=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_every_objective_takes_steps_and_tells_its_terms(started, name):
    preset, settings, terms = EVERY[name]
    trainer = started(preset, settings)
    found = [trainer.take_step(1.0) for _ in range(24)]
    weights = {"visible": 0.5, "neighbour": 0.5, "contrast": 0.5, "spread": 0.1}
    for step in found:
        assert step.terms.keys() == terms
        weighted = sum(weights.get(term, 1.0) * value for term, value in step.terms.items())
        assert step.loss == pytest.approx(weighted, rel=1e-5)
    losses = [step.loss for step in found]
    assert sum(losses[-6:]) < sum(losses[:6])


@pytest.mark.parametrize("name", ["blocks, all of them", "contextual_scheduled", "all"])
def test_objectives_work_in_bfloat16(started, name):
    preset, settings, _ = EVERY[name]
    low, high = (started(preset, settings, precision=precision).take_step(1.0) for precision in ("bfloat16", "float32"))
    assert low.terms == pytest.approx(high.terms, rel=0.05, abs=0.02)
    assert low.terms != high.terms


@pytest.mark.parametrize(("student", "teacher"), list(product(range(3), range(3))))
def test_all_nine_pairs_of_student_and_teacher_run(started, manifest, student, teacher):
    shares = [[float(place == number) for place in range(3)] for number in (student, teacher)]
    trainer = started("contextual", {"contextual": {"student_reads": shares[0], "teacher_reads": shares[1]}})
    first = trainer.take_step(1.0)
    second = trainer.take_step(1.0)
    assert 0 < second.terms["contextual"] < 10
    assert 0 < first.terms["contextual"] < 10
    assert trainer.objective.measures()["teacher_std"] > 0.01
    reads = Reads(student=tuple(shares[0]), teacher=tuple(shares[1]))
    deal = Sampler(
        manifest,
        seed=trainer.config.seed,
        shots_per_step=200,
        masks=trainer.config.objective.masks,
        metadata_drop_share=0.3,
        reads=reads,
    )
    for item in deal.next_step():
        assert (item.mask.is_dropped.sum(), item.is_unread_by_teacher.sum()) == (student, teacher)


def test_the_teacher_follows_the_student_through_the_trainers_steps(started):
    trainer = started("contextual", {"contextual": {"tau_start": 0.5, "tau_end": 0.75, "tau_steps": 2}})
    expected = [parameter.double() for parameter in trainer.model.parameters()]
    for tau in (0.625, 0.75, 0.75):
        trainer.take_step(1.0)
        new = list(trainer.model.parameters())
        expected = [tau * own + (1 - tau) * other.detach().double() for own, other in zip(expected, new, strict=True)]
    for own, wanted in zip(trainer.objective.teacher.parameters(), expected, strict=True):
        assert torch.allclose(own.double(), wanted, atol=1e-6)


def test_what_is_exported_is_the_average_of_the_weights(started):
    trainer = started("msm", {}, weight_ema=0.6)
    expected = [parameter.detach().double().clone() for parameter in trainer.model.parameters()]
    for step in range(1, 25):
        trainer.take_step(1.0)
        kept = min(0.6, step / (step + 10))
        new = trainer.model.parameters()
        expected = [kept * own + (1 - kept) * other.detach().double() for own, other in zip(expected, new, strict=True)]
    assert kept == 0.6
    for own, wanted in zip(trainer.exported.parameters(), expected, strict=True):
        assert torch.allclose(own.double(), wanted, atol=1e-6)
    assert not torch.equal(trainer.exported.head.weight, trainer.model.head.weight)
    without = started("msm", {})
    assert without.exported is without.model


def test_an_average_moves_no_step(started):
    plain, averaged = (started("msm", {}, weight_ema=share) for share in (0.0, 0.9))
    assert [plain.take_step(1.0) for _ in range(3)] == [averaged.take_step(1.0) for _ in range(3)]


TOML = """
[training]
objective = "contextual"
[training.objective_settings]
visible_weight = 0.5
[training.objective_settings.masks]
share = 0.3
[training.objective_settings.contextual]
target_blocks = 2
student_reads = [2, 1, 1]
"""


def test_the_configuration_file_chooses_and_changes_the_objective(tmp_path, manifest, corpus):
    (tmp_path / "mediafm.toml").write_text(TOML)
    found = resolve(load_config(tmp_path / "mediafm.toml").training, manifest, corpus)
    objective = found.objective
    assert (objective.name, objective.family, objective.visible_weight) == ("contextual", "contextual", 0.5)
    assert (objective.masks.share, objective.masks.shape) == (0.3, "span")
    assert (objective.contextual.target_blocks, objective.contextual.student_reads) == (2, (2.0, 1.0, 1.0))
    assert TrainConfig.from_json(found.as_json()) == found
    assert resolve(TrainingSettings(), manifest, corpus).objective == resolve_objective("msm")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("share = 0.3", "shar = 0.3|MaskConfig: \\['shar'\\]; the fields are .*Did you mean 'share'"),
        ("share = 0.3", "share = 3|share lies in"),
        ("target_blocks = 2", "target_blocks = \"all\"|ContextualConfig.target_blocks: 'all'"),
        ('objective = "contextual"', "objective = \"contextal\"|training.objective: .*Did you mean 'contextual'"),
    ],
)
def test_a_broken_field_of_the_file_is_named(tmp_path, manifest, corpus, line, told):
    wrong, message = told.split("|")
    (tmp_path / "mediafm.toml").write_text(TOML.replace(line, wrong))
    settings = load_config(tmp_path / "mediafm.toml").training
    with pytest.raises(ConfigError, match=message):
        resolve(settings, manifest, corpus)

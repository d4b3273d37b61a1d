"""What an objective keeps beside the model, and the weights' average, are part of the state: resume is bitwise."""

from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load as load_tensors

from mediafm.objective.config import resolve as resolve_objective
from mediafm.train.loop import train
from mediafm.train.run_state import RunFolder

CASES = {
    "contextual": {"objective": resolve_objective("contextual_scheduled", {"contextual": {"tau_start": 0.8}})},
    "every option": {
        "objective": resolve_objective(
            "msm",
            {
                "target": "standardised",
                "visible_weight": 0.3,
                "contrast_weight": 0.2,
                "spread_weight": 0.05,
                "masks": {"shape": "span", "modality_share": 0.2, "modality_drop_share": 0.3},
            },
        )
    },
    "average": {"weight_ema": 0.8},
}


class StoppedError(Exception):
    """What a kill looks like from inside."""


@pytest.fixture(scope="module", params=sorted(CASES))
def case(request, config):
    # Eight steps and a decay of two, behind whichever evaluation is the best.
    changed = replace(config, max_steps=10, evaluate_every_steps=4, save_every_steps=3, num_bootstrap=20)
    return request.param, replace(changed, **CASES[request.param])


@pytest.fixture(scope="module")
def unstopped(manifest, corpus, case):
    return train(manifest, corpus, case[1])


def told(result):
    """The curves without the clock."""
    clock = ("seconds", "shots_per_second")
    points = [asdict(point) for point in result.curves]
    return [{key: value for key, value in point.items() if key not in clock and "stall" not in key} for point in points]


def stopped(manifest, corpus, config, folder, step):
    def progress(num_steps, bound):
        if num_steps == step:
            raise StoppedError(f"at step {step}")

    with pytest.raises(StoppedError, match="at step"):
        train(manifest, corpus, config, folder=folder, progress=progress)


@pytest.mark.parametrize("step", [5, 8])
def test_a_stopped_run_ends_with_the_same_weights(manifest, corpus, case, unstopped, tmp_path, step):
    folder = RunFolder(tmp_path / "run")
    stopped(manifest, corpus, case[1], folder, step)
    resumed = train(manifest, corpus, case[1], folder=folder)
    assert resumed.resumed_at_step == (step - 1) // 3 * 3
    assert resumed.checkpoint.weights == unstopped.checkpoint.weights
    assert told(resumed) == told(unstopped)


def test_the_state_holds_what_is_kept_beside_the_model(manifest, corpus, case, tmp_path):
    name, config = case
    folder = RunFolder(tmp_path / "run")
    stopped(manifest, corpus, config, folder, 4)
    found = folder.load()
    kinds = {
        "contextual": {"objective.norm", "objective.regress", "objective.teacher", "objective.teacher_std"},
        "every option": set[str](),
        "average": {"average.head"},
    }
    for state in (found.present, found.best):
        assert all(any(key.startswith(kind) for key in state.extra) for kind in kinds[name])
    if name == "contextual":
        assert torch.isfinite(found.present.extra["objective.teacher_std"])
        assert not torch.equal(
            found.present.extra["objective.teacher.blocks.1.attention.query.weight"],
            found.present.weights["blocks.1.attention.query.weight"],
        )


def test_what_is_exported_is_the_average_where_there_is_one(manifest, corpus, config, tmp_path):
    folder = RunFolder(tmp_path / "run")
    averaged = replace(config, max_steps=10, save_every_steps=1, num_bootstrap=20, weight_ema=0.8)
    exported = load_tensors(train(manifest, corpus, averaged, folder=folder).checkpoint.weights)
    best = folder.load().best
    assert all(torch.equal(exported[name], best.extra[f"average.{name}"]) for name in exported)
    assert not torch.equal(exported["head.weight"], best.weights["head.weight"])

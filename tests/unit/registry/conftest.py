from dataclasses import fields
from pathlib import Path

import pytest

from mediafm.data.synthetic import synthetic_space
from mediafm.model import presets
from mediafm.model.mediafm import build
from mediafm.registry.registry import Registry
from mediafm.train.checkpoint import make_checkpoint
from mediafm.train.curves import CurvePoint

VIEW = {"skill": 0.25, "interval": (0.1, 0.4)}
REPORT = {
    "skill": {
        "split": "test",
        "random": {"skill": 0.2, "interval": (0.1, 0.3), "by_modality": {"video": VIEW}},
        "span": {"skill": 0.1, "interval": None, "by_modality": {}},
        "retrieval": None,
    },
    "data": {"train": {"shots": 30}},
    "environment": {"python": "3.11", "device": "cpu"},
}


def point(step, **values):
    """An evaluation after so many steps; what is not named here is absent."""
    known = {
        "step": step,
        "num_steps": step,
        "epoch": 0,
        "phase": "stable",
        "train_loss": 1.0 / step,
        "validation_loss": 1.1 / step,
        "skill_by_modality": {"video": -0.5},
        "muon_lr": 0.02,
        "adamw_lr": 0.001,
        "gradient_norm": 1.0,
        "shots_per_second": 100.0,
        "loader_stall_share": 0.01,
        "seconds": 1.0,
        **values,
    }
    absent = {item.name: {} if "Mapping" in str(item.type) else None for item in fields(CurvePoint)}
    return CurvePoint(**{**absent, **known})


CURVES = [point(10), point(20)]


def made(seed):
    config = presets.tiny(12, 4)
    space = synthetic_space(4).as_json()
    return make_checkpoint(build(config, seed), (1,), space, f"{seed:064x}", {"model": config.as_json()}, REPORT)


@pytest.fixture(scope="session")
def state(tmp_path_factory):
    return Path(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def registry(state):
    registry = Registry.at(state)
    registry.set_up()
    return registry

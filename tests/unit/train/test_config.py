import json
from dataclasses import replace

import pytest

from mediafm.config import TrainingSettings
from mediafm.errors import ConfigError, LineageMismatchError
from mediafm.train.config import TrainConfig, resolve


def test_config_round_trips_through_json(config):
    assert TrainConfig.from_json(json.loads(json.dumps(config.as_json()))) == config


def test_an_unknown_field_is_refused(config):
    with pytest.raises(ConfigError, match="every field is known"):
        TrainConfig.from_json({**config.as_json(), "dropout": 0.1})


@pytest.mark.parametrize(
    "change", [{"weight_ema": 1.0}, {"explosion_factor": 1.0}, {"patience_evaluations": 0}, {"decay_share": 1.5}]
)
def test_impossible_settings_are_refused(config, change):
    with pytest.raises(ConfigError, match=r"shares lie in \[0, 1\]"):
        replace(config, **change)


def test_settings_bound_the_run(manifest, corpus):
    settings = TrainingSettings(preset="small", seed=5, max_steps=7, max_seconds=2.5)
    found = resolve(settings, manifest, corpus)
    assert (found.preset, found.seed, found.max_steps, found.max_seconds) == ("small", 5, 7, 2.5)
    assert found.model.fused_dim == corpus.fused_dim


def test_a_corpus_of_another_width_is_refused(manifest, corpus):
    with pytest.raises(LineageMismatchError, match="the manifest's space has"):
        resolve(TrainingSettings(), manifest, replace(corpus, fused_dim=99))

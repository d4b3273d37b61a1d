import json

import pytest

from mediafm.errors import ConfigError
from mediafm.model import presets
from mediafm.model.config import ModelConfig


@pytest.mark.parametrize("preset", sorted(presets.PRESETS))
def test_presets_round_trip_through_json(preset):
    config = presets.PRESETS[preset](2304, 768)
    assert ModelConfig.from_json(json.loads(json.dumps(config.as_json()))) == config


def test_base_is_the_published_size():
    config = presets.base(2304, 768)
    assert (config.num_layers, config.hidden_dim, config.max_shots) == (12, 768, 512)


def test_auto_grows_with_the_catalogue():
    assert [presets.resolve("auto", n) for n in (0, 9_999, 10_000, 100_000, 5_000_000)] == [
        "tiny",
        "tiny",
        "small",
        "medium",
        "base",
    ]
    assert presets.create("auto", 24, 8, 50) == presets.tiny(24, 8)


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'medium'"):
        presets.resolve("medum", 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 3}, "multiple of the heads"),
        ({"hidden_dim": 12}, "a head's width is even"),
        ({"num_layers": 0}, "every size is at least 1"),
        ({"norm": "sideways"}, "one of pre, post"),
        ({"rotary_share": 0.0}, r"the share lies in \(0, 1\]"),
        ({"rotary_share": 1.01}, r"the share lies in \(0, 1\]"),
        ({"rotary_share": float("nan")}, r"the share lies in \(0, 1\]"),
        ({"num_blind_blocks": -1}, "of 2 blocks no more can be blind"),
        ({"num_blind_blocks": 3}, "of 2 blocks no more can be blind"),
    ],
)
def test_impossible_architectures_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_json({**presets.tiny(24, 8).as_json(), **change})


def test_an_unknown_field_is_refused():
    with pytest.raises(ConfigError, match="holds what `ModelConfig"):
        ModelConfig.from_json({**presets.tiny(24, 8).as_json(), "depth": 3})

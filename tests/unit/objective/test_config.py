import json
from dataclasses import fields, is_dataclass, replace

import pytest

from mediafm.errors import ConfigError
from mediafm.objective.config import DEFAULT, PRESETS, ObjectiveConfig, resolve


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_round_trip_through_json_text_and_are_named_by_themselves(name):
    preset = PRESETS[name]
    assert preset.name == name
    assert resolve(name) == preset
    assert ObjectiveConfig.from_json(json.loads(json.dumps(preset.as_json()))) == preset


def other(value):
    """A possible value that is not this one, whatever field it is of."""
    if is_dataclass(value):
        return replace(value, **{item.name: other(getattr(value, item.name)) for item in fields(value)})
    if isinstance(value, str):
        return {"msm": "contextual", "fused": "standardised", "random": "span"}[value]
    if isinstance(value, tuple):
        return (0.5, 0.3, 0.2)
    return value + 1 if isinstance(value, int) else value / 2 + 0.01


def test_every_field_changed_round_trips_too():
    plain = ObjectiveConfig()
    changed = other(plain)
    assert all(getattr(changed, item.name) != getattr(plain, item.name) for item in fields(plain))
    assert ObjectiveConfig.from_json(json.loads(json.dumps(changed.as_json()))) == changed


def test_the_default_is_msm_as_published():
    assert resolve("auto") == PRESETS[DEFAULT] == ObjectiveConfig()
    plain = ObjectiveConfig()
    assert (plain.family, plain.target) == ("msm", "fused")
    assert (plain.masks.share, plain.masks.shape) == (0.2, "random")
    assert not any((plain.visible_weight, plain.contrast_weight, plain.spread_weight))
    assert not any((plain.masks.modality_share, plain.masks.modality_drop_share))


def test_an_all_modal_teacher_is_a_preset_and_so_is_a_scheduled_one():
    assert PRESETS["contextual"].contextual.teacher_reads == (1.0, 0.0, 0.0)
    assert min(PRESETS["contextual_scheduled"].contextual.teacher_reads) > 0
    assert all(min(PRESETS[name].contextual.student_reads) > 0 for name in PRESETS if name.startswith("contextual"))


def test_single_fields_change_nested_ones_too():
    found = resolve("contextual", {"masks": {"share": 0.3}, "contextual": {"target_blocks": 2, "tau_start": 0}})
    preset = PRESETS["contextual"]
    assert found.masks == replace(preset.masks, share=0.3)
    assert found.contextual == replace(preset.contextual, target_blocks=2, tau_start=0.0)
    assert found.family == "contextual"
    assert isinstance(found.contextual.tau_start, float)


@pytest.mark.parametrize(("name", "near"), [("contextal", "'contextual'"), ("mms", "'msm'")])
def test_an_unknown_preset_is_answered_with_the_nearest(name, near):
    with pytest.raises(ConfigError, match=f"objective {name!r}.*one of msm, contextual.*Did you mean {near}"):
        resolve(name)
    with pytest.raises(ConfigError, match=r"one of msm, contextual, contextual_scheduled\.$"):
        resolve("zzzzzz")


@pytest.mark.parametrize(
    ("changes", "near"),
    [
        ({"spred_weight": 1.0}, "spread_weight"),
        ({"masks": {"spans_shots": 3}}, "span_shots"),
        ({"contextual": {"student_read": [1, 0, 0]}}, "student_reads"),
    ],
)
def test_an_unknown_field_is_answered_with_the_nearest(changes, near):
    with pytest.raises(ConfigError, match=f"the fields are .*Did you mean '{near}'"):
        resolve("msm", changes)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"spread_weight": "much"}, "ObjectiveConfig.spread_weight: 'much'"),
        ({"spread_weight": True}, "ObjectiveConfig.spread_weight: True"),
        ({"spread_weight": float("nan")}, "ObjectiveConfig.spread_weight: nan"),
        ({"target": {"a": 1}}, "ObjectiveConfig.target"),
        ({"target": 3}, "ObjectiveConfig.target: 3"),
        ({"masks": 3}, "ObjectiveConfig.masks: 3; this field is a table of fields"),
        ({"masks": {"share": [0.2]}}, "MaskConfig.share"),
        ({"contextual": {"student_reads": 1.0}}, "ContextualConfig.student_reads: 1.0"),
        ({"contextual": {"student_reads": [1.0, 1.0]}}, "ContextualConfig.student_reads"),
        ({"contextual": {"student_reads": [1.0, 1.0, "x"]}}, "ContextualConfig.student_reads: 'x'"),
        ({"contextual": {"target_blocks": 2.5}}, "ContextualConfig.target_blocks: 2.5"),
    ],
)
def test_a_value_of_another_kind_is_refused_and_named(changes, place):
    with pytest.raises(ConfigError, match=f"training objective, {place}"):
        resolve("msm", changes)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"family": "bert"}, "a family is msm or contextual"),
        ({"target": "pixels"}, "a target fused or standardised"),
        ({"visible_weight": -1.0}, "weights are not negative"),
        ({"contrast_temperature": 0.0}, "a temperature is positive"),
        ({"masks": {"share": 1.5}}, "share lies in"),
        ({"contextual": {"tau_start": 0.9, "tau_end": 0.5}}, "tau_start <= tau_end"),
        ({"contextual": {"tau_end": 1.0}}, "tau_end < 1"),
        ({"contextual": {"teacher_reads": [0, 0, 0]}}, "not all zero"),
        ({"contextual": {"target_blocks": 0}}, "target_blocks and tau_steps are at least 1"),
    ],
)
def test_impossible_values_are_refused(changes, rule):
    with pytest.raises(ConfigError, match=rule):
        resolve("contextual", changes)

"""The model card: a pure function of JSON, honest about limits, and open to fields that come later."""

import copy
import json

import pytest

from mediafm.data.composition import compose
from mediafm.train.card import card_facts, model_card


@pytest.fixture(scope="module")
def facts(result, manifest, corpus):
    hours = dict.fromkeys(sorted(manifest.by_id)[:10], 1800.0)
    made = card_facts(result.checkpoint, compose(manifest, corpus, hours), {"video": "MIT"}, "0123abc")
    return json.loads(json.dumps(made))


def changed(facts, **paths):
    """A copy of `facts` in which "report__run__stop_reason" and the like are other values."""
    found = copy.deepcopy(facts)
    for path, value in paths.items():
        *above, last = path.split("__")
        place = found
        for name in above:
            place = place[name]
        place[last] = value
    return found


def section(card, title):
    return card.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_a_card_has_its_sections_and_is_a_function_of_its_facts(facts):
    card = model_card(facts)
    assert "Common read-out" in card
    titles = [line[3:] for line in card.splitlines() if line.startswith("## ")]
    assert [title for title in titles if title not in ("Further findings", "Common read-out")] == [
        "Data",
        "Skill",
        "What is exported",
        "Limits",
        "Encoders",
        "Model and training",
        "Lineage",
    ]
    assert card == model_card(copy.deepcopy(facts)) == model_card(json.loads(json.dumps(facts, sort_keys=True)))
    assert "None" not in card
    assert "nan" not in card.split()


def test_data_encoders_and_lineage_are_those_of_the_run(facts, manifest, result):
    card = model_card(facts)
    data = section(card, "Data")
    assert "20 titles in 20 groups" in data
    assert "5.0 hours (of 10)" in data
    counts = manifest.summary()["train"]
    assert f"| train | {counts['titles']} | {counts['groups']} | {counts['shots']} | 100 % |" in data
    assert "| video | `synthetic` | 8 | no weights | MIT | 1 |" in section(card, "Encoders")
    assert "| audio | `synthetic` | 8 | no weights | unknown | 1 |" in section(card, "Encoders")
    lineage = section(card, "Lineage")
    for value in (result.checkpoint.sha256, manifest.sha256, result.checkpoint.space_id, "0123abc"):
        assert f"`{value}`" in lineage


def test_skill_stands_by_modality_beside_the_best_trivial_predictor(facts):
    table = section(model_card(facts), "Skill")
    found = facts["report"]["skill"]["random"]
    video = found["by_modality"]["video"]
    low, high = video["interval"]
    assert f"| video | {video['skill']:+.3f} | {low:+.3f} to {high:+.3f} |" in table
    assert f"| {video['reference']} | {video['reference_loss']:.4f} |" in table
    assert "**Masks: span**" in table


def test_the_exported_row_and_every_measure_of_the_layer_table_are_shown(facts):
    layers = facts["report"]["layers"]
    layers = {**layers, "rows": [{**row, "a_new_measure": 0.25} for row in layers["rows"]]}
    table = section(model_card(changed(facts, report__layers=layers)), "What is exported")
    assert "| a new measure |" in table
    assert table.count("(exported)**") == 1
    assert table.count("| 0.250 |") == len(layers["rows"])


def test_fields_that_a_report_gains_later_show_by_themselves(facts):
    found = changed(facts, report__collapse={"rank_share": 0.5, "watched": [1, 2]}, training__objective={"name": "new"})
    found["report"]["skill"]["readout"] = found["report"]["skill"]["random"]
    card = model_card(found)
    assert "- collapse: rank_share 0.5, watched 1/2" in section(card, "Further findings")
    assert "objective `new`" in section(card, "Model and training")
    assert "**Masks: readout**" in section(card, "Skill")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Small data: "),
        ({"report__data__is_within_title": True}, "Within-title split"),
        ({"report__is_uncollapsed": False}, "Collapsed: the exported vectors"),
        ({"report__skill__random__interval": [-0.1, 0.2]}, "No skill is shown: "),
        ({"report__skill__random__interval": None}, "has no interval"),
        ({"report__skill__random__skill": None}, "Skill could not be measured"),
        ({"report__skill__random__by_modality__text__interval": [-1.0, 1.0]}, "No skill is shown for"),
        ({"report__run__stop_reason": "max_seconds"}, "The clock ended the run"),
        ({"report__run__stop_reason": "max_steps"}, "The bound on steps ended the run"),
        ({"report__layers__rows": []}, "could not be compared"),
        ({}, "Provisional until the gate has spoken"),
        ({}, "Not tried on: "),
    ],
)
def test_limits_are_said(facts, changes, sentence):
    base = {
        "report__skill__random__skill": 0.3,
        "report__skill__random__interval": [0.2, 0.4],
        "report__is_uncollapsed": True,
    }
    assert sentence in section(model_card(changed(facts, **{**base, **changes})), "Limits")


def test_a_baseline_that_needs_no_training_and_is_as_good_is_named(facts):
    rows = [dict(row) for row in facts["report"]["layers"]["rows"]]
    rows[0]["neighbour_share"] = 1.0
    said = section(model_card(changed(facts, report__layers__rows=rows)), "Limits")
    assert f"are not better than {rows[0]['name']} (1.000), which needs no training" in said
    for row in rows:
        row["neighbour_share"] = 0.1 if row["kind"] == "baseline" else 0.5
    assert "needs no training" not in section(model_card(changed(facts, report__layers__rows=rows)), "Limits")


def test_a_good_run_on_much_data_says_neither_small_nor_unskilled(facts):
    counts = {"titles": 900, "groups": 900, "shots": 90_000}
    found = changed(
        facts,
        report__data={"is_within_title": False, "num_empty_titles": 0, "train": counts, "test": counts},
        report__skill__random__interval=[0.2, 0.4],
        report__skill__random__by_modality={},
        report__run__stop_reason="patience",
    )
    said = section(model_card(found), "Limits")
    assert "Small data" not in said
    assert "No skill" not in said
    assert "intervals are rough" not in said


def test_the_common_read_out_has_a_row_for_what_is_read_and_long_findings_are_left_to_the_report(facts):
    view = facts["report"]["skill"]["random"]
    found = changed(
        facts, report__readout={"split": "test", "random": {"block 1": view}}, report__many={"x": "y" * 900}
    )
    card = model_card(found)
    said = section(card, "Common read-out")
    shown = " | ".join(f"{view['by_modality'][name]['skill']:+.3f}" for name in ("video", "audio", "text"))
    assert "| read from | skill | 95 % | video | audio | text |" in said
    assert f"| {shown} |" in said
    assert "- many: x (in `report.json`)" in section(card, "Further findings")
    del found["report"]["readout"]
    assert "Common read-out" not in model_card(found)

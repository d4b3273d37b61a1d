"""When a run ends and why its size, told before it starts: pure rules, held to the loop and to the presets."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from mediafm.model import presets
from mediafm.model.mediafm import build, num_parameters
from mediafm.train.config import TrainConfig
from mediafm.train.curves import CurvePoint
from mediafm.train.plan import CorpusPlan, corpus_bytes, device_name, gpu_bytes, memory_bytes
from mediafm.train.preset_reasons import explain_preset, parameters_by_part, presets_by_size
from mediafm.train.stop_rule import expected_steps, least_steps, stop_rule

CONFIG = TrainConfig(
    preset="tiny",
    model=presets.tiny(24, 8),
    evaluate_every_steps=10,
    patience_evaluations=3,
    decay_share=0.2,
    max_steps=1000,
)


def point(num_steps: int, loss: float, phase: str = "stable", step: int | None = None) -> CurvePoint:
    known = {"num_steps": num_steps, "step": step or num_steps, "phase": phase, "validation_loss": loss}
    absent = {item.name: {} if "Mapping" in str(item.type) else 0 for item in fields(CurvePoint)}
    return CurvePoint(**{**absent, **known})  # type: ignore[arg-type]


def test_the_least_run_is_one_whose_first_evaluation_is_its_best() -> None:
    assert (
        least_steps(CONFIG) == 10 + 3 * 10 + 2 == expected_steps(CONFIG, []) == expected_steps(CONFIG, [point(10, 1)])
    )
    assert least_steps(replace(CONFIG, max_steps=25)) == 25


def test_each_better_loss_moves_the_end_away_and_a_worse_one_does_not() -> None:
    points = [point(10, 1.0), point(20, 0.9), point(30, 0.95), point(40, 0.8)]
    ends = [expected_steps(CONFIG, points[:count]) for count in (1, 2, 3, 4)]
    assert ends == [42, 20 + 30 + 4, 20 + 30 + 4, 40 + 30 + 8]


def test_in_the_decay_the_end_is_known() -> None:
    points = [point(10, 1.0), point(20, 0.5), point(30, 0.6), point(40, 0.6), point(50, 0.6)]
    decay = [*points, point(52, 0.45, "decay", step=22)]
    assert expected_steps(CONFIG, decay) == 50 + 4
    assert expected_steps(replace(CONFIG, max_steps=45), points[:4]) == 45


def test_the_forecast_is_what_the_loop_did(result, config) -> None:  # type: ignore[no-untyped-def]
    """At the end of a real run the forecast is its number of steps, however it ended."""
    stable = [each for each in result.curves if each.phase == "stable"]
    assert expected_steps(config, result.curves) == result.report["run"]["num_steps"]
    assert expected_steps(config, stable) >= stable[-1].num_steps


def test_the_rule_names_its_numbers() -> None:
    said = stop_rule(replace(CONFIG, max_seconds=90.0))
    for words in ("every 10 steps", "after 3 evaluations", "20 %", "1,000 steps", "90 s"):
        assert words in said
    assert " s are over" not in stop_rule(CONFIG)


@pytest.mark.parametrize("name", ["tiny", "small", "published_tiny"])
def test_parts_add_up_to_the_real_model(name: str) -> None:
    config = presets.PRESETS[name](48, 16)
    assert sum(parameters_by_part(config).values()) == num_parameters(build(config, 0))


def test_auto_is_explained_by_its_thresholds() -> None:
    for least, name in presets.AUTO_MIN_SHOTS:
        said = explain_preset("auto", name, max(least, 1), 1000)
        assert said.startswith(f"{name}: {max(least, 1):,} training shots")
        assert f"from {least:,} on" in said
    assert "small from 10,000 on" in explain_preset("auto", "tiny", 500, 1_000_000)
    assert "2,000 block weights a training shot" in explain_preset("auto", "tiny", 500, 1_000_000)
    assert "where auto would take tiny" in explain_preset("base", "base", 500, 1)
    assert "as auto would" in explain_preset("tiny", "tiny", 500, 1)


def test_the_table_of_sizes_grows_and_marks_the_catalogues_own() -> None:
    rows = presets_by_size(48, 16, 20_000)
    assert [row.from_shots for row in rows] == sorted(count for count, _ in presets.AUTO_MIN_SHOTS)
    sizes = [row.num_parameters for row in rows]
    assert sizes == sorted(sizes)
    assert [row.preset for row in rows if row.is_chosen] == [presets.resolve("auto", 20_000)]


def test_where_the_vectors_fit_is_said(manifest, corpus) -> None:  # type: ignore[no-untyped-def]
    num_bytes = corpus_bytes(manifest, corpus)
    assert num_bytes == corpus.num_shots * (2 * corpus.fused_dim + 3) + 4 * len(manifest.titles) * corpus.metadata_dim
    assert "held there" in CorpusPlan(num_bytes=5, memory_bytes=10, gpu_bytes=6).sentence
    assert CorpusPlan(num_bytes=5, memory_bytes=10, gpu_bytes=4).sentence == "fits this machine's memory"
    assert "read from disk" in CorpusPlan(num_bytes=50, memory_bytes=10, gpu_bytes=None).sentence
    assert memory_bytes() > 2**20
    assert gpu_bytes("cpu", 0.5) is None
    assert device_name("cpu").startswith("cpu (")

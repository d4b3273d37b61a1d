from dataclasses import replace

import pytest
from click.testing import CliRunner

from benchmarks import context
from benchmarks.context_judge import CONTEXT_TASKS


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(context, "FRESH", (12, 6))
    monkeypatch.setattr(context, "SIZES", (6,))


def test_a_study_holds_every_row_and_the_best_baseline_needs_no_training():
    table, result = context.study(6, {"max_steps": 4, "preset": "tiny"}, {"num_bootstrap": 20})
    names = {row.name for row in table.rows}
    assert {"fused", "fused - title mean", "block 0", "block 2", "head output", "exported"} <= names
    assert {"fused ++ exported", "untrained (random)", "untrained (data)", "oracle"} <= names
    assert context.best_baseline(table).name in {
        "fused",
        "fused - title mean",
        "untrained (random)",
        *(f"fused ++ mean of +-{reach}" for reach in (1, 2, 4)),
    }
    chosen = result.checkpoint.export_layers
    if len(chosen) == 1:
        assert table.row("exported").scores["own"].measured == table.row(f"block {chosen[0]}").scores["own"].measured


def test_rows_compare_what_is_exported_with_that_baseline(monkeypatch):
    monkeypatch.setattr(context, "MAX_SECONDS", 1.0)
    rows = context.rows()
    assert [row.better for row in rows] == ["higher"] * len(CONTEXT_TASKS)
    assert all(row.rival and row.ratio == pytest.approx(row.value / row.rival_value) for row in rows)


def test_the_command_prints_the_table(monkeypatch):
    def study(num_titles, training, changes):
        return real(num_titles, {**training, "max_steps": 3, "preset": "tiny"}, {**changes, "num_bootstrap": 20})

    real = context.study
    monkeypatch.setattr(context, "study", study)
    found = CliRunner().invoke(context.main, ["--titles", "6", "--free", "--first-weights", "random"])
    assert found.exit_code == 0, found.output
    assert "exported minus" in found.output
    assert "untrained (random)" in found.output


def test_a_baseline_is_chosen_on_the_titles_that_fit():
    table, _ = context.study(6, {"max_steps": 2, "preset": "tiny"}, {"num_bootstrap": 20})
    alone = replace(table, rows=tuple(row for row in table.rows if row.name.startswith(("fused", "oracle"))))
    smoothed = [row for row in alone.rows if row.name.startswith("fused ++ mean of +-")]
    best = max(smoothed, key=lambda row: row.on_fit(CONTEXT_TASKS))
    others = {row.name for row in smoothed} - {best.name}
    assert context.best_baseline(alone).name not in others

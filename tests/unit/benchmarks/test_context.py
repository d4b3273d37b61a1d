from dataclasses import replace

import pytest
from click.testing import CliRunner

from benchmarks import context
from benchmarks.context_judge import CONTEXT_TASKS


@pytest.fixture(scope="module")
def studied():
    """One small study: a model of two blocks, four steps, probes on a dozen titles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "FRESH", (12, 6))
        return context.study(6, {"max_steps": 4, "preset": "published_tiny"}, {"num_bootstrap": 20})


@pytest.fixture
def answered(studied, monkeypatch):
    """`study` answers with that one; returns what it was asked."""
    asked = []
    monkeypatch.setattr(context, "study", lambda *question: asked.append(question) or studied)
    return asked


def test_a_study_holds_every_row_and_the_best_baseline_needs_no_training(studied):
    table, result = studied
    names = {row.name for row in table.rows}
    assert {"fused", "fused - title mean", "block 0", "block 2", "head output", "exported"} <= names
    assert {"fused ++ exported", "untrained (random)", "oracle"} <= names
    assert context.best_baseline(table).name in {
        "fused",
        "fused - title mean",
        "untrained (random)",
        *(f"fused ++ mean of +-{reach}" for reach in (1, 2, 4)),
    }
    if len(chosen := result.checkpoint.export_layers) == 1:
        assert table.row("exported").scores["own"].measured == table.row(f"block {chosen[0]}").scores["own"].measured


def test_rows_compare_what_is_exported_with_that_baseline(answered, studied):
    rows = context.rows()
    assert len(rows) == len(CONTEXT_TASKS) * len(context.SIZES) == len(CONTEXT_TASKS) * len(answered)
    assert {row.rival for row in rows} == {context.best_baseline(studied[0]).name}
    assert all(row.ratio == pytest.approx(row.value / row.rival_value) for row in rows)


def test_the_command_asks_for_what_it_is_told_and_prints_the_table(answered):
    told = ["--titles", "6", "--free", "--first-weights", "random", "--settings", '{"contrast_weight": 0.5}']
    found = CliRunner().invoke(context.main, told)
    assert found.exit_code == 0, found.output
    assert "exported minus" in found.output
    ((num_titles, training, changes),) = answered
    assert (num_titles, training["objective_settings"]) == (6, {"contrast_weight": 0.5})
    assert changes == {"first_weights": "random", "is_first_block_held": False}


def test_of_the_smoothed_only_the_best_on_the_fitting_titles_competes(studied):
    table = studied[0]
    alone = replace(table, rows=tuple(row for row in table.rows if row.name.startswith(("fused ++ mean", "oracle"))))
    smoothed = [row for row in alone.rows if "+-" in row.name]
    assert context.best_baseline(alone) is max(smoothed, key=lambda row: row.on_fit(CONTEXT_TASKS))

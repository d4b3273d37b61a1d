"""The report at a glance."""

from __future__ import annotations

from dataclasses import replace

from mediafm.probes.report_text import short_markdown
from tests.unit.probes.test_pictures import ROW, report

FEATURES = ("metadata", "fused", "contextual")


def test_a_line_says_of_each_task_what_chance_and_these_sets_reach() -> None:
    rows = (
        ROW,
        replace(ROW, features="contextual", value=0.71),
        replace(ROW, features="untrained", value=0.99),
        replace(ROW, features="metadata", value=0.88, pca_width=4),
        replace(ROW, task="a | b", value=0.4),
    )
    assert short_markdown(report(*rows), FEATURES).splitlines() == [
        "| task | measure | chance | metadata | fused | contextual |",
        "| --- | --- | --- | --- | --- | --- |",
        "| tone | average precision | 0.30 |  | 0.60 | 0.71 |",
        "| a \\| b | average precision | 0.30 |  | 0.40 |  |",
    ]


def test_where_nothing_was_measured_there_is_no_table() -> None:
    assert short_markdown(report(), FEATURES) == ""
    assert short_markdown(report(replace(ROW, pca_width=4)), FEATURES) == ""

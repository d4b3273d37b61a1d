"""Tables for people: drawn while they are short, plain columns when they are long."""

from __future__ import annotations

import pytest

from mediafm.cli.show import MAX_DRAWN_ROWS, echo_table

HEADERS = ("title", "state", "reason")


def test_a_short_table_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    echo_table(HEADERS, [("a", "ok", None)])
    assert "│ a" in capsys.readouterr().out


def test_a_long_table_is_columns_with_every_cell_in_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"t{number}", "ok", None) for number in range(MAX_DRAWN_ROWS)]
    echo_table(HEADERS, [*rows, ("七人の侍", "quarantined", "first line\nsecond line")], title="titles")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["titles", "title     state        reason"]
    assert lines[2] == "t0        ok"
    assert lines[-1] == "七人の侍  quarantined  first line second line"
    assert len(lines) == MAX_DRAWN_ROWS + 3

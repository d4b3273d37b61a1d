"""How verbs print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

MAX_DRAWN_ROWS = 500
"""Longer tables are columns without a frame: drawing one takes half a millisecond a row."""


def echo_json(value: Any) -> None:
    """The one JSON object that a verb prints under --json."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def echo_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """A table as wide as the terminal; as wide as it needs where there is none. A long one is plain columns."""
    from rich.console import Console
    from rich.table import Table

    rows = list(rows)
    if len(rows) > MAX_DRAWN_ROWS:
        _echo_columns(headers, rows, title)
        return
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table)


def _echo_columns(headers: Sequence[str], rows: Iterable[Sequence[Any]], title: str) -> None:
    """Each column as wide as its widest cell, two blanks between; a cell's line breaks are blanks."""
    from rich.cells import cell_len

    texts = [["" if cell is None else " ".join(str(cell).splitlines()) for cell in row] for row in rows]
    lines = [[*headers], *texts]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    found = (
        "  ".join(text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    click.echo("\n".join([title, *found] if title else found))

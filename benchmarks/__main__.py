"""`python -m benchmarks [NAME] [--json] [--catalog PATH]`: measure, and print one table or one JSON object.

A benchmark is a module of this package with `rows(catalog: Path | None) -> list[Row]`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks.row import Row

ORDER = (
    "ingest",
    "shots",
    "encoders",
    "training",
    "training_size",
    "optimizers",
    "context",
    "small",
    "search",
    "probes",
    "lineage",
    "orchestration",
    "scale",
    "partitions",
)
MODULES = {"small": "small_catalogues", "partitions": "scale_partitions"}
"""Benchmarks whose module has a longer name."""
PIPE_WIDTH = 180


def available() -> list[str]:
    """The benchmarks that exist, in the order in which they run."""
    return [name for name in ORDER if find_spec(module_of(name)) is not None]


def module_of(name: str) -> str:
    """Where the benchmark of that name is."""
    return f"benchmarks.{MODULES.get(name, name)}"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", type=click.Choice([*available(), "all"]), default="all")
@click.option("--json", "is_json", is_flag=True, help="One JSON object on stdout, nothing else there.")
@click.option(
    "--catalog",
    type=click.Path(exists=True, path_type=Path),
    help="A folder of titles to measure on; without it each benchmark makes its data from a seed.",
)
def main(name: str, is_json: bool, catalog: Path | None) -> None:
    """Measure NAME, or all benchmarks."""
    names = available() if name == "all" else [name]
    # Whatever a benchmark prints goes to stderr: stdout belongs to the result.
    with contextlib.redirect_stdout(sys.stderr):
        rows = [row for each in names for row in importlib.import_module(module_of(each)).rows(catalog)]
    if is_json:
        click.echo(json.dumps({"machine": machine(), "rows": [row.as_json() for row in rows]}))
    else:
        # A pipe has no width of its own; the table needs about this much to stand on one line per row.
        Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table(rows))


def machine() -> dict[str, Any]:
    """What the figures were measured on: no host name, no user."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "num_cores": cores,
        "python": platform.python_version(),
        "load_1_minute": os.getloadavg()[0],
    }


def table(rows: list[Row]) -> Table:
    """The rows as a table for people; a goal that was met or missed is marked."""
    drawn = Table(title="MediaFM benchmarks (ratio = ours / rival's, same run)")
    for heading in ("what", "ours", "unit", "rival", "rival's", "ratio", "goal"):
        drawn.add_column(heading, justify="left" if heading in {"what", "unit", "rival"} else "right")
    for row in rows:
        drawn.add_row(
            row.name,
            _short(row.value),
            row.unit,
            row.rival or "",
            _short(row.rival_value),
            _short(row.ratio),
            _goal(row),
        )
    return drawn


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _goal(row: Row) -> str:
    arrow = "<=" if row.better == "lower" else ">="
    if row.goal is None:
        return "lower is better" if row.better == "lower" else "higher is better"
    return f"{arrow} {_short(row.goal)} {'met' if row.is_goal_met else 'MISSED'}"


if __name__ == "__main__":
    main()

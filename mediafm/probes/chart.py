"""The probe report as a picture: one panel per task and measure, one line per feature set, chance as a dashed line."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from mediafm.probes.report import ProbeReport, ProbeRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NUM_COLUMNS = 3
PANEL_WIDTH_INCHES = 3.4
LINE_HEIGHT_INCHES = 0.26
PANEL_MARGIN_INCHES = 0.85
MAX_PANELS = 24
DOTS_PER_INCH = 110
ABOVE_CHANCE, AT_CHANCE = "#1f5fa8", "#9a9a9a"


def probe_chart(report: ProbeReport) -> bytes:
    """PNG of the report; values that are not above chance are grey. Panels beyond `MAX_PANELS` are counted only."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: dict[tuple[str, str], list[ProbeRow]] = {}
    for row in report.rows:
        panels.setdefault((row.task, row.measure), []).append(row)
    shown = list(panels.items())[:MAX_PANELS]
    num_columns = min(NUM_COLUMNS, max(1, len(shown)))
    num_rows = max(1, math.ceil(len(shown) / num_columns))
    num_lines = max((len(rows) for _, rows in shown), default=1)
    figure = Figure(
        figsize=(
            PANEL_WIDTH_INCHES * num_columns + 0.6,
            num_rows * (PANEL_MARGIN_INCHES + LINE_HEIGHT_INCHES * num_lines) + 0.5,
        ),
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(num_rows, num_columns, squeeze=False)
    for number, axes in enumerate(all_axes.ravel()):
        if number < len(shown):
            (task, measure), rows = shown[number]
            _draw_panel(axes, task, measure, rows, has_names=number % num_columns == 0)
        else:
            axes.set_axis_off()
    figure.suptitle(_heading(report, len(panels) - len(shown)), fontsize=9)
    return _png(figure)


def _draw_panel(axes: Axes, task: str, measure: str, rows: list[ProbeRow], has_names: bool) -> None:
    for height, row in enumerate(reversed(rows)):
        colour = ABOVE_CHANCE if row.is_above_chance else AT_CHANCE
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [height, height], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot([row.value], [height], marker="o", markersize=5, color=colour)
        axes.annotate(
            f"{row.value:.2f}",
            (row.value, height),
            xytext=(0, 4.5),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
        )
    axes.axvline(rows[0].chance, color="black", linestyle="--", linewidth=0.8, zorder=0)
    names = [_plain(row.features, 32) for row in reversed(rows)]
    axes.set_yticks(range(len(rows)), names if has_names else [""] * len(rows), fontsize=8)
    axes.set_ylim(-0.6, len(rows) - 0.2)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title(f"{_plain(task, 40)}\n{measure}, {rows[0].num_clips} clips, {rows[0].num_groups} groups", fontsize=8)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _heading(report: ProbeReport, num_hidden: int) -> str:
    if not report.rows:
        return "No task could be measured: " + "; ".join(
            _plain(f"{problem.where}: {problem.sentence}", 120) for problem in report.not_measured[:3]
        )
    more = f"; {num_hidden} more panels not drawn" if num_hidden else ""
    return f"Linear probes: value and 95 % interval over groups, dashed line = chance, grey = not above it{more}"


def _plain(text: str, max_characters: int) -> str:
    """A label's name as text: no line breaks, no formulas (matplotlib reads $...$ as one), not endless."""
    flat = " ".join(text.split()).replace("$", r"\$")
    return flat if len(flat) <= max_characters else flat[: max_characters - 1] + "…"


def _png(figure: Any) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return drawn.getvalue()

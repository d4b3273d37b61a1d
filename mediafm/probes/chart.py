"""The probe report as one picture: a panel per task and measure, a line per feature set, chance as a dashed line.

Sets that need no model stand above those that have one, in another colour; the vertical line of the best of them is
what a contextual set has to pass. Values are of the vectors as they are; those after PCA stand in the tables.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from mediafm.probes.report import ProbeReport, ProbeRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NUM_COLUMNS = 4
PANEL_WIDTH_INCHES = 3.0
NAMES_WIDTH_INCHES = 2.0
LINE_HEIGHT_INCHES = 0.2
PANEL_MARGIN_INCHES = 0.85
MAX_PANELS = 24
DOTS_PER_INCH = 110
BASELINE, WITH_MODEL = "#b0622f", "#1f5fa8"


def probe_chart(report: ProbeReport) -> bytes:
    """PNG of the report; hollow where a value is not above chance. Panels beyond `MAX_PANELS` are counted only."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels: dict[tuple[str, str], list[ProbeRow]] = {}
    for row in report.rows:
        if row.pca_width is None:
            panels.setdefault((row.task, row.measure), []).append(row)
    shown = list(panels.values())[:MAX_PANELS]
    num_columns = min(NUM_COLUMNS, max(1, len(shown)))
    num_rows = max(1, math.ceil(len(shown) / num_columns))
    num_lines = max(map(len, shown), default=1)
    figure = Figure(
        figsize=(
            PANEL_WIDTH_INCHES * num_columns + NAMES_WIDTH_INCHES,
            num_rows * (PANEL_MARGIN_INCHES + LINE_HEIGHT_INCHES * num_lines) + 0.5,
        ),
        layout=ConstrainedLayoutEngine(wspace=0.05),
    )
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(num_rows, num_columns, squeeze=False)
    for number, axes in enumerate(all_axes.ravel()):
        if number < len(shown):
            _draw_panel(axes, _ordered(shown[number]), has_names=number % num_columns == 0)
        else:
            axes.set_axis_off()
    figure.suptitle(_heading(report, len(panels) - len(shown)), fontsize=9)
    return _png(figure)


def _ordered(rows: list[ProbeRow]) -> list[ProbeRow]:
    """From the bottom to the top: those with a model, then the baselines, each in the report's order from the top."""
    return sorted(rows, key=lambda row: not row.is_baseline)[::-1]


def _draw_panel(axes: Axes, rows: list[ProbeRow], has_names: bool) -> None:
    for height, row in enumerate(rows):
        colour = BASELINE if row.is_baseline else WITH_MODEL
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [height, height], color=colour, linewidth=1.6, alpha=0.55)
        face = colour if row.is_above_chance else "white"
        axes.plot([row.value], [height], marker="o", markersize=4.5, color=colour, markerfacecolor=face)
        axes.annotate(f"{row.value:.2f}", (1.0, height), xycoords=("axes fraction", "data"), va="center", fontsize=6.5)
    axes.axvline(rows[0].chance, color="black", linestyle="--", linewidth=0.8, zorder=0)
    best = max((row.value for row in rows if row.is_baseline), default=None)
    if best is not None:
        axes.axvline(best, color=BASELINE, linewidth=0.7, zorder=0)
    axes.set_yticks(range(len(rows)), [_plain(row.features, 34) if has_names else "" for row in rows], fontsize=7.5)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(BASELINE if row.is_baseline else WITH_MODEL)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", length=0)
    said = f"{_plain(rows[0].task, 40)}\n{rows[0].measure}, {rows[0].num_clips} clips, {rows[0].num_groups} groups"
    axes.set_title(said, fontsize=8)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _heading(report: ProbeReport, num_hidden: int) -> str:
    if not report.rows:
        return "No task could be measured: " + "; ".join(
            _plain(f"{problem.where}: {problem.sentence}", 120) for problem in report.not_measured[:3]
        )
    more = f"; {num_hidden} more panels not drawn" if num_hidden else ""
    return (
        "Linear probes: value and 95 % interval over groups. Brown: without a model; blue: with one.\n"
        f"Dashed: chance; brown line: the best without a model; hollow: not above chance{more}"
    )


def _plain(text: str, max_characters: int) -> str:
    """A label's name as text: no line breaks, no formulas (matplotlib reads $...$ as one), not endless."""
    flat = " ".join(text.split()).replace("$", r"\$")
    return flat if len(flat) <= max_characters else flat[: max_characters - 1] + "…"


def _png(figure: Any) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return drawn.getvalue()

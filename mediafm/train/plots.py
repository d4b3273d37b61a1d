"""A run's pictures as PNG: loss and skill, rates and gradient norm, the layer table. No global matplotlib state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from mediafm.train.card_tables import columns_of, is_exported, measure
from mediafm.train.curves import CurvePoint
from mediafm.types import Json

CURVES_FILE, RATES_FILE, LAYERS_FILE = "curves.png", "rates.png", "layers.png"
_WIDTH_INCHES, _HEIGHT_INCHES, _DOTS_PER_INCH = 9.0, 6.0, 110
_COLOURS = {"video": "#1b6ca8", "audio": "#d98e04", "text": "#3f8f4f"}


def curves_png(curves: Sequence[CurvePoint], best_step: int, title: str) -> bytes:
    """PNG bytes: training and validation loss, validation skill in total and by modality, both over steps.

    Args:
        curves: of `TrainResult`, at least one point.
        best_step: where the exported state was taken.
        title: stands above.
    """
    figure = _figure(_HEIGHT_INCHES, title)
    losses, skills = figure.subplots(2, 1, sharex=True)
    _draw_losses(losses, curves)
    _draw_skills(skills, curves)
    for axes in (losses, skills):
        axes.axvline(best_step, color="#888888", linewidth=1, linestyle=":", label=f"exported: step {best_step}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    skills.set_xlabel("step")
    return _png(figure)


def rates_png(curves: Sequence[CurvePoint], title: str) -> bytes:
    """PNG bytes: learning rates, gradient norm before clipping, and shots a second, over the steps that were taken."""
    figure = _figure(_HEIGHT_INCHES, title)
    rates, norms, speeds = figure.subplots(3, 1, sharex=True)
    steps = [point.num_steps for point in curves]
    for name, colour in (("muon_lr", "#1b6ca8"), ("adamw_lr", "#d98e04")):
        _line(rates, steps, [getattr(point, name) for point in curves], colour, name.removesuffix("_lr"))
    _line(norms, steps, [point.gradient_norm for point in curves], "#b03a48", "before clipping")
    _line(speeds, steps, [point.shots_per_second for point in curves], "#3f8f4f", "without evaluation")
    labels = ("learning rate", "gradient norm", "shots a second")
    for axes, label in zip((rates, norms, speeds), labels, strict=True):
        axes.set_ylabel(label, fontsize=9)
        axes.set_ylim(bottom=0.0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    speeds.set_xlabel("steps taken, those of the decay included")
    return _png(figure)


def layers_png(layers: Mapping[str, Any], title: str) -> bytes | None:
    """PNG bytes: the report's layer table, each column shaded from its worst to its best, the exported row in bold.

    Args:
        layers: `LayerTable.as_json()`; columns are whatever its rows measure.
        title: stands above.

    Returns:
        None for a table without rows.
    """
    rows = layers["rows"]
    if not rows:
        return None
    columns = [name for name in columns_of(layers) if any(_is_number(row.get(name)) for row in rows)]
    figure = _figure(1.2 + 0.27 * len(rows), title)
    axes = figure.subplots()
    axes.axis("off")
    cells = [[measure(row.get(name)) for name in columns] for row in rows]
    shades = _shades(rows, columns)
    drawn = axes.table(
        cellText=cells,
        cellColours=shades,
        rowLabels=[f"{row['name']}  " for row in rows],
        colLabels=[name.replace("_", "\n", 1).replace("_", " ") for name in columns],
        loc="center",
        cellLoc="center",
        bbox=(0.0, 0.0, 1.0, 1.0),
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9)
    for (at, _), cell in drawn.get_celld().items():
        cell.set_edgecolor("#dddddd")
        cell.set_linewidth(0.5)
        if at == 0 or is_exported(rows[at - 1], layers):
            cell.set_text_props(weight="bold")
        if at == 0:
            cell.set_height(cell.get_height() * 1.7)
    return _png(figure)


def _figure(height_inches: float, title: str) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_INCHES, height_inches), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    return figure


def _png(figure: Any) -> bytes:
    sink = io.BytesIO()
    # Without a software tag equal curves give equal bytes under one matplotlib.
    figure.savefig(sink, format="png", metadata={"Software": None})
    return sink.getvalue()


def _line(axes: Any, steps: Sequence[int], values: Sequence[float], colour: str, label: str) -> None:
    axes.plot(steps, values, color=colour, marker="o", markersize=2.5, linewidth=1.2, label=label)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shades(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[list[str]]:
    """A cell's colour: white for its column's least value, light blue for the greatest."""
    found = [["#ffffff"] * len(columns) for _ in rows]
    for at, name in enumerate(columns):
        known = [row[name] for row in rows if _is_number(row.get(name))]
        low, high = min(known), max(known)
        for line, row in zip(found, rows, strict=True):
            if _is_number(row.get(name)) and high > low:
                share = (row[name] - low) / (high - low)
                line[at] = f"#{round(255 - 85 * share):02x}{round(255 - 45 * share):02x}ff"
    return found


def _phases(curves: Sequence[CurvePoint]) -> list[list[CurvePoint]]:
    """The stable points and the decay's, each in order: the decay starts from the stable phase's best point."""
    stable = [point for point in curves if point.phase == "stable"]
    decay = [point for point in curves if point.phase == "decay"]
    if not decay:
        return [stable]
    return [stable, [min(stable, key=lambda point: point.validation_loss), *decay]]


def _draw_losses(axes: Any, curves: Sequence[CurvePoint]) -> None:
    for name, colour, label in (("train_loss", "#999999", "train"), ("validation_loss", "#b03a48", "validation")):
        for run in _phases(curves):
            is_decay = run[-1].phase == "decay"
            axes.plot(
                [point.step for point in run],
                [getattr(point, name) for point in run],
                color=colour,
                linestyle="--" if is_decay else "-",
                marker="o",
                markersize=2.5,
                label=f"{label}, decay" if is_decay else label,
            )
    axes.set_ylabel("loss on masked shots\n(validation: cosine distance)")


def _draw_skills(axes: Any, curves: Sequence[CurvePoint]) -> None:
    axes.axhline(0.0, color="#333333", linewidth=0.8)
    for run in _phases(curves):
        is_decay = run[-1].phase == "decay"
        style = "--" if is_decay else "-"
        known = [point for point in run if point.validation_skill is not None]
        axes.plot(
            [point.step for point in known],
            [point.validation_skill for point in known],
            style,
            color="#222222",
            linewidth=2,
            label=None if is_decay else "total",
        )
        for modality, colour in _COLOURS.items():
            seen = [point for point in run if modality in point.skill_by_modality]
            if seen:
                axes.plot(
                    [point.step for point in seen],
                    [point.skill_by_modality[modality] for point in seen],
                    style,
                    color=colour,
                    linewidth=1,
                    label=None if is_decay else modality,
                )
    axes.set_ylabel("skill on validation\n(0 = best trivial predictor)")

"""A run's curves as one PNG: loss above, skill below, learning rates beside. No global matplotlib state."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from mediafm.train.curves import CurvePoint

_WIDTH_INCHES, _HEIGHT_INCHES, _DOTS_PER_INCH = 9.0, 6.0, 110
_COLOURS = {"video": "#1b6ca8", "audio": "#d98e04", "text": "#3f8f4f"}


def curves_png(curves: Sequence[CurvePoint], best_step: int, title: str) -> bytes:
    """PNG bytes: training and validation loss, validation skill in total and by modality, both over steps.

    Args:
        curves: of `TrainResult`, at least one point.
        best_step: where the exported state was taken.
        title: stands above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    losses, skills = figure.subplots(2, 1, sharex=True)
    _draw_losses(losses, curves)
    _draw_skills(skills, curves)
    for axes in (losses, skills):
        axes.axvline(best_step, color="#888888", linewidth=1, linestyle=":", label=f"exported: step {best_step}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    skills.set_xlabel("step")
    sink = io.BytesIO()
    # Without a software tag equal curves give equal bytes under one matplotlib.
    figure.savefig(sink, format="png", metadata={"Software": None})
    return sink.getvalue()


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
    axes.set_ylabel("cosine distance, masked shots")


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

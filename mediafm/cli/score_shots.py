"""`mediafm score-shots`: a detector's cuts or scores against the truth."""

from __future__ import annotations

from pathlib import Path

import click

from mediafm.cli.options import json_option
from mediafm.cli.show import echo_json, echo_table
from mediafm.shots.score import TRUTH_SHAPES


@click.command("score-shots")
@click.argument("truth", type=click.Path(path_type=Path))
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option(
    "--tolerance", default=2, show_default=True, type=click.IntRange(0), help="Frames that a cut may lie off."
)
@click.option(
    "--truth-format", type=click.Choice(TRUTH_SHAPES), help="What TRUTH holds, where it does not say so itself."
)
@json_option
def score_shots(truth: Path, predictions: Path, tolerance: int, truth_format: str | None, as_json: bool) -> None:
    """Precision, recall and F1 of PREDICTIONS against TRUTH, by TransNetV2's convention.

    A transition is found by a cut within --tolerance frames of its span, once; a second cut in it is false.

    Files count frames from 0. Cuts: a number a line, [49, 117] or {"cuts": [...]}. Scenes: "first last" a line, both
    inclusive (TransNetV2's .scenes.txt, BBC, RAI), or {"scenes": [[0, 48], ...]}. Transitions (TRUTH): pairs of the old
    shot's last and the new one's first frame, {"transitions": [[48, 49], ...]} (ClipShots), or objects with start_frame
    and end_frame. Scores (PREDICTIONS): a number from 0 to 1 for each frame, in text, JSON or .npy; they are swept over
    thresholds, and * marks the best F1.
    """
    from mediafm.shots.score_sweep import score_shot_files

    report = score_shot_files(truth, predictions, tolerance_frames=tolerance, truth_shape=truth_format)
    if as_json:
        echo_json(report.as_json())
        return
    rows = []
    for row in report.rows:
        counts = (row.num_cuts, row.score.num_found, row.score.num_missed, row.score.num_false)
        ratios = (f"{ratio:.4f}" for ratio in (row.score.precision, row.score.recall, row.score.f1))
        mark = "*" if row is report.best and len(report.rows) > 1 else ""
        rows.append((row.threshold, *counts, *ratios, mark))
    headers = ("threshold", "cuts", "found", "missed", "false", "precision", "recall", "F1", "best")
    title = f"{report.num_transitions} transitions, tolerance {report.tolerance_frames} frames"
    echo_table(headers, rows, title)

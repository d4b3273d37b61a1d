"""Scores a detector's cuts, or its per-frame scores at every threshold, against true transitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mediafm.shots.score import BoundaryScore, Transition, score_cuts
from mediafm.shots.score_files import Predictions, read_predictions, read_truth
from mediafm.shots.transnetv2_runs import RunCuts
from mediafm.types import Json

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""0.05 to 0.95 (our choice); the published threshold, 0.5, is one of them."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One line of a report. threshold: of the scores; None where cuts were given."""

    threshold: float | None
    num_cuts: int
    score: BoundaryScore

    def as_json(self) -> dict[str, Json]:
        return {
            "threshold": self.threshold,
            "num_cuts": self.num_cuts,
            "num_found": self.score.num_found,
            "num_missed": self.score.num_missed,
            "num_false": self.score.num_false,
            "precision": self.score.precision,
            "recall": self.score.recall,
            "f1": self.score.f1,
        }


@dataclass(frozen=True, slots=True)
class ShotReport:
    """The scores of one title. rows: one for cuts, one for each threshold for scores, in rising order."""

    tolerance_frames: int
    num_transitions: int
    rows: tuple[ScoreRow, ...]

    @property
    def best(self) -> ScoreRow:
        """The row with the highest F1; of equals the one whose threshold is nearest to one half."""
        return max(self.rows, key=lambda row: (row.score.f1, -abs((row.threshold or 0.5) - 0.5)))

    def as_json(self) -> dict[str, Json]:
        return {
            "tolerance_frames": self.tolerance_frames,
            "num_transitions": self.num_transitions,
            "rows": [row.as_json() for row in self.rows],
            "best": self.best.as_json(),
        }


def score_shot_files(
    truth: Path, predictions: Path, *, tolerance_frames: int = 2, truth_shape: str | None = None
) -> ShotReport:
    """Scores a file of predictions against a file of truth; `score_files` says which shapes are read.

    The convention is TransNetV2's (see `match_cuts`). One thing differs from its `evaluate_scenes`: a predicted scene
    counts as one cut, at its first frame, and not as a span, so that a detector gains nothing by leaving frames out.

    Raises:
        NotFoundError: a file is not there.
        ConfigError: a file has another shape; says on which line.
    """
    return score_predictions(read_truth(truth, truth_shape), read_predictions(predictions), tolerance_frames)


def score_predictions(truth: Sequence[Transition], predictions: Predictions, tolerance_frames: int = 2) -> ShotReport:
    """Scores cuts as they are, and scores at every one of `THRESHOLDS`."""
    if predictions.scores is None:
        rows = [_row(None, predictions.cuts, truth, tolerance_frames)]
    else:
        rows = [_row(each, cuts_above(predictions.scores, each), truth, tolerance_frames) for each in THRESHOLDS]
    return ShotReport(tolerance_frames, len(truth), tuple(rows))


def cuts_above(scores: NDArray[np.floating], threshold: float) -> tuple[int, ...]:
    """Cuts by the published convention: the first frame after each run of scores above the threshold (`RunCuts`)."""
    runs = RunCuts("end")
    return tuple(cut for is_above in (scores > threshold).tolist() for cut in runs.push(is_above))


def _row(threshold: float | None, cuts: Sequence[int], truth: Sequence[Transition], tolerance_frames: int) -> ScoreRow:
    return ScoreRow(threshold, len(cuts), score_cuts(cuts, truth, tolerance_frames))

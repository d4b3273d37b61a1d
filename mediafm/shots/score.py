"""Scores predicted cuts against true transitions.

The convention is TransNetV2's (Souček and Lokoč, 2020, arXiv:2008.04838, `metrics_utils.py` in their repository):
a transition is a span of frames, a prediction that lies within a tolerance of it finds it, each transition is found
once, each prediction finds one. What is left over on either side is a miss or a false positive: a second cut inside
one dissolve is false (`without_repeats` is for the laxer tables that pass over it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mediafm.errors import MediaFMError

TRUTH_SHAPES = ("cuts", "scenes", "transitions")
"""What a file of truth may hold; `score_files` reads them."""


@dataclass(frozen=True, slots=True, order=True)
class Transition:
    """A true boundary between two shots, half-open.

    start_frame: the first frame of the transition; of the new shot if it is a hard cut.
    end_frame: the first frame after it; equal to `start_frame` for a hard cut.
    kind: "cut", "dissolve", "fade" or another word; it does not enter the score.
    """

    start_frame: int
    end_frame: int
    kind: str = "cut"

    def __post_init__(self) -> None:
        if self.end_frame < self.start_frame:
            raise MediaFMError(
                f"a transition of frames {self.start_frame} to {self.end_frame}",
                rule="a transition does not end before it starts",
            )


@dataclass(frozen=True, slots=True)
class BoundaryScore:
    """Counts, and what follows from them. A ratio with nothing to divide by is 1.0: nothing was got wrong."""

    num_found: int
    num_missed: int
    num_false: int

    @property
    def precision(self) -> float:
        return _ratio(self.num_found, self.num_found + self.num_false)

    @property
    def recall(self) -> float:
        return _ratio(self.num_found, self.num_found + self.num_missed)

    @property
    def f1(self) -> float:
        return _ratio(2 * self.num_found, 2 * self.num_found + self.num_missed + self.num_false)


@dataclass(frozen=True, slots=True)
class Matching:
    """Which prediction found which transition: pairs of positions, and what was left over on either side."""

    pairs: tuple[tuple[int, int], ...]
    missed: tuple[Transition, ...]
    false_cuts: tuple[int, ...]

    @property
    def score(self) -> BoundaryScore:
        return BoundaryScore(len(self.pairs), len(self.missed), len(self.false_cuts))


def match_cuts(cuts: Sequence[int], truth: Sequence[Transition], tolerance_frames: int = 2) -> Matching:
    """Matches cuts with transitions, as many as can be.

    A cut at frame c is the first frame of a new shot; it finds a transition if
    `start_frame - tolerance <= c <= end_frame + tolerance`. Cuts are taken in order, each with the free transition
    that ends first: no other choice finds more (Glover, "Maximum matching in a convex bipartite graph", 1967).
    """
    free = sorted(range(len(truth)), key=lambda j: (truth[j].end_frame, truth[j].start_frame))
    pairs: list[tuple[int, int]] = []
    false_cuts: list[int] = []
    for i in sorted(range(len(cuts)), key=lambda i: cuts[i]):
        found = next((j for j in free if _finds(cuts[i], truth[j], tolerance_frames)), None)
        if found is None:
            false_cuts.append(cuts[i])
        else:
            free.remove(found)
            pairs.append((i, found))
    return Matching(tuple(pairs), tuple(sorted(truth[j] for j in free)), tuple(false_cuts))


def _finds(cut: int, transition: Transition, tolerance_frames: int) -> bool:
    return transition.start_frame - tolerance_frames <= cut <= transition.end_frame + tolerance_frames


def without_repeats(cuts: Sequence[int], truth: Sequence[Transition], tolerance_frames: int = 2) -> tuple[int, ...]:
    """Cuts less those that lie in a transition which another cut has found.

    Some tables count a second cut inside one dissolve for nothing instead of as false; scoring what this returns
    gives their figures.
    """
    matching = match_cuts(cuts, truth, tolerance_frames)
    stray = [
        cut for cut in matching.false_cuts if not any(_finds(cut, transition, tolerance_frames) for transition in truth)
    ]
    return tuple(sorted([*(cuts[i] for i, _ in matching.pairs), *stray]))


def score_cuts(cuts: Sequence[int], truth: Sequence[Transition], tolerance_frames: int = 2) -> BoundaryScore:
    """Precision, recall and F1 of cuts; see `match_cuts` for the convention."""
    return match_cuts(cuts, truth, tolerance_frames).score


def total_score(scores: Sequence[BoundaryScore]) -> BoundaryScore:
    """The score over several titles: counts add up."""
    return BoundaryScore(
        sum(score.num_found for score in scores),
        sum(score.num_missed for score in scores),
        sum(score.num_false for score in scores),
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0

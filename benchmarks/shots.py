"""Shot boundaries: precision, recall and F1 of every detector, false cuts in takes that have none, and speed.

Measured on made-up videos of a seed that the default detector was not fitted on, on a drawn sample catalogue, and on
every `*.mp4` of the given folder that has a `*.json` of its true transitions beside it. A second cut inside one
transition counts as false. TransNet V2 takes part where its weights are installed.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import shots_transnetv2
from benchmarks.row import Row, alternate_seconds
from benchmarks.shots_sets import (
    NUM_SPANS,
    RATE_HZ,
    SEED,
    SIZE_PX,
    ShotSet,
    Source,
    given_sets,
    made_up,
    sample_set,
    shrunk,
)
from benchmarks.transitions import disturbed, procedural, procedural_span
from mediafm.config import DetectorChoice
from mediafm.extract.child_bounds import let_threads_sleep
from mediafm.shots.given import GIVEN
from mediafm.shots.registry import create_detector, detector_names
from mediafm.shots.score import BoundaryScore, score_cuts, total_score
from mediafm.shots.transnetv2_weights import PACKAGE

NUM_TAKES = 60
TAKE_FRAMES = 120
OURS, RIVAL = "lite", "adaptive"
GOALS = {"hard_cuts": 0.98, "mixed": 0.92, "gradual": 0.80}
SPEED_REPEATS = 5
GOAL_OF_SPEED = 1.1


def rows(catalog: Path | None) -> list[Row]:
    """Scores on every set; false cuts a minute; seconds of detecting alone and with decoding.

    Threads wait as they do in the reading process, so that a busy machine tells the same as production.
    """
    let_threads_sleep()
    given = list(given_sets(catalog))
    with TemporaryDirectory() as scratch:
        sets = [made_up(), sample_set(catalog, Path(scratch)), *given]
        found = [row for each in sets for row in _score_rows(each)]
    found.append(_false_row())
    frames = procedural(SEED, NUM_SPANS, size_px=SIZE_PX).frames
    found += _speed_rows("detecting alone", partial(shrunk, frames), len(frames))
    for each in given[:1]:
        source, _ = each.titles[0]
        num_frames = sum(1 for _ in source(create_detector(DetectorChoice(name=OURS)).spec))
        found += _speed_rows("decoding and detecting", source, num_frames)
    return found + (shots_transnetv2.rows(given) if find_spec(PACKAGE) else [])


def contenders() -> list[str]:
    """The detectors that look at frames and can be made here, the default first."""
    absent = {GIVEN} | (set() if find_spec(PACKAGE) else {shots_transnetv2.NAME})
    return [name for name in detector_names() if name not in absent]


def cuts_of(name: str, source: Source) -> list[int]:
    """What a fresh detector of this name finds."""
    detector = create_detector(DetectorChoice(name=name))
    cuts = [cut for frame in source(detector.spec) for cut in detector.push(frame)]
    return cuts + detector.flush()


def _score_rows(shot_set: ShotSet) -> list[Row]:
    """Our F1, precision and recall, and the same beside every rival's."""

    def score(name: str) -> BoundaryScore:
        return total_score([score_cuts(cuts_of(name, source), truth) for source, truth in shot_set.titles])

    prefix, ours = f"shots: {shot_set.name}", score(OURS)
    name, goal = f"{prefix}, {OURS}", GOALS.get(shot_set.name)
    found = [
        Row(name=name, value=ours.f1, unit="F1", goal=goal, better="higher"),
        Row(name=name, value=ours.precision, unit="precision", better="higher"),
        Row(name=name, value=ours.recall, unit="recall", better="higher"),
    ]
    for rival in contenders()[1:]:
        theirs = score(rival)
        found += [
            Row(name=prefix, value=mine, unit=unit, rival=rival, rival_value=value, better="higher")
            for unit, mine, value in (
                ("F1", ours.f1, theirs.f1),
                ("precision", ours.precision, theirs.precision),
                ("recall", ours.recall, theirs.recall),
            )
        ]
    return found


def _false_row() -> Row:
    """Takes without a cut, most with a disturbance: flashes, pans, zooms, shakes, light, explosions, captions."""
    rng = np.random.default_rng(SEED)
    takes = [disturbed(rng, procedural_span(rng, TAKE_FRAMES, *SIZE_PX)) for _ in range(NUM_TAKES)]
    minutes = NUM_TAKES * TAKE_FRAMES / RATE_HZ / 60
    ours, rivals = (sum(len(cuts_of(name, partial(shrunk, take))) for take in takes) for name in (OURS, RIVAL))
    return Row(
        name="shots: false cuts in made-up takes that have none",
        value=ours / minutes,
        unit="cuts/min",
        rival=RIVAL,
        rival_value=rivals / minutes,
    )


def _speed_rows(what: str, source: Source, num_frames: int) -> list[Row]:
    """Microseconds a frame in turns; for frames in memory, shrinking is done before the clock starts."""
    sources = {name: _ready(name, source) if what == "detecting alone" else source for name in (OURS, RIVAL)}
    ours, rivals = alternate_seconds(
        lambda: cuts_of(OURS, sources[OURS]), lambda: cuts_of(RIVAL, sources[RIVAL]), SPEED_REPEATS
    )
    scale = 1e6 / num_frames
    return [
        Row(
            name=f"shots: {what}",
            value=ours * scale,
            unit="µs/frame",
            rival=RIVAL,
            rival_value=rivals * scale,
            goal=GOAL_OF_SPEED,
        ),
        Row(name=f"shots: {what}, {OURS}", value=num_frames / RATE_HZ / ours, unit="x real time", better="higher"),
    ]


def _ready(name: str, source: Source) -> Source:
    frames = list(source(create_detector(DetectorChoice(name=name)).spec))
    return lambda _: iter(frames)

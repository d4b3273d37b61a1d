"""Shot boundaries: F1 of every detector, false cuts in takes that have none, and speed against Adaptive.

Measured on made-up videos of a seed that the default detector was not fitted on, and on every `*.mp4` of the given
folder that has a `*.json` of its true transitions beside it. A second cut inside one transition counts as false.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.row import Row, alternate_seconds
from benchmarks.transitions import Frames, disturbed, procedural, procedural_span
from mediafm.config import DetectorChoice, MediaLimits
from mediafm.shots.detector import DetectorSpec, SmallFrame
from mediafm.shots.registry import create_detector, detector_names
from mediafm.shots.score import BoundaryScore, Transition, score_cuts, total_score

SEED = 50_000
NUM_VIDEOS = 12
NUM_SPANS = 14
NUM_TAKES = 60
TAKE_FRAMES = 120
RATE_HZ = 24.0
SIZE_PX = (256, 144)
OURS, RIVAL = "lite", "adaptive"
GOALS = {"hard_cuts": 0.98, "mixed": 0.92, "gradual": 0.80}
SPEED_REPEATS = 5
GOAL_OF_SPEED = 1.1

Source = Callable[[DetectorSpec], Iterator[SmallFrame]]
"""Small frames as a detector wants them."""


def rows(catalog: Path | None) -> list[Row]:
    """F1, precision and recall on every set; false cuts a minute; seconds of detecting alone and with decoding."""
    videos = [procedural(SEED + number, NUM_SPANS, size_px=SIZE_PX) for number in range(NUM_VIDEOS)]
    generated = [(partial(shrunk, video.frames), video.transitions) for video in videos]
    found = _score_rows("made-up", generated)
    sets = list(_sets(catalog))
    for media, truth in sets:
        found += _score_rows(media.stem, [(partial(decoded, media), truth)])
    found.append(_false_row())
    found += _speed_rows("detecting alone", partial(shrunk, videos[0].frames), len(videos[0].frames))
    for media, _ in sets[:1]:
        found += _speed_rows("decoding and detecting", partial(decoded, media), _num_frames(media))
    return found


def shrunk(frames: Frames, spec: DetectorSpec) -> Iterator[SmallFrame]:
    """Frames in memory at the size that `spec` asks for."""
    height, width = frames.shape[1:3]
    size = (spec.frame_width_px, spec.frame_height_px or round(spec.frame_width_px * height / width))
    for index, frame in enumerate(frames):
        small = frame if size == (width, height) else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        yield SmallFrame(index, index / RATE_HZ, np.asarray(small, np.uint8))


def decoded(media: Path, spec: DetectorSpec) -> Iterator[SmallFrame]:
    """A file's frames as the ingest pass gives them."""
    from mediafm.media.decode import FrameSource
    from mediafm.media.pictures import DisplayShape, small_pictures
    from mediafm.media.probe import probe

    video = probe(str(media), MediaLimits()).video
    assert video is not None
    shrink = small_pictures(DisplayShape.of(video), spec.frame_width_px, spec.frame_height_px, spec.pixel_format)
    with FrameSource(str(media), video, MediaLimits()) as source:
        for frame in source:
            yield SmallFrame(frame.index, frame.time_seconds, shrink(frame.picture))


def cuts_of(name: str, source: Source) -> list[int]:
    """What a fresh detector of this name finds."""
    detector = create_detector(DetectorChoice(name=name))
    cuts = [cut for frame in source(detector.spec) for cut in detector.push(frame)]
    return cuts + detector.flush()


def _score_rows(set_name: str, videos: Sequence[tuple[Source, Sequence[Transition]]]) -> list[Row]:
    def score(name: str) -> BoundaryScore:
        return total_score([score_cuts(cuts_of(name, source), truth) for source, truth in videos])

    ours = score(OURS)
    prefix = f"shots: {set_name}"
    found = [
        Row(name=f"{prefix}, {OURS}", value=ours.f1, unit="F1", goal=GOALS.get(set_name), better="higher"),
        Row(name=f"{prefix}, {OURS}", value=ours.precision, unit="precision", better="higher"),
        Row(name=f"{prefix}, {OURS}", value=ours.recall, unit="recall", better="higher"),
    ]
    for rival in detector_names():
        if rival != OURS:
            value = score(rival).f1
            found.append(Row(name=prefix, value=ours.f1, unit="F1", rival=rival, rival_value=value, better="higher"))
    return found


def _sets(catalog: Path | None) -> Iterator[tuple[Path, tuple[Transition, ...]]]:
    """The files with a truth beside them, in the folder or its `boundaries`."""
    for media in sorted([*catalog.glob("*.mp4"), *catalog.glob("boundaries/*.mp4")]) if catalog else []:
        truth = media.with_suffix(".json")
        stored = json.loads(truth.read_text()) if truth.is_file() else {}
        if "transitions" in stored:
            spans = [(each["start_frame"], each["end_frame"], each["kind"]) for each in stored["transitions"]]
            yield media, tuple(Transition(*span) for span in spans)


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


def _num_frames(media: Path) -> int:
    stored = json.loads(media.with_suffix(".json").read_text())
    return int(stored["num_frames"])

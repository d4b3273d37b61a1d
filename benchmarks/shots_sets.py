"""Titles whose cuts are known, for the benchmark of shot detectors: drawn, generated, or given."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.transitions import Frames, procedural
from mediafm.config import MediaLimits
from mediafm.shots.detector import DetectorSpec, SmallFrame
from mediafm.shots.score import Transition
from mediafm.shots.score_files import read_truth

SEED = 50_000
NUM_VIDEOS = 12
NUM_SPANS = 14
NUM_DRAWN_TITLES = 2
RATE_HZ = 24.0
SIZE_PX = (256, 144)

Source = Callable[[DetectorSpec], Iterator[SmallFrame]]
"""Small frames as a detector wants them."""


@dataclass(frozen=True, slots=True)
class ShotSet:
    """Titles that are scored together. media: the file, where a set is one file."""

    name: str
    titles: Sequence[tuple[Source, tuple[Transition, ...]]]
    media: Path | None = None


def made_up() -> ShotSet:
    """Videos of a seed that the default detector was not fitted on."""
    videos = [procedural(SEED + number, NUM_SPANS, size_px=SIZE_PX) for number in range(NUM_VIDEOS)]
    return ShotSet("made-up", [(partial(shrunk, video.frames), tuple(video.transitions)) for video in videos])


def given_sets(catalog: Path | None) -> Iterator[ShotSet]:
    """Every `*.mp4` of the folder (or its `boundaries`) with a `*.json` of its transitions beside it, each a set."""
    for media in sorted([*catalog.glob("*.mp4"), *catalog.glob("boundaries/*.mp4")]) if catalog else []:
        truth = media.with_suffix(".json")
        if truth.is_file() and "transitions" in json.loads(truth.read_text()):
            yield ShotSet(media.stem, [(partial(decoded, media), read_truth(truth))], media)


def sample_set(catalog: Path | None, scratch: Path) -> ShotSet:
    """The sample catalogue in the folder, if it is one; else a small one, drawn now."""
    from mediafm.media.synthetic.catalog import write_sample

    folder = catalog if catalog and (catalog / "truth.json").is_file() else scratch / "sample"
    if folder != catalog:
        write_sample(folder, NUM_DRAWN_TITLES, SEED)
    titles = json.loads((folder / "truth.json").read_text())["titles"]
    return ShotSet(
        "sample catalogue", [(partial(decoded, folder / each["file"]), _transitions(each)) for each in titles]
    )


def _transitions(title: dict[str, list[dict[str, int | str]]]) -> tuple[Transition, ...]:
    return tuple(
        Transition(int(each["start_frame"]), int(each["end_frame"]), str(each["kind"])) for each in title["transitions"]
    )


def shrunk(frames: Frames, spec: DetectorSpec) -> Iterator[SmallFrame]:
    """Frames in memory (BGR) at the size and in the order of colours that `spec` asks for."""
    height, width = frames.shape[1:3]
    size = (spec.frame_width_px, spec.frame_height_px or round(spec.frame_width_px * height / width))
    for index, frame in enumerate(frames):
        small = frame if size == (width, height) else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        ordered = small[..., ::-1] if spec.pixel_format == "rgb24" else small
        yield SmallFrame(index, index / RATE_HZ, np.asarray(ordered, np.uint8))


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

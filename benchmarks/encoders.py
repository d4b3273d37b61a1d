"""The encoders: how fast they are, and whether shots that lie close in a title lie close in the lite ones' vectors.

Neighbours are measured as `mediafm.probes.neighbours` defines them, over the given catalogue, else over a sample made
from a seed. Everything goes through the library: cut, encoded and fused as a run would do it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import encoders_audio, encoders_video
from benchmarks.row import Row
from mediafm.catalog.scan import scan_catalog
from mediafm.catalog.title import CatalogTitle
from mediafm.config import Config, load_profile
from mediafm.encoders.encoder import Encoder, ShotAudio, ShotFrames
from mediafm.encoders.registry import create_encoder
from mediafm.errors import MediaError
from mediafm.extract.carriers import CutShot
from mediafm.extract.reader import MediaReader
from mediafm.fusion import Space, fuse
from mediafm.media.audio import is_silent
from mediafm.media.info import MediaInfo
from mediafm.media.synthetic.catalog import write_sample
from mediafm.media.synthetic.settings import SampleSettings
from mediafm.media.timed_text_shots import assign_cues, shot_text
from mediafm.probes.neighbours import NeighbourReport, neighbour_share
from mediafm.probes.vectors import TitleVectors
from mediafm.types import Modality

NUM_SAMPLE_TITLES = 6
SAMPLE_SEED = 0
SAMPLE_SETTINGS = SampleSettings(num_scenes=20, width_px=320, height_px=180)
"""Some sixty shots a title: in shorter ones nearly every answer lies within ten shots, and chance wins."""
SHOTS_AT_ONCE = 32


@dataclass
class Clock:
    """What was encoded and how long it took, by modality; and the one pass over the picture, to compare with."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys((*map(str, Modality), "cut"), 0.0))
    shots: dict[str, int] = field(default_factory=lambda: dict.fromkeys(map(str, Modality), 0))
    media_seconds: float = 0.0


@dataclass(frozen=True)
class Encoded:
    """One title's blocks [N, width] and presence [N] by modality, and its fused vectors."""

    title_id: str
    blocks: dict[Modality, NDArray[np.float32]]
    is_present: dict[Modality, NDArray[np.bool_]]
    fused: NDArray[np.float32]


def rows(catalog: Path | None) -> list[Row]:
    """Speed, neighbour shares with their intervals, and fused against each modality over the same shots."""
    clock = Clock()
    if catalog is not None:
        titles = list(_encode_catalog(catalog, clock))
    else:
        with tempfile.TemporaryDirectory() as folder:
            write_sample(Path(folder) / "sample", NUM_SAMPLE_TITLES, SAMPLE_SEED, settings=SAMPLE_SETTINGS)
            titles = list(_encode_catalog(Path(folder) / "sample", clock))
    return [*_speed_rows(clock), *_neighbour_rows(titles), *encoders_audio.rows(catalog), *encoders_video.rows(catalog)]


def _encode_catalog(catalog: Path, clock: Clock) -> Iterator[Encoded]:
    config, profile = Config(), load_profile("lite")
    encoders = {modality: create_encoder(modality, profile.encoder(modality)) for modality in Modality}
    specs = {modality: encoder.spec.as_json() for modality, encoder in encoders.items()}
    space = Space.create(specs, profile.fusion, config.metadata.fields)
    with MediaReader(config.limits) as reader:
        for title in scan_catalog(str(catalog), config.limits).titles:
            try:
                info = reader.probe(title.uri)
                yield _encode_title(title, info, reader, config, encoders, space, clock)
            except MediaError as error:
                print(f"left out: {title.title_id}: {error}")


def _encode_title(
    title: CatalogTitle,
    info: MediaInfo,
    reader: MediaReader,
    config: Config,
    encoders: dict[Modality, Encoder[Any]],
    space: Space,
    clock: Clock,
) -> Encoded:
    began = time.perf_counter()
    shots = list(reader.cut(title.uri, info, load_profile("lite").detector, config.frames))
    clock.seconds["cut"] += time.perf_counter() - began
    spans = [cut.shot.span for cut in shots]
    clock.media_seconds += sum(span.duration_seconds for span in spans)
    cues = reader.timed_text(title.uri, title.sidecars, info, config.timed_text).cues
    by_shot: dict[int, list[Any]] = {}
    for shot_index, cue in assign_cues(cues, spans).assigned:
        by_shot.setdefault(shot_index, []).append(cue)
    items: dict[Modality, Iterator[tuple[int, Any]]] = {
        Modality.VIDEO: ((cut.shot.index, _frames(cut)) for cut in shots),
        Modality.AUDIO: (
            (shot.index, ShotAudio(shot.samples, config.audio.sample_rate_hz))
            for shot in reader.audio(title.uri, info, spans, config.audio)
            if not is_silent(shot.samples, config.audio)
        ),
        Modality.TEXT: ((shot_index, shot_text(found)) for shot_index, found in by_shot.items()),
    }
    blocks, is_present = {}, {}
    for modality in Modality:
        blocks[modality], is_present[modality] = _encode(encoders[modality], items[modality], len(shots), clock)
    return Encoded(title.title_id, blocks, is_present, fuse(space, blocks, is_present).vectors)


def _encode(
    encoder: Encoder[Any], items: Iterator[tuple[int, Any]], num_shots: int, clock: Clock
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    vectors, is_present = np.zeros((num_shots, encoder.spec.width), np.float32), np.zeros(num_shots, np.bool_)
    name = str(encoder.spec.modality)
    while batch := list(islice(items, SHOTS_AT_ONCE)):
        places = [shot_index for shot_index, _ in batch]
        began = time.perf_counter()
        vectors[places] = encoder.encode([item for _, item in batch])
        clock.seconds[name] += time.perf_counter() - began
        clock.shots[name] += len(batch)
        is_present[places] = True
    return vectors, is_present


def _frames(cut: CutShot) -> ShotFrames:
    pictures = (cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR) for frame in cut.frames)
    shown = tuple(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8) for picture in pictures)
    return ShotFrames(shown, tuple(frame.time_seconds for frame in cut.frames))


def _speed_rows(clock: Clock) -> list[Row]:
    """Shots a second of each encoder, and film against wall clock beside the one pass over the picture."""
    found = [
        Row(
            name=f"encoders: lite-{name}, speed",
            value=clock.shots[name] / clock.seconds[name],
            unit="shots/s",
            better="higher",
        )
        for name in clock.shots
        if clock.shots[name]
    ]
    for name in ("video", "audio"):
        if clock.shots[name]:
            speed = clock.media_seconds / clock.seconds[name]
            cut_speed = clock.media_seconds / clock.seconds["cut"]
            found.append(
                Row(
                    name=f"encoders: lite-{name}, film",
                    value=speed,
                    unit="x real time",
                    rival="the pass that cuts shots",
                    rival_value=cut_speed,
                    better="higher",
                )
            )
    return found


def _neighbour_rows(titles: Sequence[Encoded]) -> list[Row]:
    everywhere = [np.any(list(title.is_present.values()), axis=0) for title in titles]
    found = [_share_row("fused", _share(titles, [title.fused for title in titles], everywhere))]
    for modality in Modality:
        present = [title.is_present[modality] for title in titles]
        alone = _share(titles, [title.blocks[modality] for title in titles], present)
        found.append(_share_row(f"{modality} (where present)", alone))
        found.append(_against_fused(modality, alone, _share(titles, [title.fused for title in titles], present)))
    return [row for row in found if row is not None]


def _share(
    titles: Sequence[Encoded], vectors: Sequence[NDArray[np.float32]], present: Sequence[NDArray[np.bool_]]
) -> NeighbourReport:
    return neighbour_share(
        TitleVectors(title_id=title.title_id, vectors=rows, is_present=flags)
        for title, rows, flags in zip(titles, vectors, present, strict=True)
    )


def _share_row(what: str, report: NeighbourReport) -> Row | None:
    if report.share is None:
        return None
    interval = "" if report.low is None else f", 95 % {report.low:.3f} to {report.high:.3f}"
    return Row(
        name=f"encoders: neighbour share, {what}",
        value=report.share,
        unit=f"share of {report.num_shots} shots in {report.num_titles} titles{interval}",
        rival="chance",
        rival_value=report.chance,
        goal=1.0,
        better="higher",
    )


def _against_fused(modality: Modality, alone: NeighbourReport, fused: NeighbourReport) -> Row | None:
    """Fused against one modality where both are asked about the same shots among the same candidates."""
    if alone.share is None or fused.share is None:
        return None
    return Row(
        name=f"encoders: neighbour share, fused over the shots with {modality}",
        value=fused.share,
        unit="share",
        rival=f"{modality} alone",
        rival_value=alone.share,
        goal=1.0,
        better="higher",
    )

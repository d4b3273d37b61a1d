"""The titles that `ingest` measures on: ten minutes of H.264 and AAC, made once and kept under `.cache/benchmarks`.

Two minutes are encoded and repeated by copying packets. They come from the first long enough title of a catalogue, or,
without one, from drawn scenes: textures that pan and zoom, a hard cut every few seconds, a tone for each shot.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

CACHE = Path(".cache/benchmarks")
PART_SECONDS = 120
NUM_PARTS = 5
FRAME_RATE = 30
AUDIO_RATE_HZ = 44_100
AAC_FRAME = 1024
SOURCE_START_SECONDS = 60
SEED = 0
DRIFT_PX = 120

Frame = VideoFrame | AudioFrame


def title(height_px: int, catalog: Path | None) -> Path:
    """A ten-minute 16:9 title of this height; made if it is not there yet."""
    source = _long_title(catalog) if catalog is not None else None
    name = f"{source.stem if source else 'drawn'}-{height_px}p.mp4"
    path = CACHE / name
    if path.is_file():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    part = CACHE / f"part-{name}"
    size_px = (height_px * 16 // 9, height_px)
    _encode(_taken(source) if source else _drawn(size_px), part, size_px)
    whole = CACHE / f"whole-{name}"
    _repeat(part, whole)
    part.unlink()
    return whole.rename(path)


def _long_title(catalog: Path) -> Path | None:
    """The first file, by name, with enough picture and sound."""
    for file in sorted(catalog.rglob("*.mp4")):
        with av.open(str(file)) as container:
            is_long = (container.duration or 0) >= (SOURCE_START_SECONDS + PART_SECONDS) * 1_000_000
            if is_long and container.streams.video and container.streams.audio:
                return file
    return None


def _taken(source: Path) -> Iterator[Frame]:
    with av.open(str(source)) as container:
        container.seek(SOURCE_START_SECONDS * 1_000_000)
        for frame in container.decode(container.streams.video[0], container.streams.audio[0]):
            if frame.time > SOURCE_START_SECONDS + PART_SECONDS + 1:
                return
            yield frame


def _drawn(size_px: tuple[int, int]) -> Iterator[Frame]:
    """Shots of four seconds: a texture of several scales that drifts, under a block that moves against it."""
    draw = np.random.default_rng(SEED)
    width_px, height_px = size_px
    for shot in range(PART_SECONDS // 4):
        grain = sum(_noise(draw, cell, (height_px + DRIFT_PX, width_px + DRIFT_PX)) for cell in (8, 40, 120))
        texture = (np.asarray(grain) + draw.uniform(0, 60, 3)).clip(0, 255).astype(np.uint8)
        for index in range(4 * FRAME_RATE):
            across, down = index % DRIFT_PX, index * (shot % 3) // 4 % DRIFT_PX
            pixels = texture[down : down + height_px, across : across + width_px].copy()
            pixels[height_px // 3 : height_px // 2, -across - 90 : -across - 20] = 255 - shot * 8
            yield VideoFrame.from_ndarray(pixels, format="rgb24")
        tone = 0.2 * np.sin(2 * np.pi * (200 + 40 * shot) * np.arange(4 * AUDIO_RATE_HZ) / AUDIO_RATE_HZ)
        for start in range(0, tone.size, AAC_FRAME):
            samples = np.repeat(tone[None, start : start + AAC_FRAME], 2, axis=0).astype(np.float32)
            frame = AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            frame.sample_rate = AUDIO_RATE_HZ
            yield frame


def _noise(draw: np.random.Generator, cell: int, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Coloured squares of `cell` px: float [height, width, 3]."""
    coarse = draw.uniform(0, 60, (-(-shape[0] // cell), -(-shape[1] // cell), 3))
    return np.kron(coarse, np.ones((cell, cell, 1)))[: shape[0], : shape[1]]


def _encode(frames: Iterator[Frame], path: Path, size_px: tuple[int, int]) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "23", "preset": "medium"})
        video.width, video.height, video.pix_fmt = *size_px, "yuv420p"
        audio = container.add_stream("aac", rate=AUDIO_RATE_HZ, layout="stereo")
        num_frames = num_samples = 0
        for frame in frames:
            if isinstance(frame, VideoFrame) and num_frames < PART_SECONDS * FRAME_RATE:
                scaled = frame.reformat(*size_px, "yuv420p", interpolation="BICUBIC")
                scaled.pts, scaled.time_base, scaled.pict_type = num_frames, Fraction(1, FRAME_RATE), 0
                num_frames += 1
                container.mux(video.encode(scaled))
            elif isinstance(frame, AudioFrame) and num_samples < PART_SECONDS * AUDIO_RATE_HZ:
                frame.pts, frame.time_base = num_samples, Fraction(1, AUDIO_RATE_HZ)
                num_samples += frame.samples
                container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _repeat(part: Path, whole: Path) -> None:
    """Copies the packets of `part` as often as ten minutes need; each sound track follows the one before it."""
    with av.open(str(whole), "w") as target:
        with av.open(str(part)) as source:
            streams = [target.add_stream_from_template(stream) for stream in source.streams]
        starts = [0] * len(streams)
        for _ in range(NUM_PARTS):
            ends = list(starts)
            with av.open(str(part)) as source:
                for packet in source.demux():
                    if packet.dts is None or packet.pts is None:
                        continue
                    index = packet.stream_index
                    packet.pts += starts[index]
                    packet.dts += starts[index]
                    # AAC begins one frame before its zero: leave room for it.
                    room = AAC_FRAME if packet.stream.type == "audio" else 0
                    ends[index] = max(ends[index], packet.pts + (packet.duration or 0) + room)
                    packet.stream = streams[index]
                    target.mux(packet)
            starts = ends

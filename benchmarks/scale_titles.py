"""Titles of next to no media: a second and a half, two shots, a tone, a subtitle; no two with equal bytes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

NUM_SHOTS = 2
FRAMES_PER_SHOT = 6
FRAMES_PER_SECOND = 8
WIDTH_PX, HEIGHT_PX = 64, 36
SAMPLE_RATE_HZ = 16_000
SUBTITLE = "1\n00:00:00,100 --> 00:00:01,200\nThis is title number {number}.\n"


def write_titles(directory: Path, first: int, num_titles: int) -> None:
    """`num_titles` films with a subtitle each, `title-<number>.mp4`, numbered from `first` on.

    Each appears whole: it is written beside and renamed, subtitle first.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + num_titles):
        name = f"title-{number:06d}"
        (directory / f"{name}.srt").write_text(SUBTITLE.format(number=number))
        beside = directory / f".{name}.partial"
        _write_film(beside, number)
        beside.rename(directory / f"{name}.mp4")


def _write_film(path: Path, number: int) -> None:
    """Two shots of noise around a colour of their own, and a tone of the title's own pitch."""
    draw = np.random.default_rng(number)
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("mpeg4", rate=FRAMES_PER_SECOND)
        video.width, video.height, video.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        for picture in _pictures(draw):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        seconds = NUM_SHOTS * FRAMES_PER_SHOT / FRAMES_PER_SECOND
        times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        samples = (0.3 * np.sin(2 * np.pi * (200 + number % 3000) * times)).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
        sound.sample_rate, sound.time_base, sound.pts = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ), 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def _pictures(draw: np.random.Generator) -> list[NDArray[np.uint8]]:
    pictures = []
    for shot in range(NUM_SHOTS):
        colour = draw.integers(20, 90, 3) + 130 * shot
        for _ in range(FRAMES_PER_SHOT):
            noise = draw.integers(0, 25, (HEIGHT_PX, WIDTH_PX, 3))
            pictures.append((colour + noise).astype(np.uint8))
    return pictures

"""Small media files, written here from scratch so that every time and every sample in them is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

MakeMedia = Callable[..., Path]
VIDEO_TICKS_PER_SECOND = 1000
AUDIO_RATE_HZ = 44_100


def picture(index: int, width_px: int, height_px: int, shots: Sequence[int]) -> np.ndarray:
    """A frame that tells its number (its grey level) and its shot (its hue)."""
    shot = sum(index >= first for first in shots)
    pixels = np.zeros((height_px, width_px, 3), np.uint8)
    pixels[..., shot % 3] = 120 + index % 100
    pixels[: height_px // 2, :, (shot + 1) % 3] = 60
    return pixels


@pytest.fixture
def make_media(tmp_path: Path) -> MakeMedia:
    """`make_media(name, times=[...])`: a file with frames at these times, cuts at `shots`, and `sound` if given."""

    def make(
        name: str,
        times: Sequence[float] = tuple(index / 25 for index in range(50)),
        *,
        size_px: tuple[int, int] = (64, 48),
        shots: Sequence[int] = (0,),
        sound: np.ndarray | None = None,
        sound_start_seconds: float = 0.0,
        language: str | None = None,
        codec: str = "mpeg4",
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            video = container.add_stream(codec, rate=25)
            video.width, video.height, video.pix_fmt = *size_px, "yuv420p"
            video.time_base = video.codec_context.time_base = Fraction(1, VIDEO_TICKS_PER_SECOND)
            video.codec_context.gop_size = 10
            audio = None
            if sound is not None:
                audio = container.add_stream("pcm_s16le", rate=AUDIO_RATE_HZ)
                audio.layout = "mono"
                audio.time_base = Fraction(1, AUDIO_RATE_HZ)
                if language:
                    audio.metadata["language"] = language
            for index, seconds in enumerate(times):
                frame = av.VideoFrame.from_ndarray(picture(index, *size_px, shots), format="rgb24")
                frame.pts = round(seconds * VIDEO_TICKS_PER_SECOND)
                frame.time_base = Fraction(1, VIDEO_TICKS_PER_SECOND)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            if audio is not None and sound is not None:
                for start in range(0, sound.size, 1024):
                    part = (sound[start : start + 1024] * 32767).astype(np.int16).reshape(1, -1)
                    samples = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                    samples.sample_rate = AUDIO_RATE_HZ
                    samples.pts = start + round(sound_start_seconds * AUDIO_RATE_HZ)
                    samples.time_base = Fraction(1, AUDIO_RATE_HZ)
                    container.mux(audio.encode(samples))
                container.mux(audio.encode(None))
        return path

    return make

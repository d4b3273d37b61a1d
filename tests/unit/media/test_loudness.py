"""Integrated loudness by the standard's own meter."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mediafm.config import MediaLimits
from mediafm.errors import MediaError
from mediafm.media.loudness import SILENT_LUFS, integrated_lufs

RATE_HZ = 48_000


def write_tone(path: Path, amplitude: float, pause_seconds: float = 0.0, layout: str = "stereo") -> Path:
    """Five seconds of a sine of 997 Hz, as EBU Tech 3341 uses it, on all channels; then near-silence."""
    times = np.arange(5 * RATE_HZ) / RATE_HZ
    tone = (amplitude * np.sin(2 * np.pi * 997 * times)).astype(np.float32)
    tone = np.concatenate([tone, np.full(int(pause_seconds * RATE_HZ), 1e-5, np.float32)])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=RATE_HZ, layout=layout)
        planes = np.repeat(tone[:, None], len(stream.layout.channels), axis=1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(planes, format="flt", layout=layout)
        frame.sample_rate = RATE_HZ
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


@pytest.mark.parametrize("level_dbfs", [-23.0, -33.0])
def test_a_stereo_sine_at_a_level_has_that_loudness(tmp_path: Path, level_dbfs: float) -> None:
    """EBU Tech 3341, test cases 1 and 2: a stereo sine peaking at x dBFS measures x LUFS within 0.1."""
    path = write_tone(tmp_path / "tone.wav", 10 ** (level_dbfs / 20))
    assert integrated_lufs(str(path), 0, MediaLimits()) == pytest.approx(level_dbfs, abs=0.1)


def test_silence_is_at_the_gate(tmp_path: Path) -> None:
    assert integrated_lufs(str(write_tone(tmp_path / "none.wav", 0.0)), 0, MediaLimits()) == SILENT_LUFS


def test_pauses_do_not_count(tmp_path: Path) -> None:
    """The gate: a tone with a long near-silence is as loud as the tone."""
    alone = integrated_lufs(str(write_tone(tmp_path / "tone.wav", 0.1)), 0, MediaLimits())
    paused = integrated_lufs(str(write_tone(tmp_path / "paused.wav", 0.1, pause_seconds=20.0)), 0, MediaLimits())
    assert paused == pytest.approx(alone, abs=0.3)


def test_a_picture_stream_is_refused(shared_media: Path) -> None:
    path = shared_media / "titles" / "friday.mp4"
    with av.open(str(path)) as container:
        index = container.streams.video[0].index
    with pytest.raises(MediaError, match=f"stream {index} is video"):
        integrated_lufs(str(path), index, MediaLimits())


def test_a_real_film_is_measured(shared_media: Path) -> None:
    path = shared_media / "titles" / "caminandes_llama_drama.webm"
    with av.open(str(path)) as container:
        index = container.streams.audio[0].index
    assert integrated_lufs(str(path), index, MediaLimits()) == pytest.approx(-14.4, abs=0.3)

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.config import AudioSettings, MediaLimits
from mediafm.errors import MediaError
from mediafm.media.audio import AudioReport, ShotSamples, heard_span, is_silent, iter_shot_audio, level_dbfs
from mediafm.media.probe import probe
from mediafm.types import Span

LIMITS = MediaLimits()
SETTINGS = AudioSettings()
RATE_HZ = 44_100


def clicks(at_seconds: list[float], duration_seconds: float) -> np.ndarray:
    sound = np.zeros(round(duration_seconds * RATE_HZ))
    for seconds in at_seconds:
        sound[round(seconds * RATE_HZ) : round((seconds + 0.01) * RATE_HZ)] = 0.8
    return sound


def read(file: Path, spans: list[Span], report: AudioReport | None = None) -> list[ShotSamples]:
    info = probe(str(file), LIMITS)
    assert info.chosen_audio is not None
    return list(iter_shot_audio(str(file), info.chosen_audio.index, spans, SETTINGS, LIMITS, report))


def first_loud_seconds(shot: ShotSamples, span: Span) -> float:
    return span.start_seconds + int(np.argmax(np.abs(shot.samples) > 0.4)) / SETTINGS.sample_rate_hz


@pytest.mark.parametrize("start_seconds", [0.0, 2.5])
def test_a_click_is_heard_at_its_time(make_media, start_seconds: float) -> None:
    sound = clicks([0.3, 1.0, 1.9], 2.0)
    file = make_media("title.mkv", sound=sound, sound_start_seconds=start_seconds)
    edges = [start_seconds + offset for offset in (0.0, 0.7, 1.5, 2.0)]
    spans = [Span(start, end) for start, end in pairwise(edges)]
    shots = read(file, spans)
    for shot, span, seconds in zip(shots, spans, (0.3, 1.0, 1.9), strict=True):
        assert shot.samples.size == pytest.approx(span.duration_seconds * 16_000, abs=1)
        assert first_loud_seconds(shot, span) == pytest.approx(start_seconds + seconds, abs=0.001)


def test_before_and_after_the_sound_there_is_none(make_media) -> None:
    file = make_media("title.mkv", sound=clicks([0.5], 1.0), sound_start_seconds=5.0)
    before, partly, after = read(file, [Span(0.0, 4.0), Span(4.0, 5.5), Span(8.0, 9.0)])
    assert before.samples.size == 0
    assert after.samples.size == 0
    assert partly.samples.size == 24_000
    assert not partly.samples[:15_900].any()
    assert is_silent(before.samples, SETTINGS)


def test_a_gap_in_the_timestamps_is_silence(make_media, tmp_path: Path) -> None:
    import av

    whole = make_media("title.mkv", sound=clicks([0.1, 2.5], 3.0))
    gapped = tmp_path / "gapped.mkv"
    with av.open(str(whole)) as source, av.open(str(gapped), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None or (packet.stream.type == "audio" and 1.0 <= packet.pts * packet.time_base < 2.0):
                continue
            packet.stream = streams[packet.stream_index]
            target.mux(packet)
    report = AudioReport()
    (shot,) = read(gapped, [Span(0.0, 3.0)], report)
    assert report.num_gaps == 1
    assert not shot.samples[17_600:31_500].any()
    late = int(np.argmax(np.abs(shot.samples[20_000:]) > 0.4)) + 20_000
    assert late / 16_000 == pytest.approx(2.5, abs=0.001)


def test_samples_of_neighbours_are_the_samples_of_the_whole(make_media) -> None:
    file = make_media("title.mkv", sound=0.1 * np.random.default_rng(0).standard_normal(2 * RATE_HZ))
    (whole,) = read(file, [Span(0.0, 2.0)])
    parts = read(file, [Span(index * 0.1, (index + 1) * 0.1) for index in range(20)])
    assert np.array_equal(whole.samples, np.concatenate([part.samples for part in parts]))


def test_spans_that_overlap_are_refused(make_media) -> None:
    file = make_media("title.mkv", sound=clicks([0.1], 1.0))
    with pytest.raises(MediaError, match="ordered and disjoint"):
        read(file, [Span(0.0, 1.0), Span(0.5, 2.0)])


def test_a_picture_is_not_sound(make_media) -> None:
    file = make_media("title.mkv")
    with pytest.raises(MediaError, match="stream 0 is video"):
        list(iter_shot_audio(str(file), 0, [Span(0.0, 1.0)], SETTINGS, LIMITS))


@given(st.floats(0, 1e4), st.floats(0.01, 1e4), st.floats(1, 1000))
def test_of_a_long_shot_the_middle_is_heard(start: float, duration: float, cap: float) -> None:
    span = Span(start, start + duration)
    heard = heard_span(span, AudioSettings(max_shot_seconds=cap))
    assert heard.duration_seconds <= cap + 1e-6
    assert span.start_seconds <= heard.start_seconds < heard.end_seconds <= span.end_seconds
    assert heard.start_seconds - span.start_seconds == pytest.approx(span.end_seconds - heard.end_seconds, abs=1e-6)


def test_levels() -> None:
    assert level_dbfs(np.ones(100, np.float32)) == 0.0
    assert level_dbfs(np.full(100, 0.1, np.float32)) == pytest.approx(-20.0, abs=1e-4)
    assert level_dbfs(np.zeros(100, np.float32)) == -math.inf
    assert level_dbfs(np.zeros(0, np.float32)) == -math.inf
    assert not is_silent(np.full(100, 0.01, np.float32), SETTINGS)


@pytest.mark.parametrize("name", ["audio_only_opus_5.1.webm", "audio_only_fragmented.mp4"])
def test_any_codec_and_layout_comes_as_mono(shared_media: Path, name: str) -> None:
    report = AudioReport()
    spans = [Span(0.0, 0.5), Span(0.5, 1.5)]
    shots = list(iter_shot_audio(str(shared_media / "odd" / name), 0, spans, SETTINGS, LIMITS, report))
    assert [shot.samples.size for shot in shots] == [8000, 16_000]
    assert report.num_errors == 0


def test_a_track_that_changes_its_rate_half_way(tmp_path: Path) -> None:
    """Two MPEG-TS recordings in one file, as a broadcast leaves them."""
    import av

    parts = []
    for number, rate_hz in enumerate((44_100, 48_000)):
        file = tmp_path / f"{number}.ts"
        with av.open(str(file), "w") as container:
            stream = container.add_stream("mp2", rate=rate_hz, layout="mono")
            tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(2 * rate_hz) / rate_hz)).astype(np.int16)
            for start in range(0, tone.size - 1151, 1152):
                samples = av.AudioFrame.from_ndarray(tone[None, start : start + 1152], format="s16", layout="mono")
                samples.sample_rate = rate_hz
                samples.pts = start + number * 2 * rate_hz
                container.mux(stream.encode(samples))
            container.mux(stream.encode(None))
        parts.append(file.read_bytes())
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(parts))
    with av.open(str(joined)) as container:
        start_seconds = float(container.streams.audio[0].start_time * container.streams.audio[0].time_base)
    spans = [Span(start_seconds + 0.2, start_seconds + 1.8), Span(start_seconds + 2.2, start_seconds + 3.8)]
    for shot in iter_shot_audio(str(joined), 0, spans, SETTINGS, LIMITS):
        assert shot.samples.size == pytest.approx(1.6 * 16_000, abs=1)
        assert level_dbfs(shot.samples) == pytest.approx(20 * math.log10(8000 / 32_768 / math.sqrt(2)), abs=0.5)
        spectrum = np.abs(np.fft.rfft(shot.samples))
        assert np.argmax(spectrum) * 16_000 / shot.samples.size == pytest.approx(440, abs=2)

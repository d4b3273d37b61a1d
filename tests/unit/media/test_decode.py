from __future__ import annotations

import threading
from pathlib import Path

import av
import numpy as np
import pytest

from mediafm.config import MediaLimits
from mediafm.errors import UnusableMediaError
from mediafm.media.decode import FrameSource
from mediafm.media.probe import probe

LIMITS = MediaLimits()


def decoded_times(file: Path) -> list[float]:
    info = probe(str(file), LIMITS)
    with FrameSource(str(file), info.video, LIMITS) as source:
        return [frame.time_seconds for frame in source]


def packet_times(file: Path, stream_index: int) -> list[float]:
    """An independent reading: the packets' own timestamps, without those that an edit list hides."""
    with av.open(str(file)) as container:
        packets = [packet for packet in container.demux(container.streams[stream_index]) if packet.size]
        return sorted(float(packet.pts * packet.time_base) for packet in packets if not packet.is_discard)


@pytest.mark.parametrize("start_seconds", [0.0, 3.5])
def test_times_are_the_streams_own(make_media, start_seconds: float) -> None:
    times = start_seconds + np.cumsum([0.04, 0.1, 0.02, 0.3, 0.04] * 6)
    file = make_media("vfr.mkv", times)
    assert decoded_times(file) == pytest.approx(list(times), abs=0.001)


@pytest.mark.parametrize(
    "name",
    [
        "mpeg1_mp2.mpg",
        "vfr： unicode [name].webm",
        "no_duration.webm",
        "mpeg4.avi",
        "broken.mp4",
        pytest.param("edit_list.mp4", marks=pytest.mark.slow),
        pytest.param("rotated_270.mp4", marks=pytest.mark.slow),
    ],
)
def test_times_of_real_files_agree_with_their_packets(shared_media: Path, name: str) -> None:
    file = shared_media / "odd" / name
    index = probe(str(file), LIMITS).video.index
    assert decoded_times(file) == pytest.approx(packet_times(file, index), abs=1e-9)


def test_a_reader_that_stops_half_way_leaves_no_thread(make_media) -> None:
    file = make_media("title.mkv", [index / 25 for index in range(300)])
    info = probe(str(file), LIMITS)
    before = threading.active_count()
    with FrameSource(str(file), info.video, LIMITS) as source:
        assert next(iter(source)).index == 0
    assert threading.active_count() == before


def test_damage_is_counted_and_decoding_goes_on(make_media) -> None:
    file = make_media("title.mkv", [index / 25 for index in range(100)], size_px=(320, 240))
    info = probe(str(file), LIMITS)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = np.random.default_rng(0).bytes(600)
    file.write_bytes(bytes(data))
    with FrameSource(str(file), info.video, LIMITS) as source:
        frames = list(source)
    times = [frame.time_seconds for frame in frames]
    assert 50 < len(frames) <= 100
    assert times == sorted(set(times))


def test_timestamps_beyond_the_limit(make_media) -> None:
    file = make_media("title.mkv")
    info = probe(str(file), LIMITS)
    with (
        FrameSource(str(file), info.video, MediaLimits(max_duration_seconds=1.0)) as source,
        pytest.raises(UnusableMediaError, match="at most 1 s are read"),
    ):
        list(source)

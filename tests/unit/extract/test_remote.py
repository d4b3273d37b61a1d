"""Media in a bucket: looked at without a download, read from one copy or by ranges, always as a local file is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mediafm.config import AudioSettings, FrameSettings, MediaLimits, load_profile
from mediafm.errors import NotFoundError, TransientError, UnusableMediaError
from mediafm.extract.reader import MediaReader
from mediafm.s3.buckets import Buckets
from mediafm.s3.client import open_client
from mediafm.s3.settings import S3Settings
from mediafm.testing.s3_server import S3Proxy

RATE_HZ = 25
NUM_FRAMES = 120


def write_film(path: Path) -> None:
    """Noise that moves, with a cut half-way, and sound: large for its length. Its index stands at the end."""
    noise = np.random.default_rng(0)
    picture = noise.integers(0, 255, (360, 640, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=RATE_HZ)
        video.width, video.height, video.pix_fmt, video.bit_rate = 640, 360, "yuv420p", 40_000_000
        sound = container.add_stream("aac", rate=48_000)
        for index in range(NUM_FRAMES):
            shown = np.roll(picture, index * 5 + 200 * (index >= NUM_FRAMES // 2), axis=1)
            container.mux(video.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
            samples = noise.normal(0, 0.1, (1, 48_000 // RATE_HZ)).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
            heard.rate = 48_000
            container.mux(sound.encode(heard))
        container.mux(video.encode())
        container.mux(sound.encode())


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_film(path)
    assert path.stat().st_size > 8 * 1024**2, "large enough to be looked at before it is fetched"
    return path


@pytest.fixture
def uri(film: Path, bucket: str, s3_endpoint: str) -> str:
    open_client(S3Settings(endpoint_url=s3_endpoint)).upload_file(str(film), bucket, "film.mp4")
    return f"s3://{bucket}/film.mp4"


def buckets_at(s3: S3Proxy, folder: Path, **settings: Any) -> Buckets:
    return Buckets(S3Settings(endpoint_url=s3.endpoint_url, max_attempts=4, **settings), folder)


@pytest.fixture
def reader(s3: S3Proxy, tmp_path: Path) -> Iterator[MediaReader]:
    with MediaReader(MediaLimits(), buckets=buckets_at(s3, tmp_path / "copies")) as opened:
        yield opened


@pytest.fixture
def ranges(s3: S3Proxy, tmp_path: Path) -> Iterator[MediaReader]:
    """Its cache is too small for any film."""
    with MediaReader(MediaLimits(), buckets=buckets_at(s3, tmp_path / "none", cache_bytes=1024)) as opened:
        yield opened


def read_all(reader: MediaReader, path: str) -> tuple[object, ...]:
    info = reader.probe(path)
    cuts = list(reader.cut(path, info, load_profile("lite").detector, FrameSettings()))
    shots = list(reader.audio(path, info, [cut.shot.span for cut in cuts], AudioSettings()))
    pictures = [[frame.jpeg for frame in cut.frames] for cut in cuts]
    return info, [cut.shot for cut in cuts], pictures, [shot.samples.tobytes() for shot in shots]


def test_a_look_does_not_download_a_film(
    reader: MediaReader, uri: str, film: Path, s3: S3Proxy, tmp_path: Path
) -> None:
    reader.look(uri)
    assert s3.sent_bytes("film.mp4") < film.stat().st_size / 10
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_all_passes_share_one_download(reader: MediaReader, uri: str, film: Path, s3: S3Proxy) -> None:
    with MediaReader(MediaLimits()) as local:
        expected = read_all(local, str(film))
    assert read_all(reader, uri) == expected
    assert s3.sent_bytes("film.mp4") == film.stat().st_size


def test_a_film_beyond_the_cache_is_read_by_ranges(
    ranges: MediaReader, uri: str, film: Path, s3: S3Proxy, tmp_path: Path
) -> None:
    with MediaReader(MediaLimits()) as local:
        expected = read_all(local, str(film))
    assert read_all(ranges, uri) == expected
    assert s3.sent_bytes("film.mp4") <= 3.2 * film.stat().st_size, "each pass reads it about once"
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


@pytest.mark.parametrize("fault", ["slow_down", "cut", "cut_answer"])
def test_throttled_and_cut_ranges_come_to_the_same(
    ranges: MediaReader, uri: str, film: Path, s3: S3Proxy, fault: Any
) -> None:
    s3.choose_fault = lambda number, method, path: fault if number % 3 == 0 else None
    with MediaReader(MediaLimits()) as local:
        assert ranges.probe(uri) == local.probe(str(film))
    assert s3.num_faults


@pytest.mark.parametrize("which", ["reader", "ranges"])
def test_a_service_that_stays_away_is_no_fault_of_the_film(
    which: str, uri: str, s3: S3Proxy, request: pytest.FixtureRequest
) -> None:
    reader: MediaReader = request.getfixturevalue(which)
    s3.choose_fault = lambda number, method, path: "slow_down" if method == "GET" else None
    with pytest.raises(TransientError, match=r"film.mp4: cannot read it \(SlowDown"):
        reader.probe(uri)
    s3.choose_fault = lambda number, method, path: None
    assert reader.probe(uri).video.width_px == 640, "and the reader goes on"


def test_what_is_no_film_is_told_with_the_same_words_by_a_look(
    reader: MediaReader, bucket: str, s3_endpoint: str, tmp_path: Path
) -> None:
    client = open_client(S3Settings(endpoint_url=s3_endpoint))
    odd = {
        "list.mp4": (b"ffconcat version 1.0\nfile /etc/passwd\n" + b"#\n" * 5_000_000, "a playlist"),
        "noise.mp4": (os.urandom(9 * 1024**2), "no media container"),
        "empty.mp4": (b"", "is empty"),
    }
    for name, (data, words) in odd.items():
        (tmp_path / name).write_bytes(data)
        client.put_object(Bucket=bucket, Key=name, Body=data)
        with MediaReader(MediaLimits()) as local, pytest.raises(UnusableMediaError, match=words) as expected:
            local.probe(str(tmp_path / name))
        with pytest.raises(UnusableMediaError, match=words) as found:
            reader.look(f"s3://{bucket}/{name}")
        assert str(found.value) == str(expected.value)
    with pytest.raises(NotFoundError, match="no such object"):
        reader.look(f"s3://{bucket}/none.mp4")


def test_the_child_holds_no_credentials(reader: MediaReader, uri: str, s3: S3Proxy) -> None:
    reader.look(uri)
    environment = Path(f"/proc/{reader.child_pid}/environ").read_bytes().decode()
    assert "AWS_" not in environment
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in environment

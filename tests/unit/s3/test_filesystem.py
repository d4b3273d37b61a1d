"""The one filesystem's files: each thread has its own place, and no more is fetched than is read."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mediafm.errors import IntegrityError
from mediafm.s3.client import open_client
from mediafm.s3.filesystem import S3FileSystem, SharedFile, shared_copy
from mediafm.s3.place import Place
from mediafm.s3.reading import look
from mediafm.s3.settings import S3Settings
from mediafm.testing.s3_server import S3Proxy

DATA = os.urandom(3 * 1024**2)
Open = Callable[[], SharedFile]


@pytest.fixture
def settings(s3: S3Proxy) -> S3Settings:
    return S3Settings(endpoint_url=s3.endpoint_url)


@pytest.fixture
def place(bucket: str, settings: S3Settings) -> Place:
    open_client(settings).put_object(Bucket=bucket, Key="a.bin", Body=DATA)
    return Place(bucket, "a.bin")


@pytest.fixture(params=["copy", "ranges"])
def opened(request: pytest.FixtureRequest, place: Place, settings: S3Settings, tmp_path: Path) -> SharedFile:
    if request.param == "ranges":
        found: SharedFile = S3FileSystem(settings).open(str(place), "rb")
        return found
    (tmp_path / "a.bin").write_bytes(DATA)
    return shared_copy(tmp_path / "a.bin", len(DATA))


def test_it_reads_like_a_file(opened: SharedFile) -> None:
    with opened as file:
        assert (file.read(5), file.tell()) == (DATA[:5], 5)
        assert file.seek(-4, io.SEEK_END) == len(DATA) - 4
        assert (file.read(100), file.read(1)) == (DATA[-4:], b"")
        assert file.seek(1_000_000) == 1_000_000
        assert (file.seek(2, io.SEEK_CUR), file.read()) == (1_000_002, DATA[1_000_002:])
    assert opened.closed


def test_another_threads_seek_does_not_move_ours(opened: SharedFile) -> None:
    """DuckDB's threads seek and read one file by turns: bytes from elsewhere would be rows from elsewhere."""
    opened.seek(1000)
    other = threading.Thread(target=lambda: (opened.seek(2_000_000), opened.read(10)))
    other.start()
    other.join()
    assert opened.read(10) == DATA[1000:1010]


def test_what_is_not_read_is_not_fetched(place: Place, settings: S3Settings, s3: S3Proxy) -> None:
    with S3FileSystem(settings).open(str(place), "rb") as file:
        file.seek(-8, io.SEEK_END)
        assert file.read() == DATA[-8:]
    assert s3.sent_bytes("a.bin") == 8


def test_an_object_that_is_replaced_while_it_is_open_is_an_error(place: Place, settings: S3Settings) -> None:
    with S3FileSystem(settings).open(str(place), "rb") as file:
        open_client(settings).put_object(Bucket=place.bucket, Key=place.key, Body=DATA[::-1])
        with pytest.raises(IntegrityError, match="the object was replaced"):
            file.read(10)


def test_what_an_object_is(place: Place, settings: S3Settings) -> None:
    filesystem = S3FileSystem(settings)
    info = filesystem.info(str(place))
    assert (info["size"], info["etag"]) == (len(DATA), look(settings, place).etag)
    assert filesystem.ls(f"s3://{place.bucket}", detail=False) == [str(place)]
    assert filesystem.exists(str(place))
    assert not filesystem.exists(f"{place}x")
    with pytest.raises(PermissionError, match="only reads"):
        filesystem.open(str(place), "wb")

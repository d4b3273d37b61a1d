"""The cache of downloads: within its bound, shared by processes, never another's bytes."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mediafm.errors import IntegrityError, NotFoundError
from mediafm.s3.cache import DownloadCache
from mediafm.s3.client import open_client
from mediafm.s3.place import Place
from mediafm.s3.reading import ObjectInfo, look
from mediafm.s3.settings import S3Settings
from mediafm.testing.s3_server import S3Proxy

KILO = 1000
Put = Callable[[str, bytes], tuple[Place, ObjectInfo]]


@pytest.fixture
def settings(s3: S3Proxy) -> S3Settings:
    return S3Settings(endpoint_url=s3.endpoint_url, cache_bytes=10 * KILO)


@pytest.fixture
def put(bucket: str, settings: S3Settings) -> Put:
    def put_one(name: str, data: bytes) -> tuple[Place, ObjectInfo]:
        open_client(settings).put_object(Bucket=bucket, Key=name, Body=data)
        place = Place(bucket, name)
        return place, look(settings, place)

    return put_one


def age(folder: Path, seconds: float) -> None:
    """As if everything there had last been used so long ago."""
    for file in folder.rglob("*"):
        if file.is_file():
            used_at = file.stat().st_mtime - seconds
            os.utime(file, (used_at, used_at))


def kept(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*") if file.is_file() and file.suffix == ".bin"}


def test_an_object_comes_once_and_under_its_own_name(
    tmp_path: Path, settings: S3Settings, put: Put, s3: S3Proxy
) -> None:
    place, info = put("a/film.bin", b"x" * KILO)
    first, second = DownloadCache(tmp_path, settings), DownloadCache(tmp_path, settings)
    path = first.path(place, info)
    assert (path.name, path.read_bytes()) == ("film.bin", b"x" * KILO)
    assert first.path(place, info) == second.path(place, info) == path
    assert [request.method for request in s3.requests].count("GET") == 1


def test_threads_and_processes_that_want_one_object_wait_for_one_download(
    tmp_path: Path, settings: S3Settings, put: Put, s3: S3Proxy
) -> None:
    place, info = put("film.bin", b"x" * KILO)
    s3.delay_seconds = 0.2
    caches = [DownloadCache(tmp_path, settings) for _ in range(4)]
    threads = [threading.Thread(target=cache.path, args=(place, info)) for cache in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [request.method for request in s3.requests].count("GET") == 1


def test_the_least_recently_used_go_first(tmp_path: Path, settings: S3Settings, put: Put) -> None:
    cache = DownloadCache(tmp_path, settings)
    objects = [put(f"{number}.bin", bytes(3 * KILO)) for number in range(4)]
    for place, info in objects[:3]:
        cache.path(place, info)
        age(tmp_path, 1000)
    cache.path(*objects[0])
    cache.path(*objects[3])
    assert kept(tmp_path) == {"0.bin", "2.bin", "3.bin"}
    assert not cache.fits(6 * KILO)


def test_what_is_held_or_was_just_used_stays(tmp_path: Path, settings: S3Settings, put: Put) -> None:
    cache = DownloadCache(tmp_path, settings)
    objects = [put(f"{number}.bin", bytes(4 * KILO)) for number in range(4)]
    with cache.held(*objects[0]) as path:
        age(tmp_path, 1000)
        for place, info in objects[1:3]:
            cache.path(place, info)
        assert path.exists()
        assert kept(tmp_path) == {"0.bin", "1.bin", "2.bin"}, "all are in use: the bound gives way, not a reader"
    age(tmp_path, 1000)
    cache.path(*objects[3])
    assert kept(tmp_path) == {"2.bin", "3.bin"} or kept(tmp_path) == {"1.bin", "3.bin"}


def test_another_object_under_the_same_key_is_another_entry(tmp_path: Path, settings: S3Settings, put: Put) -> None:
    cache = DownloadCache(tmp_path, settings)
    place, old = put("a.bin", b"old")
    _, new = put("a.bin", b"new")
    assert cache.path(place, new).read_bytes() == b"new"
    with pytest.raises(IntegrityError, match="the object was replaced"):
        cache.path(place, old)
    open_client(settings).delete_object(Bucket=place.bucket, Key=place.key)
    assert cache.path(place, new).read_bytes() == b"new"
    with pytest.raises(NotFoundError, match="no such object"):
        cache.path(place, old)
    assert not list(tmp_path.rglob("*.part"))


def test_a_cut_download_is_taken_up_where_it_broke(tmp_path: Path, settings: S3Settings, put: Put, s3: S3Proxy) -> None:
    data = os.urandom(5 * KILO)
    place, info = put("a.bin", data)
    s3.choose_fault = lambda number, method, path: "cut_answer" if method == "GET" and s3.num_faults < 3 else None
    assert DownloadCache(tmp_path, settings).path(place, info).read_bytes() == data
    ranges = [request.sent_bytes for request in s3.requests if request.method == "GET"]
    assert sum(ranges) == len(data), "each byte came once"
    assert len(ranges) == 4


def test_deleting_the_folder_costs_a_download_only(tmp_path: Path, settings: S3Settings, put: Put) -> None:

    cache = DownloadCache(tmp_path / "cache", settings)
    place, info = put("a.bin", b"x")
    cache.path(place, info)
    shutil.rmtree(tmp_path / "cache")
    started = time.monotonic()
    assert cache.path(place, info).read_bytes() == b"x"
    assert time.monotonic() - started < 60

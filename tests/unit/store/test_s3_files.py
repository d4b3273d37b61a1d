"""The promises of `Files`, kept by a bucket: whole, once, never over another's; whatever breaks on the way."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mediafm.errors import NotFoundError, StoreError
from mediafm.s3.client import open_client
from mediafm.s3.place import Place, root_place
from mediafm.s3.settings import S3Settings
from mediafm.s3.writing import abort_stale_uploads
from mediafm.store.s3_files import S3Files
from mediafm.testing.s3_server import Fault, S3Proxy

MEBI = 1024**2
LARGE = 12 * MEBI


@pytest.fixture
def settings(s3: S3Proxy) -> S3Settings:
    return S3Settings(endpoint_url=s3.endpoint_url, multipart_bytes=5 * MEBI, max_attempts=5)


@pytest.fixture
def files(bucket: str, settings: S3Settings, tmp_path: Path) -> S3Files:
    return files_at(bucket, settings, tmp_path / "cache")


def files_at(bucket: str, settings: S3Settings, cache: Path) -> S3Files:
    return S3Files(root_place(f"s3://{bucket}/root"), settings, cache)


def put_large(files: S3Files, key: str, data: bytes) -> bool:
    with files.scratch(key) as path:
        path.write_bytes(data)
        return files.put_exclusive(key, path)


def unfinished(settings: S3Settings, bucket: str) -> list[str]:
    answer = open_client(settings).list_multipart_uploads(Bucket=bucket)
    return [upload["Key"] for upload in answer.get("Uploads", ())]


def test_the_first_writer_wins_and_the_second_is_told(files: S3Files) -> None:
    assert files.put_exclusive("store/a.bin", b"first")
    assert not files.put_exclusive("store/a.bin", b"second")
    assert files.read_bytes("store/a.bin") == b"first"
    data = os.urandom(LARGE)
    assert put_large(files, "store/large.bin", data)
    assert not put_large(files, "store/large.bin", data[::-1])
    assert files.read_bytes("store/large.bin") == data


def test_ranges_sizes_and_paths(files: S3Files) -> None:
    files.put_exclusive("store/a.bin", b"0123456789")
    files.put_exclusive("store/empty.bin", b"")
    assert files.read_bytes("store/a.bin", 3, 4) == b"3456"
    assert files.read_bytes("store/a.bin", 8, 100) == b"89"
    assert files.size_bytes("store/a.bin") == 10
    assert files.local_path("store/a.bin").read_bytes() == b"0123456789"
    assert files.read_bytes("store/empty.bin") == files.local_path("store/empty.bin").read_bytes() == b""


def test_absent_things_are_not_found(files: S3Files) -> None:
    assert files.is_empty()
    assert not files.exists("store/a.bin")
    assert files.list_keys("store") == []
    files.delete("store/a.bin")
    for read in (files.read_bytes, files.local_path, files.size_bytes, files.open):
        with pytest.raises(NotFoundError, match=r"root/store/a.bin: there is no such object"):
            read("store/a.bin")


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "store/.hidden", "store/a b", "s3://other/a"])
def test_odd_keys_are_refused(files: S3Files, key: str) -> None:
    with pytest.raises(StoreError, match="a key is plain names"):
        files.put_exclusive(key, b"x")


def test_listing_takes_as_many_pages_as_there_are(files: S3Files, bucket: str, s3_endpoint: str) -> None:
    client = open_client(S3Settings(endpoint_url=s3_endpoint))
    names = [f"ledger/a/{number:04d}.bin" for number in range(1003)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: client.put_object(Bucket=bucket, Key=f"root/{name}", Body=b"x"), names))
    client.put_object(Bucket=bucket, Key="root/ledger2/b.bin", Body=b"x")
    client.put_object(Bucket=bucket, Key="root/ledger/.hidden/b.bin", Body=b"x")
    assert files.list_keys("ledger") == names


def test_what_was_written_here_is_read_here(files: S3Files, s3: S3Proxy) -> None:
    data = os.urandom(LARGE)
    put_large(files, "store/large.bin", data)
    assert files.local_path("store/large.bin").read_bytes() == data
    assert s3.sent_bytes("large.bin") < 10_000


@pytest.mark.parametrize("fault", ["slow_down", "cut", "cut_answer"])
def test_a_service_that_fails_every_third_time_changes_nothing(files: S3Files, s3: S3Proxy, fault: Fault) -> None:
    s3.choose_fault = lambda number, method, path: fault if number % 3 == 0 else None
    data = os.urandom(LARGE)
    for number in range(4):
        assert files.put_exclusive(f"store/{number}.bin", b"%d" % number), "its own work is known again"
        assert not files.put_exclusive(f"store/{number}.bin", b"another")
        assert files.read_bytes(f"store/{number}.bin") == b"%d" % number
    assert put_large(files, "store/large.bin", data)
    assert files.read_bytes("store/large.bin") == data
    assert len(files.list_keys("store")) == 5
    assert s3.num_faults >= 8


def test_an_upload_that_breaks_off_leaves_nothing(
    files: S3Files, settings: S3Settings, s3: S3Proxy, bucket: str, tmp_path: Path
) -> None:
    s3.choose_fault = lambda number, method, path: "cut" if "partNumber=2" in path else None
    with pytest.raises(StoreError, match=r"cannot write it .* within `s3.max_attempts` attempts.*run again"):
        put_large(files, "store/large.bin", os.urandom(LARGE))
    assert files.list_keys("store") == []
    assert not files.exists("store/large.bin")
    assert unfinished(settings, bucket) == []
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


_KILLED = """
import sys
from pathlib import Path
from mediafm.s3.settings import S3Settings
from mediafm.s3.place import root_place
from mediafm.store.s3_files import S3Files
settings = S3Settings(endpoint_url=sys.argv[2], multipart_bytes=5 * 1024**2)
files = S3Files(root_place(sys.argv[1]), settings, Path(sys.argv[3]))
with files.scratch("store/large.bin") as path:
    path.write_bytes(bytes(12 * 1024**2))
    files.put_exclusive("store/large.bin", path)
"""


def test_a_writer_that_is_killed_leaves_nothing_visible_and_the_sweep_ends_its_upload(
    files: S3Files, settings: S3Settings, s3: S3Proxy, bucket: str, tmp_path: Path
) -> None:
    s3.delay_seconds = 0.2
    command = [sys.executable, "-c", _KILLED, f"s3://{bucket}/root", s3.endpoint_url, str(tmp_path / "killed")]
    process = subprocess.Popen(command)
    while not [request for request in s3.requests if "partNumber" in request.path]:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    s3.delay_seconds = 0.0
    assert files.list_keys("store") == []
    assert unfinished(settings, bucket) == ["root/store/large.bin"]
    assert abort_stale_uploads(settings, Place(bucket, "root"), older_than_seconds=1e12) == 0, "it may be going on"
    assert abort_stale_uploads(settings, Place(bucket, "root"), older_than_seconds=0.0) == 1
    assert unfinished(settings, bucket) == []
    assert put_large(files, "store/large.bin", bytes(LARGE)), "and the place is free"


@pytest.mark.parametrize("size_bytes", [1000, 6 * MEBI])
def test_of_writers_at_the_same_moment_one_wins_and_the_others_notice(
    bucket: str, settings: S3Settings, tmp_path: Path, size_bytes: int
) -> None:
    won: dict[int, bool] = {}
    barrier = threading.Barrier(4)

    def write(number: int) -> None:
        files = files_at(bucket, settings, tmp_path / str(number))
        barrier.wait()
        won[number] = put_large(files, "store/a.bin", bytes([number]) * size_bytes)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [number for number, is_winner in won.items() if is_winner]
    assert files_at(bucket, settings, tmp_path / "reader").read_bytes("store/a.bin") == bytes([winner]) * size_bytes
    assert unfinished(settings, bucket) == []


def test_a_conflict_that_leaves_nothing_there_is_tried_again(files: S3Files, s3: S3Proxy) -> None:
    """S3 answers 409 while another request on the key is under way, which may be its removal."""
    s3.choose_fault = lambda number, method, path: "conflict" if method == "PUT" and not s3.num_faults else None
    assert files.put_exclusive("store/a.bin", b"x")
    assert s3.num_faults == 1


def test_no_bucket_and_no_answer_say_what_to_do(bucket: str, settings: S3Settings, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no bucket 'nowhere-at-all'.*check its name"):
        files_at("nowhere-at-all", settings, tmp_path).list_keys("store")
    silent = S3Settings(endpoint_url="http://127.0.0.1:9", max_attempts=1)
    with pytest.raises(StoreError, match=r"cannot list it .*EndpointConnectionError.*Look after the network"):
        files_at(bucket, silent, tmp_path).list_keys("store")


def test_without_credentials_the_chain_is_named(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: S3Proxy
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    without = S3Settings(endpoint_url=s3.endpoint_url, max_attempts=2)
    with pytest.raises(StoreError, match=r"Unable to locate credentials.*the environment, a profile"):
        files_at(bucket, without, tmp_path).exists("store/a")


def test_credentials_are_in_no_log_and_no_error(
    bucket: str, tmp_path: Path, s3: S3Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    files = files_at(bucket, S3Settings(endpoint_url=s3.endpoint_url, max_attempts=3), tmp_path)
    files.put_exclusive("store/a.bin", b"x")
    s3.choose_fault = lambda number, method, path: "slow_down"
    with pytest.raises(StoreError, match="SlowDown") as caught:
        files.put_exclusive("store/b.bin", b"x")
    told = caplog.text + str(caught.value) + repr(caught.value) + str(caught.value.__cause__)
    for secret in (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], "Signature="):
        assert secret not in told

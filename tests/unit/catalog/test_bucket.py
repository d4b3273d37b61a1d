"""A bucket as a catalogue: the same titles as the same files in a folder, from one list."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mediafm.catalog.scan import scan_catalog
from mediafm.catalog.title import Catalog
from mediafm.config import MediaLimits
from mediafm.errors import CatalogError, StoreError, TransientError
from mediafm.s3.buckets import Buckets
from mediafm.s3.client import open_client
from mediafm.s3.settings import S3Settings
from mediafm.testing.s3_server import S3Proxy

TTML = b'<tt xmlns="http://www.w3.org/ns/ttml"/>'
FILES = {
    "films/sintel.mp4": b"film",
    "films/sintel.en.srt": b"text",
    "films/sintel.json": json.dumps({"title": "Sintel", "series": "Durian", "oddity": 1}).encode(),
    "films/nobody.srt": b"text",
    "films/七人の侍.mkv": b"samurai",
    "films/七人の侍.xml": TTML,
    "films/other.xml": b"<playlist/>",
    "films/a b/x.mkv": b"x",
    "films/.hidden/y.mkv": b"y",
    "films/notes.txt": b"-",
    "films/broken.mp4": b"",
    "films/broken.json": b"{",
}


@pytest.fixture
def buckets(s3: S3Proxy, tmp_path: Path) -> Buckets:
    return Buckets(S3Settings(endpoint_url=s3.endpoint_url, max_attempts=2), tmp_path / "copies")


@pytest.fixture
def filled(bucket: str, s3_endpoint: str, s3: S3Proxy) -> str:
    client = open_client(S3Settings(endpoint_url=s3_endpoint))
    for name, data in FILES.items():
        client.put_object(Bucket=bucket, Key=name, Body=data)
    client.put_object(Bucket=bucket, Key="films/folder/", Body=b"")
    client.put_object(Bucket=bucket, Key="films//odd.mp4", Body=b"x")
    return bucket


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return tmp_path / "films"


def without_places(catalog: Catalog, above: str) -> list[object]:
    """Titles but for where and when: what a copy elsewhere must agree on."""
    gone = {"modified_ns": 0, "version": ""}
    return [
        replace(
            title,
            uri=title.uri.removeprefix(above),
            sidecars=tuple(replace(one, path=one.path.removeprefix(above), **gone) for one in title.sidecars),
            **gone,
        )
        for title in catalog.titles
    ]


def test_it_lists_what_a_folder_would(filled: str, folder: Path, buckets: Buckets) -> None:
    local = scan_catalog(str(folder), MediaLimits())
    remote = scan_catalog(f"s3://{filled}/films/", MediaLimits(), buckets)
    assert without_places(remote, f"s3://{filled}/films") == without_places(local, str(folder))
    assert len(remote.titles) == 4
    assert {title.metadata.title for title in remote.titles} == {"Sintel", None}
    odd = [str(problem) for problem in remote.problems if problem.where == "/odd.mp4"]
    assert odd == ["/odd.mp4: a part of its name is empty; rename it"]
    others = {str(problem) for problem in remote.problems if problem.where != "/odd.mp4"}
    assert others == {str(problem) for problem in local.problems}


def test_media_is_never_opened_and_metadata_once(filled: str, buckets: Buckets, s3: S3Proxy) -> None:
    first = scan_catalog(f"s3://{filled}/films", MediaLimits(), buckets)
    gets = [request.path for request in s3.requests if request.method == "GET" and "list-type" not in request.path]
    assert len(gets) == 3, "two .json, and the .xml that stands beside a film"
    assert not [path for path in gets if path.endswith((".mp4", ".mkv", ".srt"))]
    assert scan_catalog(f"s3://{filled}/films", MediaLimits(), buckets) == first
    assert len(s3.requests) == 1 + len(gets) + 1, "a scan of what is known is one list"


def test_other_bytes_of_one_size_are_another_version(filled: str, buckets: Buckets, s3_endpoint: str) -> None:
    def version() -> str:
        titles = scan_catalog(f"s3://{filled}/films", MediaLimits(), buckets).titles
        return next(title.version for title in titles if title.title_id == "sintel")

    before = version()
    open_client(S3Settings(endpoint_url=s3_endpoint)).put_object(Bucket=filled, Key="films/sintel.mp4", Body=b"mlif")
    assert before
    assert version() != before


def test_a_bucket_out_of_reach_says_nothing_of_its_titles(filled: str, buckets: Buckets, s3: S3Proxy) -> None:
    """An empty catalogue would mark every title as vanished."""
    with pytest.raises(CatalogError, match=r"nothing below 's3://.*/none'"):
        scan_catalog(f"s3://{filled}/none", MediaLimits(), buckets)
    with pytest.raises(StoreError, match="there is no bucket"):
        scan_catalog("s3://no-such-bucket-here/films", MediaLimits(), buckets)
    s3.choose_fault = lambda number, method, path: "slow_down" if path.endswith(".json") else None
    with pytest.raises(TransientError, match=r"sintel.json|broken.json"):
        scan_catalog(f"s3://{filled}/films", MediaLimits(), buckets)
    s3.choose_fault = lambda number, method, path: "cut"
    with pytest.raises(TransientError, match="cannot list it"):
        scan_catalog(f"s3://{filled}/films", MediaLimits(), buckets)


ROWS = (
    {"uri": "films/sintel.mp4", "title": "One", "sidecars": ["films/sintel.en.srt"]},
    {"uri": "films/none.mp4"},
    {"uri": "../x.mp4"},
    {"uri": "/x.mp4"},
    {"uri": "films/"},
)


def test_a_manifest_in_a_bucket_names_what_lies_below_it(filled: str, buckets: Buckets, s3_endpoint: str) -> None:
    rows = (*ROWS, {"uri": f"s3://{filled}/films/a b/x.mkv"}, {"uri": "s3://b/x"})
    body = "\n".join(map(json.dumps, rows)).encode()
    open_client(S3Settings(endpoint_url=s3_endpoint)).put_object(Bucket=filled, Key="list.jsonl", Body=body)
    found = scan_catalog(f"s3://{filled}/list.jsonl", MediaLimits(), buckets)
    assert {title.uri for title in found.titles} == {
        f"s3://{filled}/films/sintel.mp4",
        f"s3://{filled}/films/a b/x.mkv",
    }
    (sintel,) = [title for title in found.titles if title.title_id == "films--sintel"]
    assert [sidecar.language for sidecar in sintel.sidecars] == ["en"]
    assert sintel.version
    said = {problem.where: problem.sentence for problem in found.problems}
    assert "is not in its bucket" in said["list.jsonl:2"]
    assert "outside the manifest's folder" in said["list.jsonl:3"]
    assert "outside the manifest's folder" in said["list.jsonl:4"]
    assert set(said) == {f"list.jsonl:{number}" for number in (2, 3, 4, 5, 7)}


def test_a_local_manifest_may_name_objects(filled: str, buckets: Buckets, folder: Path) -> None:
    manifest = folder / "list.csv"
    manifest.write_text(f"uri,title\nsintel.mp4,here\ns3://{filled}/films/sintel.mp4,there\n")
    found = scan_catalog(str(manifest), MediaLimits(), buckets)
    assert {title.metadata.title: title.uri for title in found.titles} == {
        "here": str(folder / "sintel.mp4"),
        "there": f"s3://{filled}/films/sintel.mp4",
    }
    assert len({title.title_id for title in found.titles}) == 2


def test_many_rows_are_looked_at_together(filled: str, buckets: Buckets, s3_endpoint: str, s3: S3Proxy) -> None:
    client = open_client(S3Settings(endpoint_url=s3_endpoint))
    rows = []
    for number in range(60):
        client.put_object(Bucket=filled, Key=f"many/{number}.mp4", Body=b"x")
        rows.append(json.dumps({"uri": f"many/{number}.mp4"}))
    client.put_object(Bucket=filled, Key="many.jsonl", Body="\n".join(rows).encode())
    assert len(scan_catalog(f"s3://{filled}/many.jsonl", MediaLimits(), buckets).titles) == 60
    assert len([request for request in s3.requests if request.method == "HEAD" and "/many/" in request.path]) == 60

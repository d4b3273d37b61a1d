"""A manifest as a catalogue: three formats, bad rows by line, paths that stay inside."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediafm.catalog.scan import scan_catalog
from mediafm.catalog.title import Catalog
from mediafm.catalog.title_id import hashed_id
from mediafm.config import MediaLimits
from mediafm.errors import CatalogError, MediaFMError

LIMITS = MediaLimits()
ROWS: list[dict[str, Any]] = [
    {"uri": "a.mp4", "title": "A", "tags": ["x", "y"], "season": 2, "sidecars": ["a.en.srt", "sub/a.srt"]},
    {"uri": "sub/b.mkv", "title_id": "given", "series": "S", "tags": None, "season": None, "sidecars": None},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.mp4", "sub/b.mkv", "a.en.srt", "sub/a.srt", "七人の侍.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"xy")
    return tmp_path


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def scan(path: Path) -> Catalog:
    return scan_catalog(str(path), LIMITS)


def sentences(catalog: Catalog) -> list[tuple[str, str]]:
    return [(problem.where, problem.sentence) for problem in catalog.problems]


def write(folder: Path, suffix: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"titles{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema(rows)), path)
    elif suffix == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, ["uri", "title_id", "title", "series", "tags", "season", "sidecars"])
        writer.writeheader()
        for row in rows:
            writer.writerow({key: ";".join(item) if isinstance(item, list) else item for key, item in row.items()})
        path.write_text("\ufeff" + text.getvalue())
    else:
        write_jsonl(path, rows)
    return path


def _schema(rows: list[dict[str, Any]]) -> pa.Schema:
    names = ("uri", "title_id", "title", "series")
    lists = [("tags", pa.list_(pa.string())), ("sidecars", pa.list_(pa.string()))]
    return pa.schema([*((name, pa.string()) for name in names), *lists, ("season", pa.float64())])


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".csv", ".parquet"])
def test_three_formats_say_the_same(folder: Path, suffix: str) -> None:
    catalog = scan(write(folder, suffix, ROWS))
    assert catalog.problems == ()
    first, second = catalog.titles
    assert (first.title_id, first.uri, first.size_bytes) == ("a", str(folder / "a.mp4"), 2)
    assert (first.metadata.title, first.metadata.tags, first.metadata.season) == ("A", ("x", "y"), 2)
    assert [(Path(item.path).name, item.language) for item in first.sidecars] == [("a.en.srt", "en"), ("a.srt", None)]
    assert (second.title_id, second.group_id, second.sidecars) == ("given", "s", ())


def test_bad_rows_are_reported_by_line_and_the_others_go_on(folder: Path) -> None:
    rows: list[Any] = [
        {"uri": "a.mp4"},
        "{",
        "[]",
        "",
        {"title": "no uri"},
        {"uri": "gone.mp4"},
        {"uri": "sub"},
        {"uri": "s3://bucket/x.mp4"},
        {"uri": "http://host/x.mp4"},
        {"uri": "../outside.mp4"},
        {"uri": "/etc/passwd"},
        {"uri": "a\x00.mp4"},
        {"uri": "a.mp4", "title_id": "../up"},
        {"uri": "sub/b.mkv", "year": "soon", "colour": "red"},
        {"uri": "七人の侍.mkv", "sidecars": ["gone.srt", "a.mp4", {"path": "a.en.srt", "language": "fr"}], "colour": 1},
        {"uri": 3},
        "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    ]
    catalog = scan(write_jsonl(folder / "m.jsonl", rows))
    assert [title.title_id for title in catalog.titles] == ["a", "sub--b", hashed_id("七人の侍.mkv")]
    assert [(item.path, item.language) for item in catalog.titles[2].sidecars] == [(str(folder / "a.en.srt"), "fr")]
    expected = {
        2: "no JSON object",
        3: "holds list",
        5: "has no uri",
        6: "cannot be read",
        7: "not a regular file",
        8: "names no object that can be reached from here",
        9: "neither a path nor s3://",
        10: "lies outside",
        11: "lies outside",
        12: "earlier row",
        13: "title_id '../up' must be",
        14: "unknown field 'colour'",
        15: "'gone.srt' is ignored",
        16: "must be text",
        17: "no JSON object",
    }
    found: dict[int, str] = {}
    for where, sentence in sentences(catalog):
        assert where.startswith("m.jsonl:")
        found.setdefault(int(where.split(":")[1]), sentence)
    assert {line: match for line, match in expected.items() if match not in found.get(line, "")} == {}
    assert set(found) == set(expected)
    assert sum("colour" in sentence for _, sentence in sentences(catalog)) == 1


def test_a_link_that_leads_out_of_the_folder_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "x.mp4"
    outside.write_bytes(b"x")
    (folder / "link.mp4").symlink_to(outside)
    catalog = scan(write_jsonl(folder / "m.jsonl", [{"uri": "link.mp4"}, {"uri": str(folder / "a.mp4")}]))
    assert [title.title_id for title in catalog.titles] == ["a"]
    assert "lies outside" in catalog.problems[0].sentence


def test_given_ids_that_collide_cost_their_rows_only(folder: Path) -> None:
    rows = [
        {"uri": "a.mp4", "title_id": "same"},
        {"uri": "sub/b.mkv", "title_id": "same"},
        {"uri": "七人の侍.mkv", "title_id": "sub--b"},
        {"uri": "sub/b.mkv"},
        {"uri": "sub/b.mkv"},
    ]
    catalog = scan(write_jsonl(folder / "m.jsonl", rows))
    assert [title.title_id for title in catalog.titles] == sorted(["sub--b", hashed_id("sub/b.mkv")])
    assert [where for where, _ in sentences(catalog)] == ["m.jsonl:1", "m.jsonl:2", "m.jsonl:5"]
    assert "stands in 2 rows" in catalog.problems[0].sentence


def test_bad_csv_lines(folder: Path) -> None:
    path = folder / "m.csv"
    path.write_bytes(b'uri,title\na.mp4,"two\nlines"\nsub/b.mkv,x,y\n\xff.mp4,x\n\nsub/b.mkv,"open\n')
    catalog = scan(path)
    assert [(title.title_id, title.metadata.title) for title in catalog.titles] == [("a", "two\nlines")]
    assert [where for where, _ in sentences(catalog)] == ["m.csv:4", "m.csv:5", "m.csv:7"]
    assert "has 3 fields; the header has 2" in catalog.problems[0].sentence
    assert "not Unicode" in catalog.problems[1].sentence
    assert "not CSV" in catalog.problems[2].sentence


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("m.csv", b"", "a header"),
        ("m.csv", b"uri;title\na.mp4;x\n", "separated by commas"),
        ("m.csv", b"uri,uri\na.mp4,x\n", "each column once"),
        ("m.parquet", b"PAR1 no", "a whole Parquet file"),
        ("m.txt", b"x", "a manifest is one of"),
        ("a.mp4", b"x", "a manifest is one of"),
    ],
)
def test_a_manifest_that_as_a_whole_cannot_be_read(folder: Path, name: str, data: bytes, match: str) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(CatalogError, match=match):
        scan(folder / name)


def test_a_row_longer_than_the_limit_is_left_out(folder: Path) -> None:
    path = write_jsonl(folder / "m.jsonl", [{"uri": "a.mp4", "title": "x" * 500}, {"uri": "sub/b.mkv"}])
    catalog = scan_catalog(str(path), MediaLimits(max_sidecar_bytes=100))
    assert [title.title_id for title in catalog.titles] == ["sub--b"]
    assert "more than 100 bytes" in catalog.problems[0].sentence


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([".jsonl", ".csv", ".parquet"]),
    st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=4), st.integers(0, 4)), max_size=4),
)
def test_mutated_manifests_give_titles_or_one_of_our_errors(
    folder: Path, suffix: str, edits: list[tuple[int, bytes, int]]
) -> None:
    path = write(folder, suffix, ROWS)
    data = path.read_bytes()
    for position, inserted, num_removed in edits:
        place = position % (len(data) + 1)
        data = data[:place] + inserted + data[place + num_removed :]
    path.write_bytes(data)
    try:
        catalog = scan(path)
    except MediaFMError:
        return
    for title in catalog.titles:
        json.dumps(title.metadata.as_json(), ensure_ascii=False).encode()
        assert Path(title.uri).is_file()

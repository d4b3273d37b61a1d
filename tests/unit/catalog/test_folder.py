"""A folder as a catalogue."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from mediafm.catalog.folder import SKIPPED_FOLDERS
from mediafm.catalog.scan import scan_catalog
from mediafm.catalog.sidecars import match_stem
from mediafm.catalog.title import Catalog
from mediafm.config import MediaLimits
from mediafm.errors import CatalogError

LIMITS = MediaLimits()


def scan(root: Path) -> Catalog:
    return scan_catalog(str(root), LIMITS)


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def sidecars(catalog: Catalog) -> dict[str, list[str]]:
    return {title.title_id: [Path(item.path).name for item in title.sidecars] for title in catalog.titles}


def test_media_files_are_titles_wherever_they_lie(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "s/e1.MKV", "s/t/e2.webm", "song.mp3", "a.txt", ".hidden.mp4", ".dir/b.mp4", "truth.json")
    make(tmp_path, *(f"{folder}/c.mp4" for folder in SKIPPED_FOLDERS))
    catalog = scan(tmp_path)
    assert [title.title_id for title in catalog.titles] == ["a", "s--e1", "s--t--e2"]
    assert catalog.problems == ()
    first = catalog.titles[0]
    status = (tmp_path / "a.mp4").stat()
    assert (first.uri, first.size_bytes, first.modified_ns) == (
        str(tmp_path / "a.mp4"),
        status.st_size,
        status.st_mtime_ns,
    )


def test_sidecars_belong_by_stem_and_no_title_takes_anothers(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "a.b.mp4", "a.srt", "a.b.srt", "a.en.vtt", "a.b.fr.forced.ass", "a.x.srt", "c/a.srt")
    catalog = scan(tmp_path)
    assert sidecars(catalog) == {"a": ["a.en.vtt", "a.srt"], "a.b": ["a.b.fr.forced.ass", "a.b.srt"]}
    assert [(problem.where, "belongs to no title" in problem.sentence) for problem in catalog.problems] == [
        ("a.x.srt", True),
        ("c/a.srt", True),
    ]
    forced = next(title for title in catalog.titles if title.title_id == "a.b").sidecars[0]
    assert (forced.language, forced.flags, forced.size_bytes) == ("fr", ("forced",), 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("film.srt", ("film", None, ())),
        ("film.eng.srt", ("film", "en", ())),
        ("film.pt-BR.SDH.srt", ("film", "pt-br", ("sdh",))),
        ("film.forced.en.srt", ("film", "en", ("forced",))),
        ("film.hi.srt", ("film", "hi", ())),
        ("film.en.hi.srt", ("film", "en", ("hi",))),
        ("film.forced.srt", ("film", None, ("forced",))),
        ("film.en.srt.srt", None),
        ("film.en.fr.srt", None),
        ("film.v2.srt", None),
        ("other.srt", None),
        ("film.2010.en.srt", ("film.2010", "en", ())),
        ("x." * 50 + "srt", None),
    ],
)
def test_marks_between_stem_and_suffix(name: str, expected: object) -> None:
    assert match_stem(name, {"film", "film.2010"}) == expected


def test_xml_is_timed_text_only_where_it_is_ttml(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.mp4", "loose.xml")
    (tmp_path / "a.xml").write_text('<?xml version="1.0"?><tt/>')
    (tmp_path / "b.xml").write_text("<movie/>")
    assert sidecars(scan(tmp_path)) == {"a": ["a.xml"], "b": []}
    assert scan(tmp_path).problems == ()


def test_metadata_is_read_and_the_series_is_the_group(tmp_path: Path) -> None:
    make(tmp_path, "e1.mp4", "e2.mp4", "film.mp4")
    for number in (1, 2):
        (tmp_path / f"e{number}.json").write_text(json.dumps({"series": "Popeye", "episode": number, "mood": "gay"}))
    catalog = scan(tmp_path)
    assert [(title.metadata.episode, title.group_id) for title in catalog.titles] == [
        (1, "popeye"),
        (2, "popeye"),
        (None, "film"),
    ]
    assert [problem.where for problem in catalog.problems] == ["e1.json", "e2.json"]
    assert "unknown field 'mood' is ignored" in catalog.problems[0].sentence


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"[1]", "holds list, not an object"),
        (b'{"year": NaN}', "NaN is not JSON"),
        (b"\xff\xfe{", "can't decode byte"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"title": "' + b"x" * 3000 + b'"}', "more than 2000 bytes"),
        (b'{"year": ' + b"1" * 1900 + b"}", None),
        (b'{"title": "\\ud800"}', "not Unicode"),
    ],
)
def test_a_broken_metadata_file_is_a_problem_and_the_title_goes_on(
    tmp_path: Path, data: bytes, match: str | None
) -> None:
    make(tmp_path, "a.mp4")
    (tmp_path / "a.json").write_bytes(data)
    catalog = scan_catalog(str(tmp_path), MediaLimits(max_sidecar_bytes=len(data) if b"[[" in data else 2000))
    assert [title.title_id for title in catalog.titles] == ["a"]
    assert catalog.titles[0].metadata.title is None
    [problem] = catalog.problems
    assert problem.where == "a.json"
    assert (match or "must lie between") in problem.sentence


def test_links_never_rename_a_title_and_loops_end(tmp_path: Path) -> None:
    root = make(tmp_path / "root", "z/a.mp4", "b.mp4")
    elsewhere = make(tmp_path / "elsewhere", "c.mp4")
    (root / "a_link").symlink_to(root / "z")
    (root / "z" / "up").symlink_to(root)
    (root / "more").symlink_to(elsewhere)
    (root / "copy.mp4").symlink_to(root / "b.mp4")
    (root / "gone.mp4").symlink_to(root / "nothing.mp4")
    catalog = scan(root)
    assert [title.title_id for title in catalog.titles] == ["b", "copy", "more--c", "z--a"]
    assert {problem.where: problem.sentence.split(":")[0] for problem in catalog.problems} == {
        "gone.mp4": "the link leads nowhere",
        "a_link": "the link is not followed",
        "z/up": "the link is not followed",
    }


def test_what_cannot_be_read_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.mp4", "locked/b.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff.mp4", os.O_CREAT | os.O_WRONLY))
    real = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    catalog = scan(tmp_path)
    assert [title.title_id for title in catalog.titles] == ["a"]
    assert {problem.where: problem.sentence for problem in catalog.problems} == {
        "locked": "the folder cannot be read (Permission denied)",
        "pipe.mp4": "it is not a regular file",
        "'\\udcff.mp4'": "its name is not UTF-8, so that no table can hold it; rename it",
    }


@pytest.mark.parametrize(
    ("location", "match"),
    [("s3://bucket/x", "of this machine or of a bucket"), ("/nowhere/at/all", "there is nothing at")],
)
def test_a_catalogue_that_is_not_there(location: str, match: str) -> None:
    with pytest.raises(CatalogError, match=match):
        scan_catalog(location, LIMITS)


def test_real_catalogues(shared_media: Path) -> None:
    titles = scan(shared_media / "titles")
    assert len(titles.titles) == 12
    assert titles.problems == ()
    languages = {title.title_id: [item.language for item in title.sidecars] for title in titles.titles}
    assert {key: value for key, value in languages.items() if value} == {
        "friday": [None],
        "popeye_p1": ["en"],
        "popeye_p3": ["en"],
        "sintel_part1": ["en"],
        "sintel_part2": ["en"],
        "sintel_part3": ["en"],
    }
    odd = scan(shared_media / "odd")
    assert len(odd.titles) == 28
    assert odd.problems == ()
    assert [Path(item.path).name for title in odd.titles for item in title.sidecars] == ["broken.srt"]


def test_the_cost_of_a_scan_grows_with_the_files_and_not_with_their_square(tmp_path: Path) -> None:
    few, many = (_touched(tmp_path / name, num_folders) for name, num_folders in (("few", 5), ("many", 20)))
    assert len(scan(many).titles) == 2000
    # Four times the files in one folder tree: 4 if linear, 16 if each file is compared with each.
    assert _least_seconds(many) < 8 * _least_seconds(few)


def _touched(folder: Path, num_folders: int) -> Path:
    for number in range(num_folders):
        (folder / f"d{number}").mkdir(parents=True)
        for file in range(100):
            (folder / f"d{number}" / f"t{file}.mp4").touch()
    return folder


def _least_seconds(folder: Path) -> float:
    """Of the process's own time, the least of three scans."""
    found = []
    for _ in range(3):
        start = time.process_time()
        scan(folder)
        found.append(time.process_time() - start)
    return min(found)

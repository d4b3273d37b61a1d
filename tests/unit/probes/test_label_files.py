"""Label files of each format say the same; what is wrong is named by file and line, and stops nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediafm.errors import CatalogError
from mediafm.probes.labels import LabelKind, Labels, read_labels
from mediafm.types import Span


def read_lines(folder: Path, *lines: object, name: str = "tone.jsonl") -> Labels:
    file = folder / name
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return read_labels([file])


GOOD = {"title_id": "t", "start_seconds": 0, "end_seconds": 2.5, "labels": ["b", "a", "b"]}


def test_a_clip_with_labels(tmp_path: Path) -> None:
    found = read_lines(tmp_path, GOOD)
    (label_set,) = found.sets
    (row,) = label_set.rows
    assert (label_set.task, label_set.kind) == ("tone", LabelKind.MULTI_LABEL)
    assert (row.title_id, row.span, row.shot_index, row.value) == ("t", Span(0, 2.5), None, ("a", "b"))
    assert row.where == "tone.jsonl:1"
    assert found.problems == ()


def test_three_formats_say_the_same(tmp_path: Path) -> None:
    rows = [
        {"title_id": "t", "start_seconds": 0.0, "end_seconds": 2.0, "labels": ["a", "b"], "annotator": "ann"},
        {"title_id": "u", "start_seconds": 1.0, "end_seconds": 2.0, "labels": [], "annotator": "bob"},
    ]
    (tmp_path / "x").mkdir()
    jsonl, csv, parquet = (tmp_path / "x" / f"tone{suffix}" for suffix in (".jsonl", ".csv", ".parquet"))
    jsonl.write_bytes(b"\xef\xbb\xbf" + "\n\n".join(json.dumps(row) for row in rows).encode())
    csv.write_text("title_id,start_seconds,end_seconds,labels,annotator\nt,0,2,a|b,ann\nu,1,2,,bob\n")
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    said = [
        [(row.title_id, row.span, row.value, row.annotator) for row in read_labels([file]).sets[0].rows]
        for file in (jsonl, csv, parquet)
    ]
    assert said[0] == said[1] == said[2]
    assert len(said[0]) == 2


@pytest.mark.parametrize(
    ("cells", "kind", "value"),
    [
        ({"label": True}, LabelKind.BINARY, True),
        ({"label": 0}, LabelKind.BINARY, False),
        ({"label": "drama"}, LabelKind.SINGLE_LABEL, "drama"),
        ({"score": 3}, LabelKind.SCORE, 3.0),
        ({"labels": []}, LabelKind.MULTI_LABEL, ()),
    ],
)
def test_the_kind_follows_from_what_is_said(tmp_path: Path, cells: dict, kind: LabelKind, value: object) -> None:
    (label_set,) = read_lines(tmp_path, {"title_id": "t", **cells}).sets
    assert (label_set.kind, label_set.rows[0].value) == (kind, value)
    assert (label_set.rows[0].span, label_set.rows[0].shot_index) == (None, None)


def test_truth_values_of_csv(tmp_path: Path) -> None:
    found = read_lines(tmp_path, "title_id,shot_index,label", "t,0,true", "t,1,0", "t,2,FALSE", name="worthy.csv")
    assert [(row.shot_index, row.value) for row in found.sets[0].rows] == [(0, True), (1, False), (2, False)]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "not JSON"),
        ("[1]", "holds a list"),
        ({**GOOD, "title_id": ""}, "title_id = ''; it is a text of 1 to"),
        ({**GOOD, "title_id": 7}, "title_id = 7"),
        ({**GOOD, "end_seconds": 0}, "a span must end after it starts"),
        ({**GOOD, "end_seconds": "soon"}, "end_seconds = 'soon'; it is a number"),
        ('{"title_id": "t", "start_seconds": NaN, "end_seconds": 1, "labels": []}', "start_seconds = nan"),
        ({**GOOD, "end_seconds": 10**400}, "end_seconds = 1000"),
        ({**GOOD, "end_seconds": None}, "end_seconds = None"),
        ({**GOOD, "shot_index": 3}, "beside times; a row has either times or one shot index"),
        ({"title_id": "t", "shot_index": -1, "labels": []}, "shot_index = -1"),
        ({"title_id": "t", "shot_index": 1.5, "labels": []}, "shot_index = 1.5"),
        ({"title_id": "t"}, "no label; a row has one of labels, label and score"),
        ({**GOOD, "score": 1}, "labels and score; a row has one of"),
        ({**GOOD, "labels": "a"}, "labels = 'a'; it is a list"),
        ({**GOOD, "labels": [1]}, "labels = 1; it is a text"),
        ({**GOOD, "labels": [str(i) for i in range(101)]}, "at most 100 names"),
        ({**GOOD, "labels": None, "label": 2.5}, "label = 2.5"),
        ({**GOOD, "labels": None, "score": True}, "score = True; it is a number"),
        ({**GOOD, "annotator": ["x"]}, "annotator = "),
        ({**GOOD, "task": ""}, "task = ''"),
        ({**GOOD, "labels": None, "score": 2.0}, "a score label in the task 'tone'; its first row (tone.jsonl:1)"),
        (GOOD, "labelled before; the same annotator did so at tone.jsonl:1"),
    ],
)
def test_bad_rows_are_refused_by_line_and_the_rest_go_on(tmp_path: Path, line: object, sentence: str) -> None:
    other = {**GOOD, "title_id": "other"}
    found = read_lines(tmp_path, GOOD, line, other)
    assert [row.title_id for row in found.sets[0].rows] == ["t", "other"]
    (problem,) = found.problems
    assert problem.where == "tone.jsonl:2"
    assert sentence in problem.sentence


def test_a_line_that_is_not_utf8_is_one_problem(tmp_path: Path) -> None:
    file = tmp_path / "tone.jsonl"
    file.write_bytes(json.dumps(GOOD).encode() + b'\n{"title_id": "\xff"}\n')
    found = read_labels([file])
    assert len(found.sets[0].rows) == 1
    assert [problem.where for problem in found.problems] == ["tone.jsonl:2"]


def test_a_csv_row_with_too_many_cells(tmp_path: Path) -> None:
    found = read_lines(tmp_path, "title_id,score", "t,1", "u,2,3", name="s.csv")
    assert [(problem.where, len(found.sets[0].rows)) for problem in found.problems] == [("s.csv:3", 1)]


def test_two_annotators_of_a_clip_are_two_rows(tmp_path: Path) -> None:
    found = read_lines(tmp_path, {**GOOD, "annotator": "a"}, {**GOOD, "annotator": "b"})
    assert (len(found.sets[0].rows), found.problems) == (2, ())


def test_a_folder_gives_its_label_files_and_the_task_column_wins(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({**GOOD, "task": "z"}))
    (tmp_path / "b.csv").write_text("title_id,score\nt,1\n")
    (tmp_path / "tasks.json").write_text("{}")
    assert [label_set.task for label_set in read_labels([tmp_path]).sets] == ["b", "z"]


def test_the_digest_follows_bytes_and_names_not_order(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("title_id,score\nt,1\n")
    second.write_text("title_id,score\nt,2\n")
    digest = read_labels([first, second]).sha256
    assert digest == read_labels([second, first]).sha256
    second.write_text("title_id,score\nt,3\n")
    assert digest != read_labels([first, second]).sha256


@pytest.mark.parametrize("name", ["absent.jsonl", "labels.txt", "empty"])
def test_paths_that_hold_no_labels_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "labels.txt").touch()
    with pytest.raises(CatalogError, match=rf"{name}: no label file there"):
        read_labels([tmp_path / name])


def test_a_file_that_is_no_parquet_is_refused_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(CatalogError, match=r"a \.parquet file is Parquet"):
        read_labels([tmp_path / "x.parquet"])


def test_a_csv_that_is_not_utf8_is_refused_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"title_id,score\n\xff,1\n")
    with pytest.raises(CatalogError, match="readable UTF-8"):
        read_labels([tmp_path / "x.csv"])


def test_no_rows_is_no_task(tmp_path: Path) -> None:
    assert read_lines(tmp_path, "", name="empty.jsonl").sets == ()

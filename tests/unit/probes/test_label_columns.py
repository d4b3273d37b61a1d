"""A team's own label files, read as the configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediafm.config import LabelColumns, ProbeSettings, TaskSettings, load_config
from mediafm.errors import ConfigError
from mediafm.probes.labels import LabelKind, LabelRow, Labels, read_labels
from mediafm.types import Span

SHEET = """video,in,out,genre,mood,rating,who
t,0,2.5,drama,calm; tense,3,ann
t,2.5,4,comedy,,1,ann
u,0,9,1,calm,,bob
"""
TOML = """
[probes.tasks.genre]
file = "sheet.csv"
kind = "single_label"
columns = { title_id = "video", start_seconds = "in", end_seconds = "out", label = "genre", annotator = "who" }

[probes.tasks.tone]
file = "sheet.csv"
separator = ";"
columns = { title_id = "video", start_seconds = "in", end_seconds = "out", labels = "mood" }

[probes.tasks.rating]
file = "sheet.csv"
columns = { title_id = "video", start_seconds = "in", end_seconds = "out", score = "rating" }
"""


def settings_of(folder: Path, toml: str) -> ProbeSettings:
    (folder / "mediafm.toml").write_text(toml)
    return load_config(folder / "mediafm.toml").probes


def read(folder: Path, text: str, settings: ProbeSettings, name: str = "sheet.csv") -> Labels:
    (folder / name).write_text(text)
    return read_labels([folder / name], settings)


def rows_of(labels: Labels, task: str) -> list[LabelRow]:
    return [row for label_set in labels.sets if label_set.task == task for row in label_set.rows]


def test_one_sheet_holds_several_tasks_in_columns_of_its_own(tmp_path: Path) -> None:
    found = read(tmp_path, SHEET, settings_of(tmp_path, TOML))
    assert [(row.title_id, row.span, row.value, row.annotator) for row in rows_of(found, "genre")] == [
        ("t", Span(0, 2.5), "drama", "ann"),
        ("t", Span(2.5, 4), "comedy", "ann"),
        ("u", Span(0, 9), "1", "bob"),
    ]
    assert [row.value for row in rows_of(found, "tone")] == [("calm", "tense"), (), ("calm",)]
    assert [row.value for row in rows_of(found, "rating")] == [3.0, 1.0]
    (problem,) = found.problems
    assert problem.where == "sheet.csv:4"
    assert problem.sentence.startswith("no label; a row has one of")
    assert problem.sentence.endswith("(nothing stands in the configured score = 'rating')")


def test_parquet_has_columns_of_its_own_too(tmp_path: Path) -> None:
    table = {"clip": ["t", "t"], "at": [3, 4], "is_scene_end": [True, False], "label": ["not", "these"]}
    pq.write_table(pa.table(table), tmp_path / "scenes.parquet")
    columns = LabelColumns(title_id="clip", shot_index="at", label="is_scene_end")
    found = read_labels(
        [tmp_path / "scenes.parquet"], ProbeSettings(tasks={"scenes": TaskSettings(kind="pair", columns=columns)})
    )
    assert found.problems == ()
    assert [(row.shot_index, row.is_pair, row.value) for row in rows_of(found, "scenes")] == [
        (3, True, True),
        (4, True, False),
    ]


def test_scenes_by_their_start_are_boundaries(tmp_path: Path) -> None:
    columns = LabelColumns(title_id="film", boundary_seconds="scene_start")
    text = "film,scene_start,scene_end\nt,0,5\nt,5,9.5\n"
    found = read(tmp_path, text, ProbeSettings(tasks={"sheet": TaskSettings(columns=columns)}))
    assert [row.boundary_seconds for row in rows_of(found, "sheet")] == [(0.0,), (5.0,)]
    assert found.sets[0].kind is LabelKind.PAIR


@pytest.mark.parametrize(
    ("kind", "label", "value"),
    [
        ("single_label", "1", "1"),
        ("single_label", "true", "true"),
        ("multi_label", "drama", ("drama",)),
        ("binary", "1", True),
        (None, "0", False),
        (None, "2", "2"),
    ],
)
def test_the_kind_settles_what_a_label_means(tmp_path: Path, kind: Any, label: str, value: object) -> None:
    settings = ProbeSettings(tasks={"sheet": TaskSettings(kind=kind)})
    found = read(tmp_path, f"title_id,label\nt,{label}\n", settings)
    assert ([row.value for row in rows_of(found, "sheet")], found.problems) == ([value], ())


def test_class_numbers_of_json_are_names_where_the_kind_says_so(tmp_path: Path) -> None:
    settings = ProbeSettings(tasks={"x": TaskSettings(kind="single_label")})
    lines = '{"title_id": "t", "label": 1}\n{"title_id": "u", "label": 7}\n{"title_id": "v", "label": false}\n'
    assert [row.value for row in rows_of(read(tmp_path, lines, settings, "x.jsonl"), "x")] == ["1", "7", "false"]


def test_rows_of_another_kind_than_configured_are_refused(tmp_path: Path) -> None:
    settings = ProbeSettings(tasks={"sheet": TaskSettings(kind="binary")})
    found = read(tmp_path, "title_id,label\nt,maybe\nu,true\n", settings)
    assert [row.title_id for row in rows_of(found, "sheet")] == ["u"]
    (problem,) = found.problems
    assert problem.where == "sheet.csv:2"
    assert problem.sentence == "a single_label label in the task 'sheet'; it is configured as binary"


def test_a_configured_task_without_rows_is_named(tmp_path: Path) -> None:
    settings = ProbeSettings(tasks={"gnere": TaskSettings(kind="binary"), "lost": TaskSettings(file="no.csv")})
    found = read(tmp_path, "title_id,label\nt,true\n", settings)
    assert [problem.where for problem in found.problems] == ["[probes.tasks.gnere]", "[probes.tasks.lost]"]
    assert [label_set.task for label_set in found.sets] == ["sheet"]


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ("[probes.tasks.x]\ncolums = {}\n", r"probes\.tasks\.x\.colums = \{\}: Extra inputs"),
        ('[probes.tasks.x.columns]\ntitle = "video"\n', r"probes\.tasks\.x\.columns\.title = 'video': Extra"),
        ('[probes.tasks.x]\nkind = "multi"\n', r"probes\.tasks\.x\.kind = 'multi'"),
        ('[probes.tasks.x]\nmeasures = ["f1"]\n', r"probes\.tasks\.x\.measures\.0 = 'f1'"),
        ('[probes.tasks.x]\npooling = "sum"\n', r"probes\.tasks\.x\.pooling = 'sum'"),
        ('[probes.tasks.x]\nseparator = ""\n', r"probes\.tasks\.x\.separator = ''"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, toml: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        settings_of(tmp_path, toml)


def test_the_kinds_of_the_configuration_are_those_of_labels() -> None:
    configured = {name for part in get_args(TaskSettings.model_fields["kind"].annotation) for name in get_args(part)}
    assert configured == {kind.value for kind in LabelKind}

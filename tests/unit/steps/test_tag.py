"""`mediafm tag`: shots, pairs, spans and titles; titles that came later; files; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from mediafm.cli.exit_codes import EXIT_USAGE
from mediafm.cli.tag import tag
from mediafm.config import Config
from mediafm.errors import ConfigError, LineageMismatchError, NotFoundError
from mediafm.probes.clips import clip_vectors, find_clips
from mediafm.probes.labels import LabelKind, LabelRow, Labels, LabelSet
from mediafm.probes.vectors import TitleShots, TitleVectors
from mediafm.steps.head_saving import save_head
from mediafm.steps.tagging import Tagging, TitleTags, open_tagging
from mediafm.steps.workspace import Workspace
from mediafm.store.store import Store
from mediafm.types import Span
from tests.unit.steps.hidden_root import (
    NUM_SHOTS,
    add_titles,
    embed_titles,
    hidden,
    new_root,
    seen_by,
    serve_checkpoint,
)

FIRST, SECOND = "a" * 64, "b" * 64
TITLES = [f"title-{number:02d}" for number in range(14)]
LATER, UNTIMED = "later", "untimed"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def moods(title_id: str, shot: int) -> tuple[str, ...]:
    first, second, _ = hidden(title_id)[shot]
    return tuple(name for name, holds in (("dark", first > 0.3), ("loud", second > 0)) if holds)


def is_cut(title_id: str, shot: int) -> bool:
    return bool(np.subtract(*hidden(title_id)[shot : shot + 2, 0]) ** 2 > 1)


def labels_of(task: str, value: Any, is_pair: bool = False) -> Labels:
    rows = [
        LabelRow(
            title_id=title_id,
            task=task,
            span=None,
            shot_index=shot,
            value=value(title_id, shot),
            annotator="",
            where="",
            is_pair=is_pair,
        )
        for title_id in TITLES
        for shot in range(0, NUM_SHOTS - is_pair, 2)
    ]
    return Labels(sets=(LabelSet(task=task, kind=rows[0].kind, rows=tuple(rows)),), problems=(), sha256="c" * 64)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Probes saved on fourteen titles, then two titles that came later: one without times, one lacking a vector."""
    folder = Path(tmp_path_factory.mktemp("served"))
    config = new_root(folder)
    with Workspace.open(config) as workspace:
        add_titles(workspace, folder, TITLES)
        embed_titles(workspace, FIRST, TITLES)
        serve_checkpoint(workspace, FIRST)
        save_head(workspace, "mood", labels_of("mood", moods))
        save_head(workspace, "cut", labels_of("cut", is_cut, is_pair=True))
        save_head(workspace, "rank", labels_of("rank", lambda *place: float(hidden(place[0])[place[1], 0])))
        add_titles(workspace, folder, [LATER])
        embed_titles(workspace, FIRST, [LATER], num_absent=2)
        add_titles(workspace, folder, [UNTIMED], has_times=False)
        embed_titles(workspace, FIRST, [UNTIMED])
    return config


@pytest.fixture(scope="module")
def store(served: Config) -> Store:
    return Store(served.root_path)


@pytest.fixture
def config_file(served: Config, tmp_path: Path) -> Path:
    path = tmp_path / "mediafm.toml"
    path.write_text(f'root = "{served.root}"\nprofile = "{served.profile}"\ndevice = "cpu"\n')
    return path


def call(config_file: Path, *arguments: object) -> Result:
    return CliRunner().invoke(tag, ["--config", str(config_file), *map(str, arguments)])


def tagged(tagging: Tagging, **asked: Any) -> dict[str, TitleTags]:
    return {title.title_id: title for title in tagging.run(**asked)}


def test_a_title_that_came_after_the_probe_is_tagged_rightly(store: Store) -> None:
    found = tagged(open_tagging(store, "mood", title_ids=[LATER]))[LATER]
    assert (found.num_units, found.num_absent) == (NUM_SHOTS - 2, 2)
    said = {(row.shot_index, row.label) for row in found.rows}
    truth = {(shot, name) for shot in range(2, NUM_SHOTS) for name in moods(LATER, shot)}
    assert len(said ^ truth) <= 2, "of twenty"
    assert found.num_tagged == len({shot for shot, _ in said})
    row = found.rows[0]
    assert (row.checkpoint_sha256, row.probe, row.probe_version, row.is_tagged) == (FIRST, "mood", 1, True)
    assert (row.start_seconds, row.end_seconds) == (2.0 * row.shot_index, 2.0 * row.shot_index + 2)


def test_all_scores_have_a_row_a_label_and_tags_among_them_are_the_tags(store: Store) -> None:
    tagging = open_tagging(store, "mood", title_ids=[LATER])
    some, whole = (tagged(tagging, all_scores=each)[LATER].rows for each in (False, True))
    assert len(whole) == 2 * (NUM_SHOTS - 2)
    assert [row for row in whole if row.is_tagged] == list(some)
    assert all(0 <= row.score <= 1 for row in whole)


def test_new_titles_are_those_that_had_no_labels(store: Store) -> None:
    assert {title.title_id for title in open_tagging(store, "mood", only_new=True).titles} == {LATER, UNTIMED}
    assert len(open_tagging(store, "mood").titles) == len(TITLES) + 2


def test_a_span_is_scored_as_a_label_of_it_would_be_pooled(store: Store) -> None:
    span = Span(5.0, 11.5)
    (row, *_) = tagged(open_tagging(store, "mood", title_ids=["title-03"], span=span), all_scores=True)["title-03"].rows
    starts = np.arange(NUM_SHOTS) * 2.0
    shots = TitleShots(title_id="title-03", group_id="g", start_seconds=starts, end_seconds=starts + 2)
    label = LabelRow(
        title_id="title-03", task="mood", span=span, shot_index=None, value=("dark",), annotator="", where=""
    )
    task = find_clips(LabelSet(task="mood", kind=LabelKind.MULTI_LABEL, rows=(label,)), {"title-03": shots})
    stored = seen_by(FIRST, "title-03").astype(np.float16)
    vectors = TitleVectors(title_id="title-03", vectors=stored, is_present=np.ones(NUM_SHOTS, dtype=bool))
    (pooled,) = clip_vectors([task], [vectors])
    head = open_tagging(store, "mood").saved.head
    assert row.score == pytest.approx(head.predict(pooled.vectors)[0, head.classes.index(row.label)])
    assert (row.shot_index, row.start_seconds, row.end_seconds) == (None, 5.0, 11.5)


def test_whole_titles_have_a_row_and_a_warning_that_labels_spoke_of_shots(store: Store) -> None:
    tagging = open_tagging(store, "mood", unit="title")
    assert any("labels of 84 shot(s): probabilities of a title may be off" in note for note in tagging.notes)
    found = tagged(tagging, all_scores=True)
    assert [row.label for row in found[LATER].rows] == ["dark", "loud"]
    assert (found[LATER].rows[0].start_seconds, found[LATER].rows[0].end_seconds) == (0.0, 24.0)


def test_shots_without_times_are_tagged_without_times_and_have_no_spans(store: Store) -> None:
    found = tagged(open_tagging(store, "mood", title_ids=[UNTIMED]), all_scores=True)[UNTIMED]
    assert len(found.rows) == 2 * NUM_SHOTS
    assert {(row.start_seconds, row.end_seconds) for row in found.rows} == {(None, None)}
    with pytest.raises(NotFoundError, match="its shots have none"):
        tagged(open_tagging(store, "mood", title_ids=[UNTIMED], span=Span(0, 1)))


def test_probes_of_pairs_speak_of_neighbouring_shots_that_both_have_a_vector(store: Store) -> None:
    found = tagged(open_tagging(store, "cut", title_ids=[LATER]), all_scores=True)[LATER]
    assert (found.num_units, found.num_absent) == (NUM_SHOTS - 3, 2)
    assert [(row.label, row.shot_index) for row in found.rows] == [("cut", shot) for shot in range(2, NUM_SHOTS - 1)]
    assert found.rows[0].end_seconds == 8.0
    with pytest.raises(ConfigError, match="two neighbouring shots"):
        open_tagging(store, "cut", unit="title")


def test_scores_are_ranks_given_for_every_shot(store: Store) -> None:
    rows = tagged(open_tagging(store, "rank", title_ids=["title-05"]))["title-05"].rows
    assert {row.is_tagged for row in rows} == {None}
    truth = hidden("title-05")[[row.shot_index for row in rows], 0]
    assert np.corrcoef([row.score for row in rows], truth)[0, 1] > 0.8


@pytest.mark.parametrize(
    ("asked", "error", "why"),
    [
        ({"title_ids": ["nobody"]}, NotFoundError, "no served vectors of nobody"),
        ({"span": Span(0, 1)}, ConfigError, "a span of 0 titles"),
        ({"unit": "scene"}, ConfigError, "the unit 'scene'"),
    ],
)
def test_what_cannot_be_tagged_is_refused(store: Store, asked: dict[str, Any], error: type, why: str) -> None:
    with pytest.raises(error, match=why):
        open_tagging(store, "mood", **asked)


def test_a_span_outside_its_title_is_refused_with_the_titles_end(store: Store) -> None:
    with pytest.raises(NotFoundError, match=r"it ends at 24\.00 s"):
        tagged(open_tagging(store, "mood", title_ids=["title-01"], span=Span(30, 40)))


def test_the_command_prints_one_json_object(config_file: Path) -> None:
    found = call(config_file, "--probe", "mood", "--title", LATER, "--json")
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert (said["probe"], said["titles"], said["units"], said["absent"]) == ("mood", 1, 10, 2)
    assert len(said["rows"]) == said["num_rows"] > 0
    assert set(said["rows"][0]) >= {"title_id", "shot_index", "label", "score", "is_tagged", "probe_sha256"}


def test_a_file_holds_the_rows_whole_and_is_not_overwritten_unasked(config_file: Path, tmp_path: Path) -> None:
    lines, table = tmp_path / "tags.jsonl", tmp_path / "tags.parquet"
    for out in (lines, table):
        found = call(config_file, "--probe", "mood", "--new", "--all-scores", "--out", out, "--json")
        assert found.exit_code == 0, found.output
        assert json.loads(found.stdout)["out"] == str(out)
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(rows) == 2 * (2 * NUM_SHOTS - 2)
    assert pq.read_table(table).to_pylist() == rows
    refused = call(config_file, "--probe", "mood", "--out", lines)
    assert isinstance(refused.exception, ConfigError)
    assert "no file is overwritten unasked" in str(refused.exception)
    assert call(config_file, "--probe", "mood", "--title", LATER, "--out", lines, "--force").exit_code == 0
    assert {json.loads(line)["title_id"] for line in lines.read_text().splitlines()} == {LATER}


def test_a_file_of_unknown_ending_is_refused_before_it_is_written(config_file: Path, tmp_path: Path) -> None:
    refused = call(config_file, "--probe", "mood", "--out", tmp_path / "tags.xlsx")
    assert isinstance(refused.exception, ConfigError)
    assert not list(tmp_path.glob("*.xlsx*"))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--probe", "mood", "--list"],
        ["--probe", "mood", "--start", "1"],
        ["--probe", "mood", "--start", 2, "--end", 1],
    ],
)
def test_wrong_usage_is_said(config_file: Path, arguments: list[object]) -> None:
    assert call(config_file, *arguments).exit_code == EXIT_USAGE


def test_people_see_a_table_and_what_was_counted(config_file: Path) -> None:
    found = call(config_file, "--probe", "mood", "--title", LATER)
    assert found.exit_code == 0, found.output
    assert "1 titles, 10 shots" in found.stdout
    assert "2 without a vector" in found.stdout


def test_the_list_tells_quality_and_fit(config_file: Path) -> None:
    said = json.loads(call(config_file, "--list", "--json").stdout)
    by_name = {each["name"]: each for each in said["probes"]}
    assert set(by_name) == {"mood", "cut", "rank"}
    assert by_name["mood"]["fits_served_checkpoint"] is True
    assert by_name["mood"]["held_out"]["low"] > by_name["mood"]["held_out"]["chance"]
    table = call(config_file, "--list").stdout
    assert "macro average precision" in table
    assert "Kendall's tau-b" in table


def test_when_another_checkpoint_serves_a_probe_is_refused(served: Config, config_file: Path) -> None:
    """Last: it moves what is served."""
    with Workspace.open(served) as workspace:
        embed_titles(workspace, SECOND, [*TITLES, LATER, UNTIMED])
        serve_checkpoint(workspace, SECOND)
    with pytest.raises(LineageMismatchError, match=f"made on checkpoint {FIRST[:16]}.*--save mood"):
        open_tagging(Store(served.root_path), "mood")
    said = json.loads(call(config_file, "--list", "--json").stdout)
    assert {each["fits_served_checkpoint"] for each in said["probes"]} == {False}
    refused = call(config_file, "--probe", "mood")
    assert isinstance(refused.exception, LineageMismatchError)
    with Workspace.open(served) as workspace:
        save_head(workspace, "mood", labels_of("mood", moods))
    found = tagged(open_tagging(Store(served.root_path), "mood", title_ids=[LATER]))[LATER]
    assert {row.probe_version for row in found.rows} == {2}

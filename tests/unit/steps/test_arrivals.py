"""Looking at catalogues: what came, changed or went, without opening media; what is remembered is small."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from mediafm.automation import NewTitlesSettings
from mediafm.config import Config
from mediafm.steps import titles as titles_step
from mediafm.steps.arrivals import Arrivals, Watch, asked_for, look, mark_vanished
from mediafm.steps.catalogs import remember_inputs, scan_known
from mediafm.steps.summary import root_status
from mediafm.steps.titles import take_in
from mediafm.steps.workspace import Workspace

SETTINGS = NewTitlesSettings()


@pytest.fixture
def films(workspace: Workspace, tmp_path: Path) -> Path:
    """A catalogue of three files that are no media: a look never finds that out."""
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.mp4").write_bytes(name.encode() * 100)
    remember_inputs(workspace, [str(folder)])
    return folder


class Looks:
    """Look after look, each remembering what the one before wrote down."""

    def __init__(self, workspace: Workspace, settings: NewTitlesSettings = SETTINGS) -> None:
        self.workspace, self.settings, self.watch = workspace, settings, Watch()

    def look(self, *in_flight: str) -> Arrivals:
        found = look(self.workspace, self.watch, self.settings, in_flight)
        asked = asked_for(found.watch, found.ready)
        self.watch = Watch.from_json(json.loads(json.dumps(asked.as_json())))
        return found


@pytest.fixture
def looks(workspace: Workspace, films: Path) -> Looks:
    return Looks(workspace)


def on_record(workspace: Workspace) -> None:
    """All that is listed, in the ledger as a run leaves it (here: set aside, as it is no media)."""
    take_in(workspace, scan_known(workspace).titles)
    workspace.ledger.flush()


def test_a_file_is_taken_up_once_two_looks_saw_it_alike(looks: Looks, films: Path) -> None:
    first = looks.look()
    assert (first.ready, first.num_settling) == ((), 3)
    with (films / "b.mp4").open("ab") as growing:
        growing.write(b"more")
    second = looks.look()
    assert (second.ready, second.num_settling) == (("a", "c"), 1)
    assert looks.look("a", "c").ready == ("b",)
    assert looks.look("a", "b", "c").ready == ()


def test_a_file_whose_time_moves_is_still_being_written(looks: Looks, films: Path) -> None:
    looks.look()
    os.utime(films / "b.mp4", ns=(1, 1))
    assert looks.look().ready == ("a", "c")


def test_what_is_on_record_is_no_news_until_it_changes(looks: Looks, workspace: Workspace, films: Path) -> None:
    on_record(workspace)
    assert [looks.look().ready for _ in range(3)] == [(), (), ()]
    assert looks.watch == Watch()
    (films / "c.mp4").write_bytes(b"another cut")
    (films / "b.en.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    assert looks.look().ready == ()
    assert looks.look().ready == ("b", "c"), "a sidecar is part of its title"


def test_no_media_is_opened(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*arguments: object) -> None:
        raise AssertionError("media was opened")

    monkeypatch.setattr(titles_step, "MediaReader", opened)
    looks.look()
    looks.look()


def test_a_title_that_is_gone_twice_is_marked_and_status_says_so(
    looks: Looks, workspace: Workspace, films: Path, config: Config
) -> None:
    on_record(workspace)
    (films / "b.mp4").unlink()
    assert looks.look().vanished == ()
    assert looks.look().vanished == ("b",)
    (outcome,) = mark_vanished(workspace, ["b"])
    assert "no catalogue" in outcome.reason
    found = root_status(config)
    assert found["states"]["vanished"] == 1
    assert {row["title_id"]: row["state"] for row in found["titles"]}["b"] == "vanished"
    assert looks.look().vanished == (), "once"
    (films / "b.mp4").write_bytes(b"it came back")
    looks.look()
    assert looks.look().ready == ("b",)


def test_a_disk_that_is_not_mounted_marks_nothing(looks: Looks, workspace: Workspace, films: Path) -> None:
    on_record(workspace)
    films.rename(films.with_name("elsewhere"))
    for found in (looks.look(), looks.look()):
        assert found.vanished == ()
        assert "cannot be read: none is marked" in found.withheld


def test_many_that_are_gone_at_once_are_not_believed(workspace: Workspace, films: Path) -> None:
    for number in range(20):
        (films / f"n{number}.mp4").write_bytes(b"x" * number)
    on_record(workspace)
    for number in range(15):
        (films / f"n{number}.mp4").unlink()
    looks = Looks(workspace)
    looks.look()
    found = looks.look()
    assert (found.vanished, "max_vanished_share" in found.withheld) == ((), True)
    trusting = Looks(workspace, NewTitlesSettings(max_vanished_share=1.0))
    trusting.look()
    assert len(trusting.look().vanished) == 15


def test_a_run_that_never_records_its_title_is_asked_for_a_few_times_only(workspace: Workspace, films: Path) -> None:
    looks = Looks(workspace)
    asked = [looks.look().ready for _ in range(12)]
    assert sum("a" in ready for ready in asked) == SETTINGS.max_attempts
    assert looks.look().given_up == ("a", "b", "c")
    (films / "a.mp4").write_bytes(b"mended")
    looks.look()
    assert looks.look().ready == ("a",), "another file is another attempt"


def test_what_is_remembered_is_bounded_and_every_title_has_its_turn(workspace: Workspace, films: Path) -> None:
    for number in range(40):
        (films / f"n{number:02}.mp4").write_bytes(b"x")
    looks = Looks(workspace, NewTitlesSettings(max_titles_per_tick=5))
    taken: list[str] = []
    for _ in range(30):
        found = looks.look(*taken)
        assert len(found.ready) <= 5
        assert len(looks.watch.seen) <= 10
        taken += found.ready
    assert len(set(taken)) == len(taken) == 43


def test_a_watch_of_another_version_begins_anew() -> None:
    assert Watch.from_json({"version": 0, "seen": {"a": "1"}}) == Watch()
    assert Watch.from_json(None, now=7) == Watch(began=7)


def test_titles_in_a_folder_that_cannot_be_read_are_not_gone(looks: Looks, workspace: Workspace, films: Path) -> None:
    inner = films / "inner"
    inner.mkdir()
    (inner / "d.mp4").write_bytes(b"d")
    on_record(workspace)
    shutil.rmtree(inner)
    inner.symlink_to(inner)  # a loop: nobody can tell what is below it
    looks.look()
    assert looks.look().vanished == ()
    inner.unlink()
    looks.look()
    assert looks.look().vanished == ("inner--d",)

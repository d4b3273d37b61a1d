"""Saved probes: names and versions, test groups, the checkpoint that they belong to, and their files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediafm.config import Config
from mediafm.errors import ConfigError, IntegrityError, LineageMismatchError, NotFoundError, TrainingError
from mediafm.probes.head_files import ABOUT_FILE, NUMBERS_FILE, to_files
from mediafm.probes.labels import LabelKind, LabelRow, Labels, LabelSet, LabelValue
from mediafm.steps.head_saving import root_groups, save_head
from mediafm.steps.heads import check_name, list_heads, load_head
from mediafm.steps.workspace import Workspace
from mediafm.store.store import Store
from mediafm.store.views import connect, records
from tests.unit.steps.hidden_root import add_titles, embed_titles, hidden, new_root, serve_checkpoint

FIRST, SECOND = "a" * 64, "b" * 64
TITLES = [f"title-{number:02d}" for number in range(16)]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def labels_of(value: Callable[[str, int], LabelValue], title_ids: Sequence[str] = TITLES, task: str = "mood") -> Labels:
    """A label of every third shot."""
    rows = [
        LabelRow(
            title_id=title_id,
            task=task,
            span=None,
            shot_index=shot,
            value=value(title_id, shot),
            annotator="",
            where=f"{task}.jsonl:{number}",
        )
        for number, title_id in enumerate(title_ids)
        for shot in range(0, 12, 3)
    ]
    return Labels(sets=(LabelSet(task=task, kind=rows[0].kind, rows=tuple(rows)),), problems=(), sha256="c" * 64)


def is_dark(title_id: str, shot: int) -> bool:
    return bool(hidden(title_id)[shot, 0] > 0)


DARK = labels_of(is_dark)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Sixteen titles, embedded by two checkpoints; the first is served."""
    folder = Path(tmp_path_factory.mktemp("served"))
    config = new_root(folder)
    with Workspace.open(config) as workspace:
        add_titles(workspace, folder, TITLES)
        for checkpoint in (FIRST, SECOND):
            embed_titles(workspace, checkpoint, TITLES)
        serve_checkpoint(workspace, FIRST)
    return config


@pytest.fixture
def workspace(served: Config) -> Iterator[Workspace]:
    with Workspace.open(served) as opened:
        yield opened


def test_a_save_is_found_again_recorded_and_the_same_when_made_twice(workspace: Workspace) -> None:
    saved = save_head(workspace, "dark-1", DARK)
    assert (saved.version, saved.was_made, saved.head.kind) == (1, True, LabelKind.BINARY)
    found = load_head(workspace.store, "dark-1")
    assert to_files(found.head) == to_files(saved.head)
    again = save_head(workspace, "dark-1", DARK)
    assert (again.sha256, again.version, again.was_made) == (saved.sha256, 1, False)
    (row,) = [row for row in records(workspace.store, ["heads"]) if row.fingerprint == saved.sha256]
    assert (row.asset, row.checkpoint_sha256, row.inputs["labels"]) == ("probe_head", FIRST, "c" * 64)
    assert row.details["name"] == "dark-1"


def test_the_views_and_the_ledger_bear_a_saved_probe(workspace: Workspace) -> None:
    save_head(workspace, "dark-views", DARK)
    with connect(workspace.store) as connection:
        (count,) = connection.execute("SELECT count(*) FROM current").fetchone() or (0,)
        (heads,) = connection.execute("SELECT count(*) FROM ledger WHERE table_name = 'heads'").fetchone() or (0,)
    assert count >= len(TITLES)
    assert heads >= 1


def test_other_labels_under_a_name_are_its_next_version(workspace: Workspace) -> None:
    save_head(workspace, "moving", DARK)
    other = save_head(workspace, "moving", labels_of(lambda title, shot: not is_dark(title, shot)))
    assert other.version == 2
    assert load_head(workspace.store, "moving").sha256 == other.sha256
    assert len(workspace.pointers.history("head-moving")) == 2


def test_a_probe_of_another_checkpoint_is_refused_and_one_made_beforehand_is_used_in_time(workspace: Workspace) -> None:
    old = save_head(workspace, "turning", DARK)
    with pytest.raises(LineageMismatchError, match=f"version 1 was made on checkpoint {FIRST[:16]}.*--save turning"):
        load_head(workspace.store, "turning", SECOND)
    new = save_head(workspace, "turning", DARK, checkpoint_sha256=SECOND[:8])
    assert new.version == 2
    assert new.head.origin.checkpoint_sha256 == SECOND
    assert new.head.held_out.value == pytest.approx(old.head.held_out.value, abs=0.15)
    assert load_head(workspace.store, "turning", FIRST).sha256 == old.sha256
    assert load_head(workspace.store, "turning", SECOND).sha256 == new.sha256
    by_name = {each.name: each for each in list_heads(workspace.store, FIRST)}
    assert (by_name["turning"].fits, by_name["turning"].saved.version) == (True, 1)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.sets(st.tuples(st.integers(0, 15), st.sampled_from([0, 3, 6, 9]))))
def test_what_test_groups_say_moves_nothing_of_a_head_but_its_test(
    workspace: Workspace, flips: set[tuple[int, int]]
) -> None:
    tests = root_groups(workspace, None).tests
    assert tests & set(TITLES) == {"title-02", "title-15"}, "by hash, as the training split"
    flipped = {(TITLES[number], shot) for number, shot in flips if TITLES[number] in tests}
    changed = labels_of(lambda title, shot: is_dark(title, shot) != ((title, shot) in flipped))
    plain, other = (save_head(workspace, "property", each).head for each in (DARK, changed))
    assert plain.tested is not None
    assert (plain.tested.num_groups, plain.tested.num_clips, plain.held_out.num_groups) == (2, 8, 14)
    numbers, others = (to_files(replace(each, tested=None)) for each in (plain, other))
    assert numbers == others


def test_training_groups_do_move_a_head(workspace: Workspace) -> None:
    changed = labels_of(lambda title, shot: is_dark(title, shot) != (title == TITLES[0]))
    first, second = (save_head(workspace, "moved", each).head for each in (DARK, changed))
    assert np.abs(first.weights - second.weights).max() > 0


def test_labels_in_test_groups_alone_make_no_head(workspace: Workspace) -> None:
    with pytest.raises(TrainingError, match=r"0 group\(s\) of titles.*not test groups"):
        save_head(workspace, "none", labels_of(is_dark, ["title-02", "title-15"]))


def test_without_labelled_test_groups_the_head_says_so(workspace: Workspace) -> None:
    head = save_head(workspace, "untested", labels_of(is_dark, TITLES[3:12])).head
    assert head.tested is None
    assert any("no test group has labels" in note for note in head.notes)


def test_titles_without_vectors_are_named_as_such_and_strangers_as_strangers(
    workspace: Workspace, tmp_path: Path
) -> None:
    add_titles(workspace, tmp_path, ["later"])
    head = save_head(workspace, "waiting", labels_of(is_dark, [*TITLES, "later", "stranger"])).head
    assert any("1 labelled title(s) have no vectors by this checkpoint" in note for note in head.notes)
    assert any("'stranger' is not in the catalogue" in note for note in head.notes)
    assert set(head.origin.title_ids) == set(TITLES)
    assert head.origin.clips_by_unit == {"shot": 18 * 4}


@pytest.mark.parametrize("name", ["", "Dark", "../x", "a/b", "a_b", "-a", "a-", "a--b", "a.b", "ü", "a\n", "a" * 65])
def test_names_that_are_no_slugs_are_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(ConfigError, match="lower-case letters and digits"):
        save_head(workspace, name, DARK)
    with pytest.raises(ConfigError, match="lower-case letters and digits"):
        load_head(workspace.store, name)


def test_a_good_name_is_itself() -> None:
    assert check_name("ad-tone-2") == "ad-tone-2"


def test_the_task_is_chosen_where_there_are_several(workspace: Workspace) -> None:
    several = replace(DARK, sets=(*DARK.sets, replace(DARK.sets[0], task="other")))
    with pytest.raises(ConfigError, match=r"2 tasks and none chosen; .*'mood', 'other'"):
        save_head(workspace, "chosen", several)
    with pytest.raises(ConfigError, match="the task 'third'"):
        save_head(workspace, "chosen", several, "third")
    assert save_head(workspace, "chosen", several, "other").head.task == "other"


def test_unknown_names_and_checkpoints_are_answered_with_what_there_is(workspace: Workspace) -> None:
    save_head(workspace, "known", DARK)
    with pytest.raises(NotFoundError, match=r"no saved probe 'unknown'; saved here are: .*known"):
        load_head(workspace.store, "unknown")
    with pytest.raises(NotFoundError, match="0 checkpoints 'dddd'"):
        save_head(workspace, "known", DARK, checkpoint_sha256="dddd")


def test_before_anything_is_served_nothing_is_saved(tmp_path: Path) -> None:
    with (
        Workspace.open(new_root(tmp_path)) as empty,
        pytest.raises(NotFoundError, match="nothing is served yet"),
    ):
        save_head(empty, "early", DARK)


@pytest.mark.parametrize("file", [NUMBERS_FILE, ABOUT_FILE])
def test_a_tampered_file_is_refused_by_load_and_listed_with_the_reason(workspace: Workspace, file: str) -> None:
    name = f"tampered-{file.removeprefix('head.')}"
    saved = save_head(workspace, name, DARK)
    path = Store(workspace.config.root_path).root / "store" / "heads" / saved.sha256 / file
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data.replace(b"0", b"1", 1) if file == ABOUT_FILE else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="sha256"):
        load_head(workspace.store, name)
    listed = {each.name: each for each in list_heads(workspace.store, FIRST)}[name]
    assert (listed.saved, listed.fits) == (None, False)
    assert "sha256" in listed.problem
    path.write_bytes(data)


def test_a_list_is_json(workspace: Workspace) -> None:
    save_head(workspace, "listed", DARK)
    (listed,) = [each.as_json() for each in list_heads(workspace.store, SECOND) if each.name == "listed"]
    assert json.loads(json.dumps(listed))["fits_served_checkpoint"] is False


def test_with_few_groups_none_is_a_test_group(tmp_path: Path) -> None:
    config = new_root(tmp_path)
    with Workspace.open(config) as workspace:
        add_titles(workspace, tmp_path, TITLES[:4])
        groups = root_groups(workspace, None)
    assert not groups.tests
    assert "fewer than 5 groups" in groups.note

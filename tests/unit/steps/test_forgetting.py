"""A title that was forgotten is gone from every place, stays gone, and is on record; a held one stays."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mediafm.catalog.scan import scan_catalog
from mediafm.config import Config, MediaLimits
from mediafm.errors import ConfigError, NotFoundError
from mediafm.lineage.tables import TABLES
from mediafm.media.synthetic.catalog import write_sample
from mediafm.media.synthetic.settings import TINY
from mediafm.steps.audit import AuditRequest, audit_root
from mediafm.steps.catalogs import remember_inputs, scan_known
from mediafm.steps.checks import left_out
from mediafm.steps.contact_sheets import FOLDER as SHEETS
from mediafm.steps.forgetting import WHOLE_CACHES, check_forgettable, forget, known_producers
from mediafm.steps.holding import hold_title, list_holds
from mediafm.steps.plan import titles_to_ingest
from mediafm.steps.producers import checkpoint_producers
from mediafm.steps.runner import run_step
from mediafm.steps.shots import ShotsStep
from mediafm.steps.titles import take_in
from mediafm.steps.workspace import Workspace
from mediafm.store.bought import FILE_NAME, BoughtVectors
from mediafm.store.files import LocalFiles
from mediafm.store.store import Store
from mediafm.store.tombstones import find_tombstone
from mediafm.store.views import connect, newest_rows
from mediafm.testing.stored_titles import CHECKPOINT, make, make_checkpoint
from mediafm.types import TitleState


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    """Titles a, a-b and c through the whole graph; a and c trained a checkpoint; caches hold things of theirs."""
    workspace.point_producers()
    producers = {**workspace.producers, **checkpoint_producers(CHECKPOINT)}
    tables = [table for table in producers if table != "words"]
    titles = {title: make(workspace.store, workspace.ledger, title, tables, producers) for title in ("a", "a-b", "c")}
    make_checkpoint(workspace.store, workspace.ledger, {title: titles[title] for title in ("a", "c")})
    workspace.ledger.flush()
    cache = workspace.store.root / "cache"
    for name in ("a", "a-b", "c"):
        _touch(cache / "contact_sheets" / f"{name}-{'0' * 16}.jpg")
    for place in (
        "contextual/x.vectors",
        "corpora/m/fused.f16",
        "corpora/.building-x/fused.f16",
        "training/r/1.safetensors",
    ):
        _touch(cache / place)
    return workspace


def _touch(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"of a title")


def files_of(store: Store, title_id: str) -> list[str]:
    """Every file of store and cache that is the title's, found by walking them."""
    walked = (path for area in ("store", "cache") for path in (store.root / area).rglob("*"))
    found = [path.relative_to(store.root) for path in walked if path.is_file()]
    return [str(path) for path in found if title_id in path.parts or path.name.startswith(f"{title_id}-{'0' * 16}")]


def current_titles(store: Store) -> set[str]:
    with connect(store, tables=()) as connection:
        return {row[0] for row in connection.execute("SELECT DISTINCT title_id FROM current").fetchall()}


def test_nothing_of_it_remains_and_others_keep_all(filled: Workspace) -> None:
    others = files_of(filled.store, "a-b"), files_of(filled.store, "c")
    asked = []
    found = forget(filled, "a", reason="the licence ended", elsewhere=lambda title: asked.append(title) or ["x"])
    assert files_of(filled.store, "a") == []
    assert not list((filled.store.root / "store").rglob("a")), "not even an empty folder"
    assert others == (files_of(filled.store, "a-b"), files_of(filled.store, "c"))
    cache = filled.store.root / "cache"
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == [
        f"{name}-{'0' * 16}.jpg" for name in ("a-b", "c")
    ]
    assert current_titles(filled.store) == {"a-b", "c"}
    assert asked == ["a"]
    assert found.elsewhere == ("x",)
    assert found.deleted["store/frames"] == found.deleted["cache/contact_sheets"] == 1
    assert found.num_bytes > 0


def test_what_it_cannot_reach_is_named(filled: Workspace) -> None:
    filled.ledger.add(
        replace(
            newest_rows(filled.store, "titles", ["a"])[0],
            generation=2,
            details={"source": {"path": "/films/a.mkv"}},
        )
    )
    filled.ledger.add(replace(newest_rows(filled.store, "titles", ["c"])[0], generation=2, media_sha256="media-of-a"))
    filled.ledger.flush()
    found = forget(filled, "a").unreachable
    (seen,) = found.checkpoints
    assert (seen.checkpoint_sha256, seen.split, seen.model_version) == (CHECKPOINT, "test", "7")
    assert found.media == ("/films/a.mkv",)
    assert found.same_media == ("c",)
    text = " ".join(found.sentences)
    for piece in (CHECKPOINT[:16], "/films/a.mkv", "mediafm forget --title c", "backups", "MLflow"):
        assert piece in text


def test_the_audit_says_when_and_by_whom(filled: Workspace, config: Config) -> None:
    found = forget(filled, "a", reason="over")
    tree, complaints = audit_root(config, AuditRequest(title_id="a"))
    assert complaints == []
    assert tree.facts["state"] == "forgotten"
    assert tree.facts["forgotten"] == found.tombstone.as_json()
    assert found.tombstone.media_sha256 == ("media-of-a",)
    for piece in (found.tombstone.forgotten_at, found.tombstone.forgotten_by, "over"):
        assert piece in tree.as_text()
    assert left_out(filled, "raw_titles").findings == ()


def test_a_second_call_finishes_and_changes_nothing_else(filled: Workspace) -> None:
    first = forget(filled, "a", reason="first")
    again = forget(filled, "a", reason="second")
    assert (first.was_new, again.was_new) == (True, False)
    assert again.tombstone == first.tombstone
    assert again.deleted == {}
    assert newest_rows(filled.store, "titles", ["a"])[0].generation == 2


@pytest.mark.parametrize("num_deleted", [0, 1, 5, 10])
def test_a_kill_half_way_is_finished_by_the_next_call(
    filled: Workspace, monkeypatch: pytest.MonkeyPatch, num_deleted: int
) -> None:
    delete, left = LocalFiles.delete, [num_deleted]

    def killed(files: LocalFiles, key: str) -> None:
        if not left[0]:
            raise KeyboardInterrupt("killed")
        left[0] -= 1
        delete(files, key)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "delete", killed)
        with pytest.raises(KeyboardInterrupt, match="killed"):
            forget(filled, "a")
    assert files_of(filled.store, "a")
    assert "a" not in current_titles(filled.store), "readers lose it before the first file goes"
    assert not forget(filled, "a").was_new
    assert files_of(filled.store, "a") == []


def test_a_file_without_a_record_goes_as_well(filled: Workspace) -> None:
    """As a kill between file and ledger leaves it."""
    producers = {**filled.producers, "video_embeddings": {"encoder": "tried once"}}
    filled.pointers.ensure("producers", {"video_embeddings": "0123456789abcdef"}, "a configuration that was killed")
    _touch(filled.store.root / "store/video_embeddings/0123456789abcdef/a/ffffffffffffffff.parquet")
    assert ("video_embeddings", "0123456789abcdef") in known_producers(filled.store)
    assert producers
    forget(filled, "a")
    assert files_of(filled.store, "a") == []


def test_a_hold_refuses_until_it_is_released_or_overridden(filled: Workspace, config: Config) -> None:
    hold_title(config, "a", reason="court case 7")
    assert [hold.title_id for hold in list_holds(config)] == ["a"]
    with pytest.raises(ConfigError, match="court case 7; a title that is held stays"):
        forget(filled, "a")
    assert find_tombstone(filled.store, "a") is None
    hold_title(config, "a", reason="", is_release=True)
    check_forgettable(filled.store, "a")
    hold_title(config, "a", reason="court case 8")
    found = forget(filled, "a", override_hold=True)
    assert found.tombstone.overridden_hold == "court case 8"
    assert files_of(filled.store, "a") == []


def test_what_was_never_seen_or_has_no_reason_is_told(filled: Workspace, config: Config) -> None:
    with pytest.raises(NotFoundError, match="no title 'zebra'"):
        forget(filled, "zebra")
    with pytest.raises(NotFoundError, match="no title 'zebra'"):
        hold_title(config, "zebra", reason="x")
    with pytest.raises(ConfigError, match="a blank reason"):
        hold_title(config, "a", reason=" ")


def test_bought_vectors_of_its_texts_are_deleted(filled: Workspace) -> None:
    bought = BoughtVectors(filled.store.root / "cache" / FILE_NAME)
    vector = np.ones(4, np.float32)
    keys = {text: f"openai-text/x/{hashlib.sha256(text.encode()).hexdigest()}" for text in ("text", "another")}
    bought.put(dict.fromkeys(keys.values(), vector))
    (row,) = newest_rows(filled.store, "titles", ["a"])
    filled.store.files.delete(row.object_key)
    assert forget(filled, "a").deleted[f"cache/{FILE_NAME}"] == 1
    assert set(bought.get(list(keys.values()))) == {keys["another"]}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films") / "catalog"
    write_sample(folder, 2, 3, settings=TINY, num_workers=1)
    return folder


Take = Callable[[], dict[str, TitleState]]


@pytest.fixture
def taken(workspace: Workspace, films: Path, tmp_path: Path) -> tuple[Path, Take]:
    """A catalogue that may be changed, and what taking it in again gives."""
    folder = Path(shutil.copytree(films, tmp_path / "catalog"))

    def take() -> dict[str, TitleState]:
        listed = scan_catalog(str(folder), MediaLimits()).titles
        states = {each.title_id: each.state for each in take_in(workspace, listed).outcomes}
        workspace.ledger.flush()
        return states

    return folder, take


def test_no_catalogue_brings_it_back(workspace: Workspace, taken: tuple[Path, Take]) -> None:
    folder, take = taken
    first, second = sorted(take())
    run_step(workspace, ShotsStep(workspace), workspace.titles([first, second]))
    forget(workspace, first)
    assert take() == {first: TitleState.FORGOTTEN, second: TitleState.OK}
    remember_inputs(workspace, [str(folder)])
    known = scan_known(workspace)
    assert [title.title_id for title in known.titles] == [second]
    assert any(f"{first} was forgotten and is left out" in str(problem) for problem in known.problems)
    listed = scan_catalog(str(folder), MediaLimits()).titles
    assert first not in titles_to_ingest(workspace, listed)
    assert take_in(workspace, [], vanished=[first]).titles(TitleState.FORGOTTEN) == [first]
    assert [title.state for title in workspace.titles([first])] == [TitleState.FORGOTTEN]
    assert files_of(workspace.store, first) == []


def test_the_same_media_under_another_name_is_denied(workspace: Workspace, taken: tuple[Path, Take]) -> None:
    folder, take = taken
    first = min(take())
    forget(workspace, first)
    media = next(path for path in folder.iterdir() if path.stem == first and path.suffix in {".mp4", ".mkv"})
    shutil.copy(media, folder / f"renamed{media.suffix}")
    media.unlink()
    assert take()["renamed"] is TitleState.FORGOTTEN
    (row,) = newest_rows(workspace.store, "titles", ["renamed"])
    assert f"its media is that of a forgotten title; {first} was forgotten" in row.reason
    assert files_of(workspace.store, "renamed") == []
    assert take()["renamed"] is TitleState.FORGOTTEN
    listed = scan_catalog(str(folder), MediaLimits()).titles
    assert "renamed" not in titles_to_ingest(workspace, listed)
    assert newest_rows(workspace.store, "titles", ["renamed"]) == [row], "it is not opened again"


def test_the_page_lists_every_place(filled: Workspace) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "forget.md").read_text()
    places = [
        *(f"store/{table}" for table in TABLES),
        *(f"cache/{name}" for name in (*WHOLE_CACHES, FILE_NAME, SHEETS)),
    ]
    assert [place for place in places if f"`{place}`" not in page] == []
    assert set(forget(filled, "a").deleted) <= set(places)


def test_a_report_is_json(filled: Workspace) -> None:
    found = forget(filled, "a").as_json()
    assert {"tombstone", "deleted", "num_bytes", "elsewhere", "unreachable", "was_new"} == set(found)

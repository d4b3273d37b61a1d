"""What `mediafm gc` removes and what it leaves, and that a root stays readable whenever it is stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mediafm.cli.main import library
from mediafm.config import Config
from mediafm.errors import ConflictError, IntegrityError, NotFoundError
from mediafm.lineage.tables import REMOVED
from mediafm.steps.gc import collect
from mediafm.steps.kept import kept_in
from mediafm.steps.producers import Producer, checkpoint_producers
from mediafm.steps.rollout import reach_of
from mediafm.steps.serving import serve
from mediafm.steps.training import make_manifest
from mediafm.steps.workspace import Workspace
from mediafm.store.audited import open_audited
from mediafm.store.pointers import PRODUCERS, SERVING
from mediafm.store.store import Store
from mediafm.store.tombstones import put_hold
from mediafm.store.verify_parts import verify_part
from mediafm.store.views import connect, records
from mediafm.testing.stored_titles import make, producer_ids
from mediafm.types import Json
from tests.unit.steps.served_root import CONTEXTUAL, NEW, OLD, embedded, ingested, with_checkpoint

OLDEST = "0" * 64


def keys_of(store: Store, *tables: str) -> list[str]:
    return [key for table in tables for key in store.files.list_keys(f"store/{table}")]


def retired(workspace: Workspace) -> None:
    """Two titles by three champions; the last two are the champion and its predecessor, which readers get."""
    workspace.point_producers()
    ingested(workspace, "a", "b")
    for sha256 in (OLDEST, OLD):
        with_checkpoint(workspace, sha256)
        embedded(workspace, sha256, "a", "b")
        assert serve(workspace).was_moved
    with_checkpoint(workspace, NEW)
    embedded(workspace, NEW, "a")


def other_space(workspace: Workspace) -> dict[str, Producer]:
    """As if the video encoder were another one."""
    changed = {name: {**workspace.producers[name], "other": True} for name in ("video_embeddings", "fused_embeddings")}
    return {**workspace.producers, **changed}


def test_only_what_nobody_needs_is_removed(workspace: Workspace) -> None:
    retired(workspace)
    before = keys_of(workspace.store, *CONTEXTUAL)
    swept = collect(workspace)
    gone = set(before) - set(keys_of(workspace.store, *CONTEXTUAL))
    oldest = producer_ids(checkpoint_producers(OLDEST))
    assert gone == {key for key in before if key.split("/")[2] in oldest.values()}
    assert len(gone) == 4
    assert {group.table for group in swept.removable} == set(CONTEXTUAL)
    reasons = {group.reason.rpartition(" ")[0] for group in swept.groups}
    assert {"", "champion", "served checkpoint", "configured", "raw records say what titles"} == reasons


def test_readers_keep_what_they_get_during_a_roll_out(workspace: Workspace) -> None:
    """The champion has replaced two others, and readers still get the first."""
    workspace.point_producers()
    ingested(workspace, "a", "b")
    with_checkpoint(workspace, OLDEST)
    embedded(workspace, OLDEST, "a", "b")
    serve(workspace)
    for sha256 in (OLD, NEW):
        with_checkpoint(workspace, sha256)
        embedded(workspace, sha256, "a")
    assert collect(workspace).removable == ()


def test_the_space_of_a_checkpoint_in_use_stays_and_that_of_no_one_goes(workspace: Workspace) -> None:
    retired(workspace)
    other = other_space(workspace)
    for title_id in ("a", "b"):
        tables = ("video_embeddings", "fused_embeddings")
        make(workspace.store, workspace.ledger, title_id, tables, other)
    workspace.ledger.flush()
    fused = keys_of(workspace.store, "fused_embeddings")
    assert {group.table for group in collect(workspace, is_dry=True).removable} >= {"fused_embeddings"}
    moved: dict[str, Json] = dict(producer_ids(other))
    workspace.pointers.ensure(PRODUCERS, moved, "another encoder")
    collect(workspace)
    assert keys_of(workspace.store, "fused_embeddings") == fused, "the champion reads the old space"


def test_what_the_newest_manifest_names_stays(workspace: Workspace) -> None:
    ingested(workspace, *(f"title-{number}" for number in range(8)))
    manifest = make_manifest(workspace).manifest
    assert manifest is not None
    named = {planned.title.fused_key for planned in manifest.titles}
    moved: dict[str, Json] = dict(producer_ids(other_space(workspace)))
    workspace.pointers.ensure(PRODUCERS, moved, "another encoder")
    collect(workspace)
    assert set(keys_of(workspace.store, "fused_embeddings")) == named
    assert keys_of(workspace.store, "video_embeddings") == []


def test_a_held_title_stays_until_the_hold_is_released(workspace: Workspace) -> None:
    retired(workspace)
    put_hold(workspace.store, "a", is_held=True, reason="a claim", set_by="anna")
    swept = collect(workspace)
    assert any(group.reason == "held: a claim" for group in swept.groups)
    assert {key.split("/")[3] for key in removed_keys(workspace)} == {"b"}
    put_hold(workspace.store, "a", is_held=False, reason="settled", set_by="anna")
    collect(workspace)
    assert {key.split("/")[3] for key in removed_keys(workspace)} == {"a", "b"}


def removed_keys(workspace: Workspace) -> list[str]:
    return [str(row.details["object_key"]) for row in records(workspace.store, [REMOVED])]


def test_a_hold_that_cannot_be_read_stops_everything(workspace: Workspace) -> None:
    retired(workspace)
    workspace.store.files.put_exclusive("holds/a/00000001.json", b"{}")
    with pytest.raises(IntegrityError, match="neither a tombstone nor a hold"):
        collect(workspace)


def test_each_removal_is_on_record_and_a_dry_run_removes_nothing(workspace: Workspace) -> None:
    retired(workspace)
    before = keys_of(workspace.store, *CONTEXTUAL)
    dry = collect(workspace, is_dry=True)
    assert (keys_of(workspace.store, *CONTEXTUAL), records(workspace.store, [REMOVED])) == (before, [])
    swept = collect(workspace)
    assert swept.groups == dry.groups
    assert swept.was_removed
    assert not dry.was_removed
    rows = records(workspace.store, [REMOVED])
    assert {row.details["object_key"] for row in rows} == set(before) - set(keys_of(workspace.store, *CONTEXTUAL))
    assert all(row.run_id == "run-1" and row.size_bytes and len(row.fingerprint) == 64 for row in rows)
    assert collect(workspace).removable == ()


def test_a_checkpoint_whose_vectors_were_removed_is_said_to_lack_them(workspace: Workspace) -> None:
    retired(workspace)
    assert reach_of(workspace.store, OLDEST).embedded == {"a", "b"}
    assert made_and_removed(workspace, OLDEST) == (2, 0)
    collect(workspace)
    assert made_and_removed(workspace, OLDEST) == (2, 2)
    assert made_and_removed(workspace, OLD) == (2, 0)
    reach = reach_of(workspace.store, OLDEST)
    assert (reach.embedded, reach.unfilled) == (frozenset(), ("a", "b"))
    assert reach_of(workspace.store, OLD).embedded == {"a", "b"}
    for title_id in ("a", "b"):
        producers = {**workspace.producers, **checkpoint_producers(OLDEST)}
        for record in make(workspace.store, workspace.ledger, title_id, CONTEXTUAL, producers).values():
            workspace.ledger.add(again(record))
    workspace.ledger.flush()
    assert reach_of(workspace.store, OLDEST).embedded == {"a", "b"}, "they were made again"
    assert made_and_removed(workspace, OLDEST) == (2, 0)


def made_and_removed(workspace: Workspace, sha256: str) -> tuple[int, int]:
    """As an audit counts a checkpoint's shot vectors."""
    with open_audited(workspace.store) as opened:
        (tally,) = (one for one in opened.made_by_checkpoint(sha256) if one.table == "contextual_embeddings")
    return tally.num_titles, tally.num_removed


def again(record: Any) -> Any:
    from dataclasses import replace

    return replace(record, generation=record.generation + 1)


class StoppedError(RuntimeError):
    """A kill."""


def test_whoever_is_stopped_half_way_leaves_a_readable_root(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    retired(workspace)
    delete, deleted = workspace.store.files.delete, []

    def stopping(key: str) -> None:
        if len(deleted) == 2:
            raise StoppedError("half-way")
        delete(key)
        deleted.append(key)

    monkeypatch.setattr(workspace.store.files, "delete", stopping)
    with pytest.raises(StoppedError, match="half-way"):
        collect(workspace)
    monkeypatch.undo()
    assert verify_part(workspace.store).findings == ()
    with connect(workspace.store) as connection:
        assert connection.execute("SELECT count(*) FROM contextual_embeddings").fetchall() == [(6,)]
    assert len(keys_of(workspace.store, *CONTEXTUAL)) == 4 + 4 + 2 - 2
    collect(workspace)
    assert len(keys_of(workspace.store, *CONTEXTUAL)) == 4 + 2


def test_a_pointer_that_moves_meanwhile_stops_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    retired(workspace)
    flush = workspace.ledger.flush

    def moving() -> None:
        flush()
        workspace.pointers.ensure(SERVING, {"checkpoint_sha256": OLDEST, "producers": {}}, "a rollback")

    monkeypatch.setattr(workspace.ledger, "flush", moving)
    with pytest.raises(ConflictError, match="moved meanwhile"):
        collect(workspace)


def test_without_a_run_nothing_is_known_to_be_old(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="which producers are configured"):
        kept_in(workspace.store)


def test_the_verb(workspace: Workspace, config: Config, tmp_path: Path) -> None:
    retired(workspace)
    file = tmp_path / "mediafm.toml"
    file.write_text(f'root = "{config.root}"\nprofile = "{config.profile}"\n')
    said = CliRunner().invoke(library, ["gc", "--dry-run", "--config", str(file)], catch_exceptions=False)
    assert "4 files" in said.output
    assert "would be removed" in said.output
    assert len(keys_of(workspace.store, *CONTEXTUAL)) == 10
    found = CliRunner().invoke(library, ["gc", "--json", "--config", str(file)], catch_exceptions=False)
    assert json.loads(found.output)["files"] == 4
    assert len(keys_of(workspace.store, *CONTEXTUAL)) == 6
    assert "nothing is to be removed" in CliRunner().invoke(library, ["gc", "--config", str(file)]).output

"""The serving pointer: it moves when nobody loses by it; and who waits for what."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from mediafm.config import Config
from mediafm.errors import ConflictError
from mediafm.lineage.records import LedgerRecord
from mediafm.steps.coverage import coverage_markdown
from mediafm.steps.history import decoder_version
from mediafm.steps.in_context import embed_in_context
from mediafm.steps.producers import Producer, checkpoint_producers
from mediafm.steps.serving import ServedManifest, embedded_titles, serve, serving_sha256
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import SERVING
from mediafm.store.views import records
from mediafm.testing.stored_titles import facets_of, make
from mediafm.types import TitleState
from tests.unit.steps.served_root import CONTEXTUAL, NEW, OLD, embedded, ingested, with_checkpoint


def test_nothing_is_served_before_a_champion_and_titles_wait(workspace: Workspace) -> None:
    ingested(workspace, "a")
    assert serve(workspace).checkpoint_sha256 is None
    embedded_now = embed_in_context(workspace, ["a"])
    (outcome,) = embedded_now.report.outcomes
    assert (outcome.state, embedded_now.checkpoint_sha256) == (TitleState.WAITING, None)
    assert "no champion yet" in outcome.reason


def test_the_pointer_does_not_move_while_a_served_title_is_missing(workspace: Workspace) -> None:
    ingested(workspace, "a", "b")
    with_checkpoint(workspace, OLD)
    embedded(workspace, OLD, "a", "b")
    assert serve(workspace).was_moved
    with_checkpoint(workspace, NEW)
    embedded(workspace, NEW, "a")
    held = serve(workspace)
    assert (held.was_moved, held.checkpoint_sha256, held.missing) == (False, OLD, ("b",))
    assert set(held.served) == {"a", "b"}
    embedded(workspace, NEW, "b")
    workspace.ledger.flush()
    assert serve(workspace).was_moved
    assert serving_sha256(workspace) == NEW


def test_a_new_title_does_not_hold_the_pointer(workspace: Workspace) -> None:
    ingested(workspace, "a", "b")
    with_checkpoint(workspace, OLD)
    embedded(workspace, OLD, "a")
    assert serve(workspace).missing == ("b",)
    with_checkpoint(workspace, NEW)
    embedded(workspace, NEW, "a")
    assert serve(workspace).was_moved


def test_a_served_title_without_vectors_in_the_new_space_holds_the_pointer(workspace: Workspace) -> None:
    ingested(workspace, "a", "b")
    with_checkpoint(workspace, OLD)
    embedded(workspace, OLD, "a", "b")
    serve(workspace)
    other: dict[str, Producer] = {
        **workspace.producers,
        "fused_embeddings": {**workspace.producers["fused_embeddings"], "step_version": 99},
    }
    with_checkpoint(workspace, NEW, other)
    tables = ("fused_embeddings", *CONTEXTUAL)
    make(workspace.store, workspace.ledger, "a", tables, {**other, **checkpoint_producers(NEW)})
    workspace.ledger.flush()
    held = serve(workspace)
    assert (held.was_moved, held.missing) == (False, ("b",))


def test_a_lost_file_and_a_lost_title_vector_are_missing_again(workspace: Workspace) -> None:
    ingested(workspace, "a", "b")
    with_checkpoint(workspace, OLD)
    embedded(workspace, OLD, "a", "b")
    for table, title_id in zip(CONTEXTUAL, ("a", "b"), strict=True):
        (row,) = records(workspace.store, [table], [title_id])
        workspace.store.discard(row.object_key)
    assert embedded_titles(workspace, OLD) == ({}, ["a", "b"])


def test_a_title_that_cannot_be_embedded_is_not_asked_for_again(workspace: Workspace) -> None:
    ingested(workspace, "a")
    with_checkpoint(workspace, OLD)
    (title,) = workspace.titles(["a"], {**workspace.producers, **checkpoint_producers(OLD)})
    workspace.ledger.add(
        LedgerRecord.of(
            title.chain.identity("contextual_embeddings"),
            state=TitleState.QUARANTINED,
            reason="no shot has a fused vector",
            details={"decoder_version": decoder_version()},
        )
    )
    workspace.ledger.flush()
    assert embedded_titles(workspace, OLD) == ({}, [])
    workspace.retries_quarantined = True
    assert embedded_titles(workspace, OLD) == ({}, ["a"])


def test_coverage_counts_the_present_values_only(workspace: Workspace) -> None:
    ingested(workspace, "a", "b")
    table = coverage_markdown(workspace, "text_embeddings", workspace.titles(["a", "b"]))
    assert "| **all** | 6 | 4 | 67% |" in table
    changed = facets_of("b", text="another")
    make(workspace.store, workspace.ledger, "b", ["titles"], workspace.producers, changed, generation=2)
    workspace.ledger.flush()
    table = coverage_markdown(workspace, "text_embeddings", workspace.titles(["a", "b"]))
    assert "| **all** | 3 | 2 | 67% |" in table, "the row of the old subtitle does not count"


def both_embedded(workspace: Workspace) -> None:
    """Two titles that readers have by the old checkpoint, of which the new one has one."""
    ingested(workspace, "a", "b")
    with_checkpoint(workspace, OLD)
    embedded(workspace, OLD, "a", "b")
    serve(workspace)
    with_checkpoint(workspace, NEW)
    embedded(workspace, NEW, "a")


def test_on_request_the_pointer_moves_and_says_who_is_lost(workspace: Workspace) -> None:
    both_embedded(workspace)
    held = serve(workspace)
    assert held.held == ("b",)
    assert "readers would lose 1 title (b)" in held.reason
    moved = serve(workspace, allow_missing=True)
    assert (moved.was_moved, moved.checkpoint_sha256, moved.lost, set(moved.served)) == (True, NEW, ("b",), {"a"})
    pointer = workspace.pointers.read(SERVING)
    assert pointer is not None
    assert "by --allow-missing; readers lose 1 title (b)" in pointer.reason
    workspace.ledger.flush()
    (row,) = [row for row in records(workspace.store, ["served"]) if row.details["was_moved"] and row.details["lost"]]
    assert (row.checkpoint_sha256, row.details["lost"]) == (NEW, ["b"])


def test_not_even_a_request_takes_everything_from_readers(workspace: Workspace) -> None:
    ingested(workspace, "a")
    with_checkpoint(workspace, OLD)
    embedded(workspace, OLD, "a")
    serve(workspace)
    with_checkpoint(workspace, NEW)
    found = serve(workspace, allow_missing=True)
    assert (found.was_moved, found.checkpoint_sha256, found.lost) == (False, OLD, ())


def test_two_runs_that_move_to_the_same_checkpoint_agree(config: Config) -> None:
    with Workspace.open(config, run_id="run-1") as first, Workspace.open(config, run_id="run-2") as second:
        both_embedded(first)
        embedded(first, NEW, "b")
        barrier = Barrier(2)

        def together(workspace: Workspace) -> ServedManifest:
            barrier.wait()
            return serve(workspace)

        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(together, (first, second)))
        assert [each.checkpoint_sha256 for each in found] == [NEW, NEW]
        assert [str(each.value["checkpoint_sha256"]) for each in first.pointers.history(SERVING)] == [OLD, NEW]


def test_a_move_decided_before_anothers_same_move_is_that_move(workspace: Workspace) -> None:
    both_embedded(workspace)
    stale = workspace.pointers.read(SERVING)
    assert stale is not None
    moved = serve(workspace, allow_missing=True)
    value = workspace.pointers.read(SERVING)
    assert moved.was_moved
    assert value is not None
    assert workspace.pointers.move(SERVING, stale.generation, value.value, "the slower run").reason == value.reason
    with pytest.raises(ConflictError, match="decided at generation"):
        workspace.pointers.move(SERVING, stale.generation, {**value.value, "checkpoint_sha256": OLD}, "another")

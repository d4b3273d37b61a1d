"""The serving pointer: it moves when nobody loses by it; and who waits for what."""

from __future__ import annotations

from collections.abc import Sequence

from mediafm.lineage.records import LedgerRecord
from mediafm.steps.contextual import ContextualStep
from mediafm.steps.coverage import coverage_markdown
from mediafm.steps.history import decoder_version
from mediafm.steps.in_context import embed_in_context
from mediafm.steps.producers import Producer, checkpoint_producers
from mediafm.steps.serving import embedded_titles, serve, serving_sha256
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION
from mediafm.store.views import records
from mediafm.testing.stored_titles import facets_of, make
from mediafm.types import Json, TitleState

OLD, NEW = "a" * 64, "b" * 64
CONTEXTUAL = ContextualStep.tables


def with_checkpoint(workspace: Workspace, sha256: str, producers: dict[str, Producer] | None = None) -> None:
    """A checkpoint in the ledger, of the configured space unless told otherwise, and the champion from now on."""
    recorded: dict[str, Json] = {table: dict(value) for table, value in (producers or workspace.producers).items()}
    workspace.ledger.add(
        LedgerRecord(
            asset="mediafm_checkpoint",
            table="checkpoints",
            fingerprint=sha256,
            checkpoint_sha256=sha256,
            details={"producers": recorded},
        )
    )
    workspace.ledger.flush()
    workspace.pointers.ensure(CHAMPION, {"checkpoint_sha256": sha256, "is_provisional": False}, "test")


def embedded(workspace: Workspace, sha256: str, *title_ids: str, tables: Sequence[str] = CONTEXTUAL) -> None:
    for title_id in title_ids:
        make(
            workspace.store,
            workspace.ledger,
            title_id,
            tables,
            {**workspace.producers, **checkpoint_producers(sha256)},
        )
    workspace.ledger.flush()


def ingested(workspace: Workspace, *title_ids: str) -> None:
    embedded(workspace, OLD, *title_ids, tables=["titles", *(t for t in workspace.producers if t != "titles")])


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

"""From a cause to all that it made, what is stale and why, and what stood at a time: a store whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mediafm.errors import NotFoundError
from mediafm.lineage.audit import audit_checkpoint, audit_title
from mediafm.lineage.audit_made import audit_encoder, audit_labels, audit_media, audit_moment, audit_stale
from mediafm.lineage.chain import TitleChain
from mediafm.lineage.fingerprint import fingerprint, short
from mediafm.lineage.records import LedgerRecord
from mediafm.store.audited import open_audited
from mediafm.store.compaction import compact
from mediafm.store.ledger import LedgerWriter
from mediafm.store.store import Store
from mediafm.store.views import pointed
from mediafm.testing.stored_titles import (
    CHECKPOINT,
    MANIFEST,
    RUN,
    contextual,
    facets_of,
    make,
    point,
)
from mediafm.types import TitleState
from tests.unit.lineage.audited_root import EYE, LABELS, PRODUCERS


@pytest.mark.parametrize("spec", ["eye", "eye@r2", fingerprint(EYE)[:12]])
def test_an_encoder_leads_to_all_that_it_made(filled: Store, spec: str) -> None:
    with open_audited(filled) as ledger:
        tree = audit_encoder(ledger, spec)
    assert [child.name for child in tree.children if child.kind == "made"] == ["video_embeddings", "fused_embeddings"]
    assert next(tree.find("made", "video_embeddings")).facts["num_titles"] == 4
    assert [node.name for node in tree.children if node.kind == "manifest"] == [short(MANIFEST)]
    (checkpoint,) = tree.find("checkpoint")
    assert checkpoint.facts["sha256"] == CHECKPOINT
    assert next(checkpoint.find("made", "contextual_embeddings")).facts["num_titles"] == 4
    assert tree.facts["specs"] == {fingerprint(EYE): EYE}


def test_an_unknown_encoder_is_answered_with_the_known(filled: Store) -> None:
    with open_audited(filled) as ledger, pytest.raises(NotFoundError, match="values by ear, eye"):
        audit_encoder(ledger, "nose")
    with open_audited(filled) as ledger, pytest.raises(NotFoundError, match="no encoder 'eye@r3'"):
        audit_encoder(ledger, "eye@r3")


def test_a_media_file_leads_to_titles_values_and_the_checkpoints_that_saw_it(filled: Store) -> None:
    with LedgerWriter(filled, RUN) as ledger:
        twin = make(filled, ledger, "twin", tables=["titles"])["titles"]
        ledger.add(replace(twin, media_sha256="media-of-a"))
    with open_audited(filled) as opened:
        tree = audit_media(opened, "media-of-a")
        unseen = audit_media(opened, "media-of-c")
    assert [node.name for node in tree.find("title")] == ["a", "twin"]
    assert len(list(tree.find("value"))) == len(PRODUCERS) + 2 + 1, "every value of a, and the twin's raw record"
    (saw,) = tree.find("saw")
    assert saw.facts["sha256"] == CHECKPOINT
    assert saw.facts["titles"] == ["a (test)"]
    assert list(unseen.find("saw")) == []


def test_labels_lead_to_evaluations_decisions_and_saved_probes(filled: Store) -> None:
    with open_audited(filled) as ledger:
        tree = audit_labels(ledger, LABELS[:8])
        with pytest.raises(NotFoundError, match="0 labels begin with 'abcdef'"):
            audit_labels(ledger, "abcdef")
    assert [child.kind for child in tree.children] == ["evaluation", "head", "decision"]
    assert next(tree.find("decision")).facts["details"]["test_set"] == "ts"  # type: ignore[index, call-overload]


def test_a_checkpoint_names_what_stands_on_it(filled: Store) -> None:
    with open_audited(filled) as ledger:
        tree = audit_checkpoint(ledger, CHECKPOINT[:8])
    assert {child.kind for child in tree.children} == {"manifest", "evaluation", "head", "made"}


def test_lists_are_cut_and_counts_are_not(filled: Store) -> None:
    with open_audited(filled, limit=1) as ledger:
        tree = audit_checkpoint(ledger, CHECKPOINT)
    (manifest,) = tree.find("manifest")
    assert manifest.facts["num_titles"] == 2
    assert len(manifest.facts["titles"]) == 1  # type: ignore[arg-type]
    assert next(tree.find("made", "contextual_embeddings")).facts["num_titles"] == 4


@pytest.mark.parametrize("is_merged", [False, True])
def test_what_is_stale_and_why(filled: Store, is_merged: bool) -> None:
    with LedgerWriter(filled, RUN) as ledger:
        make(filled, ledger, "a", ["titles"], facets=facets_of("a", audio="dubbed"), generation=2)
        make(filled, ledger, "new", ["titles"])
        make(filled, ledger, "bad", ["titles"])
        spans = TitleChain("bad", facets_of("bad"), PRODUCERS).identity("spans")
        metadata = TitleChain("bad", facets_of("bad"), PRODUCERS).identity("metadata_embeddings")
        ledger.add(LedgerRecord.of(metadata, state=TitleState.FAILED, reason="no memory"))
        ledger.add(LedgerRecord.of(spans, state=TitleState.QUARANTINED, reason="no picture"))
    if is_merged:
        compact(filled, min_files=1)
    point(filled, {**PRODUCERS, "text_embeddings": {"encoder": "other"}}, serving={**PRODUCERS, **contextual()})
    with open_audited(filled) as opened:
        tree = audit_stale(opened)
    found = {(node.name, node.facts["cause"]): node.facts["titles"] for node in tree.children}
    assert found == {
        ("metadata_embeddings", "failed"): ["bad"],
        ("metadata_embeddings", "never made"): ["new"],
        ("words", "inputs"): ["a"],
        ("text_embeddings", "configuration"): ["b", "c", "d"],
    }
    assert tree.facts["num_titles"] == 6


def test_a_moment_is_told_as_it_was(filled: Store) -> None:
    """Records and pointers of later days do not count."""
    late = {**PRODUCERS, "video_embeddings": {"encoder": {"name": "later"}}}
    then = datetime.now(UTC)
    choice = pointed(filled, then)
    with LedgerWriter(filled, RUN) as ledger:
        make(filled, ledger, "e", producers={**PRODUCERS, **contextual()})
        make(filled, ledger, "a", ["titles"], facets=facets_of("a", video="recut"), generation=2)
    point(filled, late)
    assert pointed(filled, then) == choice != pointed(filled)
    assert pointed(filled, datetime(2020, 1, 1, tzinfo=UTC)).configured == {}
    with open_audited(filled, choice=choice, until=then) as opened:
        tree = audit_moment(opened, "then", {"serving": {"checkpoint_sha256": CHECKPOINT}, "champion": None})
        assert {row["title_id"] for row in opened.rows("SELECT title_id FROM current")} == set("abcd")
    assert tree.facts["readers_got"] == {"checkpoint_sha256": CHECKPOINT, "num_titles": 4}
    assert tree.facts["num_titles_by_state"] == {"ok": 4}
    assert next(tree.find("pointer", "champion")).facts == {"problem": "not set yet"}
    assert next(tree.find("current", "video_embeddings")).facts["producer"] == PRODUCERS["video_embeddings"]
    with open_audited(filled, ["a"], choice=choice, until=then) as opened:
        assert len(list(audit_title(opened, "a").find("value", "contextual_embeddings"))) == 1
    with open_audited(filled, ["a"]) as opened:
        assert list(audit_title(opened, "a").find("value", "contextual_embeddings")) == []

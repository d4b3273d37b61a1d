"""Audits both ways over a small store whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediafm.errors import NotFoundError
from mediafm.lineage.audit import audit_checkpoint, audit_title
from mediafm.lineage.audit_tree import MAX_LINE_LENGTH, AuditNode
from mediafm.lineage.fingerprint import short
from mediafm.lineage.records import LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.store.audited import OpenedLedger, open_audited
from mediafm.store.ledger import LedgerWriter
from mediafm.store.store import Store
from mediafm.testing.stored_titles import (
    CHECKPOINT,
    CONFIGURED,
    MANIFEST,
    RUN,
    contextual,
    facets_of,
    make,
    make_checkpoint,
    point,
)


def filled(root: Path) -> Store:
    store = Store(root)
    with LedgerWriter(store, RUN) as ledger:
        titles = {title_id: make(store, ledger, title_id) for title_id in "abc"}
        make_checkpoint(store, ledger, {title_id: titles[title_id] for title_id in "ab"})
    point(store, serving={**CONFIGURED, **contextual()})
    return store


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenedLedger]:
    with open_audited(filled(tmp_path_factory.mktemp("audit"))) as opened:
        yield opened


def test_a_titles_audit_reaches_everything(ledger: OpenedLedger) -> None:
    tree = audit_title(ledger, "a")
    assert {node.name for node in tree.find("value")} == set(TABLES)
    for table in CONFIGURED:
        if table != "titles":
            assert next(tree.find("value", table)).facts["producer"] == CONFIGURED[table]
    contextual_node = next(tree.find("value", "contextual_embeddings"))
    assert [child.name for child in contextual_node.children] == [
        short(CHECKPOINT),
        "fused_embeddings",
        "metadata_embeddings",
    ]
    assert next(tree.find("value", "spans")).facts["runs"] == ["run-1"]
    assert next(tree.find("facet", "video")).facts == {"fingerprint": "video-of-a", "media_sha256": "media-of-a"}
    (checkpoint,) = tree.find("checkpoint")
    assert checkpoint.facts["sha256"] == CHECKPOINT
    assert checkpoint.facts["details"] == {"mlflow_run_id": "m1", "model_version": "7"}
    (manifest,) = tree.find("manifest")
    assert manifest.facts["num_titles_by_split"] == {"test": 1, "train": 1}
    assert manifest.facts["split_of_this_title"] == "test"


def test_a_value_met_again_is_shown_once(ledger: OpenedLedger) -> None:
    spans = list(audit_title(ledger, "a").find("value", "spans"))
    assert len(spans) > 1
    assert [("shown_above" in node.facts) for node in spans] == [False] + [True] * (len(spans) - 1)
    assert len({str(node.facts["fingerprint"]) for node in spans}) == 1


def test_a_title_outside_the_training_set_says_so(ledger: OpenedLedger) -> None:
    (manifest,) = audit_title(ledger, "c").find("manifest")
    assert manifest.facts["split_of_this_title"] is None


def test_a_checkpoints_audit_goes_both_ways(ledger: OpenedLedger) -> None:
    tree = audit_checkpoint(ledger, CHECKPOINT[:8])
    (manifest,) = tree.find("manifest")
    assert [(row["title_id"], row["media_sha256"]) for row in manifest.facts["titles"]] == [  # type: ignore[index, union-attr, call-overload]
        ("a", "media-of-a"),
        ("b", "media-of-b"),
    ]
    assert {node.name for node in manifest.find("producer")} == set(CONFIGURED) - {"titles"}
    producer = next(tree.find("producer", "video_embeddings"))
    assert producer.facts["producer"] == CONFIGURED["video_embeddings"]
    assert (producer.facts["num_titles"], producer.facts["runs"]) == (2, ["run-1"])
    made = next(tree.find("made", "contextual_embeddings"))
    assert (made.facts["num_titles"], made.facts["num_current"]) == (3, 3)


def test_what_a_checkpoint_made_of_old_inputs_is_not_current(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with LedgerWriter(store, RUN) as ledger:
        make(store, ledger, "a", tables=["titles"], facets=facets_of("a", video="other"), generation=2)
    with open_audited(store) as opened:
        made = next(audit_checkpoint(opened, CHECKPOINT).find("made", "contextual_embeddings"))
        assert (made.facts["num_titles"], made.facts["num_current"]) == (3, 2)
        assert list(audit_title(opened, "a").find("checkpoint")) == []


def test_an_audit_is_json_and_text(ledger: OpenedLedger) -> None:
    tree = audit_title(ledger, "a")
    parsed = json.loads(json.dumps(tree.as_json()))
    assert parsed["kind"] == "title"
    text = tree.as_text()
    assert text.startswith("title a: state ok, media_sha256 media-of-a, num_shots 3\n")
    for piece in (
        f"checkpoint {short(CHECKPOINT)}: ",
        "details mlflow_run_id=m1, model_version=7",
        f"manifest {short(MANIFEST)}: ",
        "split_of_this_title test, num_rows 2, num_titles 2, runs run-1",
        "producer made_by=audio_embeddings, step_version=1",
        "└─ ",
    ):
        assert piece in text
    assert CHECKPOINT not in text, "hashes are cut for people"
    assert max(map(len, text.splitlines())) <= MAX_LINE_LENGTH


def test_what_is_not_there_is_told(ledger: OpenedLedger) -> None:
    with pytest.raises(NotFoundError, match="no title 'zebra'"):
        audit_title(ledger, "zebra")
    with pytest.raises(NotFoundError, match="0 checkpoints begin with 'ffffff'"):
        audit_checkpoint(ledger, "ffffff")
    with pytest.raises(NotFoundError, match="at least 6 digits"):
        audit_checkpoint(ledger, CHECKPOINT[:2])


def test_a_missing_record_is_a_finding_not_a_crash(tmp_path: Path) -> None:
    store = Store(tmp_path / "other")
    with LedgerWriter(store, RUN) as ledger:
        make(store, ledger, "a")
    point(store, serving={**CONFIGURED, **contextual()})
    with open_audited(store) as opened:
        (checkpoint,) = audit_title(opened, "a").find("checkpoint")
    assert checkpoint.facts["problem"] == "the ledger has no record of it"


def test_names_come_first_and_long_lines_are_cut() -> None:
    facts = {"producer": {"encoder": {"frames": 8, "name": "lite-video", "note": None}}, "runs": ["r" * 300]}
    first, second = AuditNode(kind="value", name="x", facts=facts).as_text().splitlines()
    assert first.endswith("…")
    assert second.strip() == "producer encoder.name=lite-video, encoder.frames=8"


def test_what_was_decided_about_a_checkpoint_is_told_verdict_first(tmp_path: Path) -> None:
    store = filled(tmp_path)
    tasks = [{"task": f"task {number}", "verdict": "not_inferior"} for number in range(20)]
    for verdict, reason in (("refused", "inferior on tone"), ("overridden", "promoted by a person: it is not")):
        details = {"candidate_sha256": CHECKPOINT, "reason": reason, "tasks": tasks, "verdict": verdict}
        with LedgerWriter(store, RUN) as ledger:
            ledger.add(
                LedgerRecord(
                    asset="champion",
                    table="decisions",
                    fingerprint=CHECKPOINT,
                    checkpoint_sha256=CHECKPOINT,
                    details=details,
                )
            )
    with open_audited(store) as opened:
        found = audit_checkpoint(opened, CHECKPOINT)
    assert "decided refused (inferior on tone); then overridden (promoted by a person: it is not)" in found.as_text()
    decisions = found.facts["decisions"]
    assert isinstance(decisions, list)
    assert len(decisions) == 2

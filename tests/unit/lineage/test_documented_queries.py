"""Each query of docs/lineage.md runs as `mediafm sql` runs it, and says what the audit says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mediafm.lineage.audit import audit_checkpoint, audit_title
from mediafm.lineage.tables import TABLES
from mediafm.store.audited import open_audited
from mediafm.store.compaction import compact
from mediafm.store.select import execute_select
from mediafm.store.store import Store
from mediafm.testing.stored_titles import CHECKPOINT, MANIFEST
from tests.unit.lineage.audited_root import LABELS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "lineage.md").read_text()
QUERIES = dict(re.findall(r"\n([^\n]+):\n```sql\n(.*?)```", PAGE, re.DOTALL))
NAMES = {"TITLE": "a", "CHECKPOINT": CHECKPOINT, "ENCODER": "eye", "MEDIA": "media-of-a", "LABELS": LABELS}


def answer(store: Store, about: str) -> list[dict[str, Any]]:
    query = QUERIES[about]
    for name, value in NAMES.items():
        query = query.replace(f"'{name}'", f"'{value}'").replace(f'"{name}"', f'"{value}"')
    found = execute_select(store, query)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


@pytest.mark.parametrize("is_merged", [False, True])
def test_up_from_a_title(filled: Store, is_merged: bool) -> None:
    if is_merged:
        compact(filled, min_files=1)
    rows = {row["table_name"]: row for row in answer(filled, "What made a title's vectors")}
    with open_audited(filled, ["a"]) as ledger:
        tree = audit_title(ledger, "a")
    assert set(rows) == set(TABLES) - {"titles"}
    for table, row in rows.items():
        assert row["fingerprint"] == next(tree.find("value", table)).facts["fingerprint"]
    made = rows["contextual_embeddings"]
    assert (made["checkpoint_sha256"], made["manifest_sha256"], made["model_version"]) == (CHECKPOINT, MANIFEST, "7")
    assert rows["spans"]["media_sha256"] == "media-of-a"


def test_from_a_checkpoint_both_ways(filled: Store) -> None:
    with open_audited(filled) as ledger:
        tree = audit_checkpoint(ledger, CHECKPOINT).as_json()
    seen = answer(filled, "Which titles a checkpoint saw")
    nodes: Any = tree["children"]
    listed = next(node for node in nodes if node["kind"] == "manifest")["facts"]["titles"]
    assert [row["title_id"] for row in seen] == [each["title_id"] for each in listed] == ["a", "b"]
    made = {row["fingerprint"] for row in answer(filled, "What a checkpoint made") if row["title_id"]}
    values = [value for node in nodes if node["kind"] == "made" for value in node["facts"]["values"]]
    assert made == {value["fingerprint"] for value in values}
    assert len(made) == 8


def test_from_an_encoder(filled: Store) -> None:
    rows = answer(filled, "What an encoder made, directly or through a space")
    assert [(row["table_name"], row["titles"]) for row in rows] == [("fused_embeddings", 4), ("video_embeddings", 4)]


def test_from_a_media_file(filled: Store) -> None:
    rows = answer(filled, "What was made of a media file, and which checkpoints saw it")
    assert {row["table_name"] for row in rows} == {*TABLES, "saw it as test"}
    assert {row["title_id"] for row in rows} == {"a"}


def test_from_labels(filled: Store) -> None:
    rows = answer(filled, "What labels led to")
    assert {(row["table_name"], row["verdict"]) for row in rows} == {("evaluations", "promoted"), ("heads", None)}


def test_what_is_lacking_and_what_was_known(filled: Store) -> None:
    assert answer(filled, "Titles that lack a value of the configuration that the last run had, and why") == []
    known = answer(filled, "What the ledger knew at a time")
    assert len([row for row in known if row["title_id"]]) == 4 * len(TABLES)


def test_no_query_is_left_untried() -> None:
    source = Path(__file__).read_text()
    assert len(QUERIES) == 8
    for about in QUERIES:
        assert f'"{about}"' in source

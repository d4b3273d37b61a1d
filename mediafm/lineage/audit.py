"""Audits, both ways, from the ledger: what made a title's embeddings, and what a checkpoint saw and made."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mediafm.errors import NotFoundError
from mediafm.lineage.audit_tree import AuditNode
from mediafm.lineage.audited import AuditedLedger, Row, Tally, plain, tally_facts, value_facts, whole_sha256
from mediafm.lineage.fingerprint import short
from mediafm.lineage.tables import REMOVED, TABLES
from mediafm.types import Json


def audit_title(ledger: AuditedLedger, title_id: str) -> AuditNode:
    """All that the title's current embeddings came from, down to the media file and to the titles of the checkpoint.

    Raises:
        NotFoundError: the ledger has never seen the title.
    """
    status = ledger.rows("SELECT * FROM title_status WHERE title_id = $title", {"title": title_id})
    if not status:
        raise NotFoundError(
            f"no title {title_id!r}",
            rule="the ledger has a record for each title that was ever seen",
            remedy="`mediafm status` lists the titles.",
        )
    rows = ledger.rows(
        "SELECT * FROM ledger WHERE title_id = $title AND state = 'ok' ORDER BY generation, sha256, run_id",
        {"title": title_id},
    )
    current = ledger.rows("SELECT table_name, fingerprint FROM current WHERE title_id = $title", {"title": title_id})
    walk = _TitleWalk(ledger, title_id, rows)
    names = {row["table_name"]: row["fingerprint"] for row in current}
    read = {parent for name in names for parent in TABLES[name].possible_parents}
    tops = [name for name in reversed(tuple(TABLES)) if name in names and name not in read and name != "titles"]
    children = [walk.value(name, names[name]) for name in tops]
    if "titles" in names:
        children.append(walk.value("titles", names["titles"]))
    return AuditNode(kind="title", name=title_id, facts=plain(status[0]), children=tuple(children))


def audit_checkpoint(ledger: AuditedLedger, sha256: str) -> AuditNode:
    """What a checkpoint was trained on, by what its inputs were made, and all that it made since.

    Args:
        sha256: of its weights; the first digits are enough where they name one checkpoint.

    Raises:
        NotFoundError: the ledger knows no such checkpoint, or several.
    """
    found = ledger.rows(
        "SELECT DISTINCT checkpoint_sha256 AS sha256 FROM ledger WHERE title_id = '' "
        "AND table_name = 'checkpoints' AND starts_with(checkpoint_sha256, $digits) ORDER BY 1",
        {"digits": sha256},
    )
    remedy = "`mediafm sql \"SELECT checkpoint_sha256 FROM ledger WHERE table_name = 'checkpoints'\"` lists them."
    full = whole_sha256([row["sha256"] for row in found], sha256, "checkpoints", remedy)
    node = checkpoint_node(ledger, full, names_titles=True)
    values = ledger.rows(_VALUES, {"checkpoint": full, "limit": ledger.limit})
    children = [_made_node(ledger, tally, values) for tally in ledger.made_by_checkpoint(full)]
    return AuditNode(
        kind=node.kind,
        name=node.name,
        facts=node.facts,
        children=(*node.children, *made_of_checkpoint(ledger, full), *children),
    )


_VALUES = f"""
SELECT table_name, title_id, fingerprint, object_key, sha256
FROM ledger WHERE checkpoint_sha256 = $checkpoint AND state = 'ok' AND title_id <> ''
    AND table_name <> '{REMOVED}'
ORDER BY title_id, table_name, fingerprint, generation LIMIT $limit
"""
"""A value that was made twice stands there twice, the one that holds last."""


def _made_node(ledger: AuditedLedger, tally: Tally, values: Sequence[Row]) -> AuditNode:
    last = {(row["title_id"], row["fingerprint"]): row for row in values if row["table_name"] == tally.table}
    listed = [plain(row, leave_out=("table_name",)) for row in last.values()]
    return AuditNode(kind="made", name=tally.table, facts={**tally_facts(tally, ledger.limit), "values": listed})


def made_of_checkpoint(ledger: AuditedLedger, sha256: str) -> list[AuditNode]:
    """What stands on a checkpoint but values of titles: evaluations, saved probes, what was served."""
    rows = ledger.rows(
        "SELECT * FROM ledger WHERE title_id = '' AND checkpoint_sha256 = $sha256 AND state = 'ok' "
        "AND table_name IN ('evaluations', 'heads', 'served') ORDER BY table_name, recorded_at, run_id",
        {"sha256": sha256},
    )
    return [root_node(row) for row in rows]


def root_node(row: Row) -> AuditNode:
    """A row that belongs to no single title, with what it was made from."""
    inputs: dict[str, Json] = dict(row["inputs"])
    kind = row["table_name"].removesuffix("s")
    return AuditNode(kind=kind, name=short(row["fingerprint"]), facts={**value_facts([row]), "inputs": inputs})


class _TitleWalk:
    """Goes up one title's records, from a value to its inputs; a value met again is shown by reference."""

    def __init__(self, ledger: AuditedLedger, title_id: str, rows: Sequence[Row]) -> None:
        self._ledger = ledger
        self._title_id = title_id
        self._rows: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            self._rows.setdefault((row["table_name"], row["fingerprint"]), []).append(row)
        self._shown: set[tuple[str, str]] = set()

    def value(self, table: str, fingerprint: str) -> AuditNode:
        rows = self._rows.get((table, fingerprint))
        if rows is None:
            facts: dict[str, Json] = {"fingerprint": fingerprint, "problem": "the ledger has no record of it"}
            return AuditNode(kind="value", name=table, facts=facts)
        if (table, fingerprint) in self._shown:
            return AuditNode(kind="value", name=table, facts={"fingerprint": fingerprint, "shown_above": True})
        self._shown.add((table, fingerprint))
        row = rows[-1]
        children = [self.value(parent, row["inputs"][parent]) for parent in TABLES[table].parents_under(row["inputs"])]
        children += [
            AuditNode(
                kind="facet", name=name, facts={"fingerprint": row["inputs"][name], "media_sha256": row["media_sha256"]}
            )
            for name in TABLES[table].facets
        ]
        if row["checkpoint_sha256"] and not self._is_parents(row):
            children.insert(0, checkpoint_node(self._ledger, row["checkpoint_sha256"], self._title_id))
        return AuditNode(kind="value", name=table, facts=value_facts(rows), children=tuple(children))

    def _is_parents(self, row: Row) -> bool:
        """Whether a parent was made by the same checkpoint, and names it."""
        names = TABLES[row["table_name"]].parents_under(row["inputs"])
        parents = [self._rows.get((name, row["inputs"][name]), []) for name in names]
        return any(row["checkpoint_sha256"] == rows[-1]["checkpoint_sha256"] for rows in parents if rows)


def checkpoint_node(ledger: AuditedLedger, sha256: str, title_id: str = "", *, names_titles: bool = False) -> AuditNode:
    """A checkpoint with what was decided about it, and its manifest below.

    Args:
        title_id: the title whose split is told.
        names_titles: list the titles that it saw, and what made their values.
    """
    rows = ledger.rows(
        "SELECT * FROM ledger WHERE title_id = '' AND table_name = 'checkpoints' AND checkpoint_sha256 = $sha256 "
        "AND state = 'ok' ORDER BY recorded_at, run_id",
        {"sha256": sha256},
    )
    if not rows:
        facts: dict[str, Json] = {"sha256": sha256, "problem": "the ledger has no record of it"}
        return AuditNode(kind="checkpoint", name=short(sha256), facts=facts)
    decisions = ledger.rows(
        "SELECT recorded_at, run_id, details FROM ledger WHERE title_id = '' AND table_name = 'decisions' "
        "AND checkpoint_sha256 = $sha256 ORDER BY recorded_at",
        {"sha256": sha256},
    )
    manifest = rows[0]["inputs"].get("manifest", "")
    return AuditNode(
        kind="checkpoint",
        name=short(sha256),
        facts={
            **value_facts(rows),
            "sha256": sha256,
            "decided": "; then ".join(map(_decided, decisions)),
            "decisions": [plain(row) for row in decisions],
        },
        children=(manifest_node(ledger, manifest, title_id, names_titles=names_titles),) if manifest else (),
    )


def manifest_node(ledger: AuditedLedger, sha256: str, title_id: str = "", *, names_titles: bool = False) -> AuditNode:
    """A training manifest: its titles by split, and with `names_titles` the titles and what made their values."""
    rows = ledger.rows(
        "SELECT * FROM ledger WHERE title_id = '' AND table_name = 'manifests' AND fingerprint = $sha256 "
        "AND state = 'ok' ORDER BY recorded_at, run_id",
        {"sha256": sha256},
    )
    splits = ledger.rows(
        "SELECT split, count(*) AS num_titles, max(CASE WHEN title_id = $title THEN split END) AS own "
        "FROM manifest_titles WHERE manifest_sha256 = $sha256 GROUP BY split ORDER BY split",
        {"sha256": sha256, "title": title_id},
    )
    facts: dict[str, Json] = {
        **(value_facts(rows) if rows else {"problem": "the ledger has no record of it"}),
        "sha256": sha256,
        "num_titles": sum(row["num_titles"] for row in splits),
        "num_titles_by_split": {row["split"]: row["num_titles"] for row in splits},
    }
    if title_id:
        facts["split_of_this_title"] = next((row["own"] for row in splits if row["own"]), None)
    if not names_titles:
        return AuditNode(kind="manifest", name=short(sha256), facts=facts)
    titles = ledger.rows(
        "SELECT title_id, group_id, split, num_shots, media_sha256, fused_fingerprint, metadata_fingerprint "
        "FROM manifest_titles WHERE manifest_sha256 = $sha256 ORDER BY title_id LIMIT $limit",
        {"sha256": sha256, "limit": ledger.limit},
    )
    facts["titles"] = [plain(row) for row in titles]
    children = producer_nodes(ledger, ledger.used_by_manifest(sha256), "producer")
    return AuditNode(kind="manifest", name=short(sha256), facts=facts, children=tuple(children))


def producer_nodes(ledger: AuditedLedger, tallies: Sequence[Tally], kind: str) -> list[AuditNode]:
    """What made values, in full: detector, encoders, space, with their step versions and runs."""
    if not tallies:
        return []
    about = ledger.rows(
        "SELECT table_name, producer_id, any_value(producer) AS producer, min(step_version) AS step_version "
        "FROM ledger WHERE list_contains($ids::VARCHAR[], producer_id) AND title_id <> '' GROUP BY ALL",
        {"ids": sorted({tally.producer_id for tally in tallies})},
    )
    by_id = {(row["table_name"], row["producer_id"]): row for row in about}
    nodes = []
    for tally in tallies:
        row = by_id[tally.table, tally.producer_id]
        known: dict[str, Json] = {"producer": json.loads(row["producer"]), "step_version": row["step_version"]}
        nodes.append(AuditNode(kind=kind, name=tally.table, facts={**tally_facts(tally, ledger.limit), **known}))
    return nodes


def _decided(row: Row) -> str:
    """A decision in short: numbers and rules stand in the JSON."""
    details = json.loads(row["details"])
    return f"{details.get('verdict')} ({details.get('reason')})"

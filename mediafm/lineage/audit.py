"""Audits, both ways, from the ledger by SQL: what made a title's embeddings, and what a checkpoint saw and made.

The connection is one of `mediafm.store.views.connect`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import duckdb

from mediafm.errors import NotFoundError
from mediafm.lineage.audit_tree import AuditNode
from mediafm.lineage.fingerprint import short
from mediafm.lineage.tables import TABLES
from mediafm.types import Json

Row: TypeAlias = Mapping[str, Any]

MIN_SHA_DIGITS = 6
"""So many digits of a checkpoint's sha256 name it."""

_USED = """
WITH RECURSIVE used AS (
    SELECT l.title_id, l.table_name, l.fingerprint, l.inputs
    FROM manifest_titles m JOIN ledger l ON l.title_id = m.title_id AND l.state = 'ok'
    WHERE m.manifest_sha256 = $manifest AND (
        (l.table_name = 'fused_embeddings' AND l.fingerprint = m.fused_fingerprint)
        OR (l.table_name = 'metadata_embeddings' AND l.fingerprint = m.metadata_fingerprint))
    UNION
    SELECT p.title_id, p.table_name, p.fingerprint, p.inputs
    FROM used u JOIN ledger p ON p.title_id = u.title_id AND p.state = 'ok' AND p.fingerprint = u.inputs[p.table_name]
)
SELECT l.table_name, l.producer_id, any_value(l.producer) AS producer, min(l.step_version) AS step_version,
    count(DISTINCT l.title_id) AS num_titles, list_sort(list(DISTINCT l.run_id)) AS runs
FROM used u JOIN ledger l USING (title_id, table_name, fingerprint)
WHERE l.state = 'ok'
GROUP BY l.table_name, l.producer_id
ORDER BY l.table_name, l.producer_id
"""

_MADE = """
SELECT l.table_name, l.title_id, l.fingerprint, max(l.object_key) AS object_key, max(l.sha256) AS sha256,
    bool_or(c.fingerprint IS NOT NULL) AS is_current
FROM ledger l
LEFT JOIN current c ON c.title_id = l.title_id AND c.table_name = l.table_name AND c.fingerprint = l.fingerprint
WHERE l.checkpoint_sha256 = $checkpoint AND l.state = 'ok' AND l.title_id <> ''
GROUP BY l.table_name, l.title_id, l.fingerprint
ORDER BY l.table_name, l.title_id, l.fingerprint
"""


def audit_title(connection: duckdb.DuckDBPyConnection, title_id: str) -> AuditNode:
    """All that the title's current embeddings came from, down to the media file and to the titles of the checkpoint.

    Raises:
        NotFoundError: the ledger has never seen the title.
    """
    status = _rows(connection, "SELECT * FROM title_status WHERE title_id = $title", {"title": title_id})
    if not status:
        raise NotFoundError(
            f"no title {title_id!r}",
            rule="the ledger has a record for each title that was ever seen",
            remedy="`mediafm status` lists the titles.",
        )
    rows = _rows(
        connection,
        "SELECT * FROM ledger WHERE title_id = $title AND state = 'ok' ORDER BY generation, sha256, run_id",
        {"title": title_id},
    )
    current = _rows(
        connection, "SELECT table_name, fingerprint FROM current WHERE title_id = $title", {"title": title_id}
    )
    walk = _TitleWalk(connection, title_id, rows)
    names = {row["table_name"]: row["fingerprint"] for row in current}
    read = {parent for name in names for parent in TABLES[name].possible_parents}
    tops = [name for name in reversed(tuple(TABLES)) if name in names and name not in read and name != "titles"]
    children = [walk.value(name, names[name]) for name in tops]
    if "titles" in names:
        children.append(walk.value("titles", names["titles"]))
    return AuditNode(kind="title", name=title_id, facts=_plain(status[0]), children=tuple(children))


def audit_checkpoint(connection: duckdb.DuckDBPyConnection, sha256: str) -> AuditNode:
    """What a checkpoint was trained on, by what its inputs were made, and all that it made since.

    Args:
        sha256: of its weights; the first digits are enough where they name one checkpoint.

    Raises:
        NotFoundError: the ledger knows no such checkpoint, or several.
    """
    full = _checkpoint_sha256(connection, sha256)
    made = _rows(connection, _MADE, {"checkpoint": full})
    children = [
        AuditNode(
            kind="made",
            name=table,
            facts={
                "num_titles": len({row["title_id"] for row in made if row["table_name"] == table}),
                "num_current": sum(row["is_current"] for row in made if row["table_name"] == table),
                "values": [_plain(row, leave_out=("table_name",)) for row in made if row["table_name"] == table],
            },
        )
        for table in sorted({row["table_name"] for row in made})
    ]
    node = _checkpoint(connection, full, names_titles=True)
    return AuditNode(kind=node.kind, name=node.name, facts=node.facts, children=(*node.children, *children))


class _TitleWalk:
    """Goes up one title's records, from a value to its inputs; a value met again is shown by reference."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, title_id: str, rows: Sequence[Row]) -> None:
        self._connection = connection
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
            children.insert(0, _checkpoint(self._connection, row["checkpoint_sha256"], self._title_id))
        return AuditNode(kind="value", name=table, facts=_value_facts(rows), children=tuple(children))

    def _is_parents(self, row: Row) -> bool:
        """Whether a parent was made by the same checkpoint, and names it."""
        names = TABLES[row["table_name"]].parents_under(row["inputs"])
        parents = [self._rows.get((name, row["inputs"][name]), []) for name in names]
        return any(row["checkpoint_sha256"] == rows[-1]["checkpoint_sha256"] for rows in parents if rows)


def _checkpoint(
    connection: duckdb.DuckDBPyConnection, sha256: str, title_id: str = "", *, names_titles: bool = False
) -> AuditNode:
    rows = _rows(
        connection,
        "SELECT * FROM ledger WHERE table_name = 'checkpoints' AND checkpoint_sha256 = $sha256 AND state = 'ok' "
        "ORDER BY recorded_at, run_id",
        {"sha256": sha256},
    )
    if not rows:
        facts: dict[str, Json] = {"sha256": sha256, "problem": "the ledger has no record of it"}
        return AuditNode(kind="checkpoint", name=short(sha256), facts=facts)
    decisions = _rows(
        connection,
        "SELECT recorded_at, run_id, details FROM ledger "
        "WHERE table_name = 'decisions' AND checkpoint_sha256 = $sha256 ORDER BY recorded_at",
        {"sha256": sha256},
    )
    manifest = rows[0]["inputs"].get("manifest", "")
    return AuditNode(
        kind="checkpoint",
        name=short(sha256),
        facts={
            **_value_facts(rows),
            "sha256": sha256,
            "decided": "; then ".join(map(_decided, decisions)),
            "decisions": [_plain(row) for row in decisions],
        },
        children=(_manifest(connection, manifest, title_id, names_titles=names_titles),) if manifest else (),
    )


def _manifest(connection: duckdb.DuckDBPyConnection, sha256: str, title_id: str, *, names_titles: bool) -> AuditNode:
    rows = _rows(
        connection,
        "SELECT * FROM ledger WHERE table_name = 'manifests' AND fingerprint = $sha256 AND state = 'ok' "
        "ORDER BY recorded_at, run_id",
        {"sha256": sha256},
    )
    titles = _rows(
        connection,
        "SELECT title_id, group_id, split, num_shots, media_sha256, fused_fingerprint, metadata_fingerprint "
        "FROM manifest_titles WHERE manifest_sha256 = $sha256 ORDER BY title_id",
        {"sha256": sha256},
    )
    splits = sorted({row["split"] for row in titles})
    facts: dict[str, Json] = {
        **(_value_facts(rows) if rows else {"problem": "the ledger has no record of it"}),
        "sha256": sha256,
        "num_titles": len(titles),
        "num_titles_by_split": {split: sum(row["split"] == split for row in titles) for split in splits},
    }
    if title_id:
        facts["split_of_this_title"] = next((row["split"] for row in titles if row["title_id"] == title_id), None)
    if names_titles:
        facts["titles"] = [_plain(row) for row in titles]
    children = _producers(connection, sha256) if names_titles else ()
    return AuditNode(kind="manifest", name=short(sha256), facts=facts, children=children)


def _producers(connection: duckdb.DuckDBPyConnection, manifest_sha256: str) -> tuple[AuditNode, ...]:
    """What made the values that a manifest names, up to the titles: detector, encoders, space, with their runs."""
    return tuple(
        AuditNode(kind="producer", name=row["table_name"], facts=_plain(row, leave_out=("table_name",)))
        for row in _rows(connection, _USED, {"manifest": manifest_sha256})
    )


def _checkpoint_sha256(connection: duckdb.DuckDBPyConnection, digits: str) -> str:
    found = _rows(
        connection,
        "SELECT DISTINCT checkpoint_sha256 AS sha256 FROM ledger "
        "WHERE table_name = 'checkpoints' AND starts_with(checkpoint_sha256, $digits) ORDER BY 1",
        {"digits": digits},
    )
    if len(found) != 1 or len(digits) < MIN_SHA_DIGITS:
        raise NotFoundError(
            f"{len(found)} checkpoints begin with {digits!r}",
            rule=f"at least {MIN_SHA_DIGITS} digits name exactly one checkpoint of the ledger",
            remedy="`SELECT checkpoint_sha256 FROM ledger WHERE table_name = 'checkpoints'` lists them.",
        )
    full: str = found[0]["sha256"]
    return full


def _value_facts(rows: Sequence[Row]) -> dict[str, Json]:
    """One value's facts from the records of it, the last of which holds; all runs that recorded it are named."""
    runs: list[Json] = list(dict.fromkeys(row["run_id"] for row in rows))
    hidden = ("table_name", "title_id", "state", "reason", "inputs", "facets", "run_id", "checkpoint_sha256")
    return {**_plain(rows[-1], leave_out=hidden), "runs": runs}


def _decided(row: Row) -> str:
    """A decision in short: numbers and rules stand in the JSON."""
    details = json.loads(row["details"])
    return f"{details.get('verdict')} ({details.get('reason')})"


def _plain(row: Row, leave_out: Sequence[str] = ()) -> dict[str, Json]:
    """A row as JSON: stored JSON parsed, times in ISO 8601 (UTC)."""
    facts: dict[str, Json] = {}
    for name, value in row.items():
        if name in ("producer", "details"):
            facts[name] = json.loads(value)
        elif name not in leave_out:
            facts[name] = value.isoformat() + "Z" if name == "recorded_at" else value
    return facts


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, object]) -> list[Row]:
    found = connection.execute(sql, parameters)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

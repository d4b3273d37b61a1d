"""Audits from a cause to all that it made: an encoder, a media file, a set of labels; and from now or then to all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mediafm.errors import NotFoundError
from mediafm.lineage.audit import checkpoint_node, made_of_checkpoint, producer_nodes, root_node
from mediafm.lineage.audit_tree import AuditNode
from mediafm.lineage.audited import AuditedLedger, Row, plain, whole_sha256
from mediafm.lineage.fingerprint import fingerprint, short
from mediafm.types import Json

NETWORKS = ("encoder", "detector", "transcriber")
"""Under these names a producer holds the spec of a network; a space holds several under `encoders`."""


def audit_encoder(ledger: AuditedLedger, spec: str) -> AuditNode:
    """An encoder (or detector, or transcriber), and all that it made: vectors, fused, manifests, checkpoints, and on.

    Args:
        spec: its name, or name@revision, or the beginning of its spec's fingerprint.

    Raises:
        NotFoundError: the ledger knows nothing that it made.
    """
    producers = ledger.rows(
        "SELECT table_name, producer_id, any_value(producer) AS producer FROM ledger WHERE title_id <> '' GROUP BY ALL"
    )
    parsed = {row["producer_id"]: json.loads(row["producer"]) for row in producers}
    specs = {
        fingerprint(found): found
        for producer in parsed.values()
        for found in _specs(producer)
        if _is_meant(found, spec)
    }
    if not specs:
        known = sorted({str(found.get("name")) for producer in parsed.values() for found in _specs(producer)})
        raise NotFoundError(
            f"no encoder {spec!r}",
            rule=f"the ledger has values by {', '.join(known) or 'none'}",
            remedy="Give a name, name@revision, or the beginning of a spec's fingerprint.",
        )
    direct = [one for one, producer in parsed.items() if _reads(_own(producer), specs)]
    through = [one for one, producer in parsed.items() if one not in direct and _reads(_specs(producer), specs)]
    made = producer_nodes(ledger, ledger.made_by_producers(direct), "made")
    made += producer_nodes(ledger, ledger.made_by_producers(through), "made")
    trained = _checkpoints_reading(ledger, specs)
    manifests = _manifests_in(ledger, {json.loads(row["details"]).get("space") for row in trained})
    facts: dict[str, Json] = {"specs": dict(specs), "num_specs": len(specs)}
    children = [*made, *manifests, *(_checkpoint_and_made(ledger, row["checkpoint_sha256"]) for row in trained)]
    return AuditNode(kind="encoder", name=spec, facts=facts, children=tuple(children))


def audit_media(ledger: AuditedLedger, sha256: str) -> AuditNode:
    """A media file: the titles that it was, every value made of it, and the checkpoints that saw it.

    Raises:
        NotFoundError: the ledger has never seen it, or several begin so.
    """
    found = ledger.rows(
        "SELECT DISTINCT media_sha256 AS sha256 FROM ledger "
        "WHERE media_sha256 >= $digits AND media_sha256 < $digits || 'g' AND title_id <> '' LIMIT 10",
        {"digits": sha256},
    )
    remedy = '`mediafm sql "SELECT title_id, media_sha256 FROM title_status"` lists them.'
    full = whole_sha256([row["sha256"] for row in found], sha256, "media files", remedy)
    titles = ledger.rows(
        "SELECT title_id, generation, state, reason, recorded_at, run_id, details FROM ledger "
        "WHERE media_sha256 = $sha256 AND table_name = 'titles' ORDER BY title_id, generation, run_id LIMIT $limit",
        {"sha256": full, "limit": ledger.limit},
    )
    values = ledger.rows(
        "SELECT table_name, title_id, fingerprint, max(producer_id) AS producer_id, max(object_key) AS object_key, "
        "max(sha256) AS sha256, max(checkpoint_sha256) AS checkpoint_sha256, list_sort(list(DISTINCT run_id)) AS runs "
        "FROM ledger WHERE media_sha256 = $sha256 AND state = 'ok' AND title_id <> '' GROUP BY ALL "
        "ORDER BY title_id, table_name, fingerprint LIMIT $limit",
        {"sha256": full, "limit": ledger.limit},
    )
    children = [AuditNode(kind="title", name=row["title_id"], facts=plain(row, ("title_id",))) for row in titles]
    children += [AuditNode(kind="value", name=row["table_name"], facts=plain(row, ("table_name",))) for row in values]
    children += _checkpoints_that_saw(ledger, full)
    return AuditNode(
        kind="media", name=short(full), facts={"sha256": full, "num_values": len(values)}, children=tuple(children)
    )


def audit_labels(ledger: AuditedLedger, sha256: str) -> AuditNode:
    """A set of labels: the evaluations made with it, the decisions that stand on those, and the saved probes.

    Raises:
        NotFoundError: the ledger knows nothing that was made with it, or several begin so.
    """
    rows = ledger.rows(
        "SELECT * FROM ledger WHERE title_id = '' AND table_name IN ('evaluations', 'heads') AND state = 'ok' "
        "AND starts_with(inputs['labels'], $digits) ORDER BY table_name, recorded_at, run_id",
        {"digits": sha256},
    )
    remedy = "the asset `labels` shows the sha256 of all label files together, as `mediafm probe --json` does."
    full = whole_sha256(sorted({row["inputs"]["labels"] for row in rows}), sha256, "labels", remedy)
    tested = {json.loads(row["details"]).get("test_set") for row in rows} - {None}
    decisions = [
        row
        for row in ledger.rows(
            "SELECT * FROM ledger WHERE title_id = '' AND table_name = 'decisions' ORDER BY recorded_at, run_id"
        )
        if json.loads(row["details"]).get("test_set") in tested
    ]
    children = [root_node(row) for row in (*rows, *decisions)]
    return AuditNode(kind="labels", name=short(full), facts={"sha256": full}, children=tuple(children))


def audit_stale(ledger: AuditedLedger) -> AuditNode:
    """Titles whose current values are not those of the present configuration and inputs, by table and cause."""
    groups = ledger.stale()
    children = [
        AuditNode(
            kind="stale",
            name=group.table,
            facts={"cause": group.cause, "num_titles": group.num_titles, "titles": list(group.title_ids)},
        )
        for group in groups
    ]
    states: dict[str, Json] = dict(ledger.num_titles_by_state())
    facts: dict[str, Json] = {"num_titles": sum(group.num_titles for group in groups), "num_titles_by_state": states}
    return AuditNode(kind="stale titles", name=str(facts["num_titles"]), facts=facts, children=tuple(children))


def audit_moment(ledger: AuditedLedger, moment: str, pointers: Mapping[str, Json]) -> AuditNode:
    """What was current and what readers got at a moment.

    Args:
        pointers: name -> where it stood, as JSON; None where it was not set yet.
    """
    nodes = [
        AuditNode(kind="pointer", name=name, facts=value if isinstance(value, Mapping) else {"problem": "not set yet"})
        for name, value in pointers.items()
    ]
    serving = pointers.get("serving")
    sha256 = str(serving["checkpoint_sha256"]) if isinstance(serving, Mapping) else ""
    tallies = ledger.current()
    read = next((tally for tally in tallies if tally.table == "contextual_embeddings"), None)
    facts: dict[str, Json] = {
        "num_titles_by_state": dict(ledger.num_titles_by_state()),
        "readers_got": {"checkpoint_sha256": sha256, "num_titles": read.num_titles if read else 0},
    }
    nodes += producer_nodes(ledger, tallies, "current")
    if sha256:
        nodes.append(checkpoint_node(ledger, sha256))
    return AuditNode(kind="moment", name=moment, facts=facts, children=tuple(nodes))


def _checkpoints_that_saw(ledger: AuditedLedger, media_sha256: str) -> list[AuditNode]:
    rows = ledger.rows(
        "SELECT manifest_sha256, list_sort(list(title_id || ' (' || split || ')')) AS titles FROM manifest_titles "
        "WHERE media_sha256 = $sha256 GROUP BY 1 ORDER BY 1",
        {"sha256": media_sha256},
    )
    seen: dict[str, Json] = {row["manifest_sha256"]: row["titles"] for row in rows}
    return [
        AuditNode(
            kind="saw",
            name=short(row["checkpoint_sha256"]),
            facts={
                "sha256": row["checkpoint_sha256"],
                "manifest_sha256": row["inputs"]["manifest"],
                "titles": seen[row["inputs"]["manifest"]],
            },
        )
        for row in checkpoints_of_manifests(ledger, list(seen))
    ]


def checkpoints_of_manifests(ledger: AuditedLedger, manifests: Sequence[str]) -> list[Row]:
    """The records of the checkpoints that were trained on one of these manifests."""
    return ledger.rows(
        "SELECT * FROM ledger WHERE title_id = '' AND table_name = 'checkpoints' AND state = 'ok' "
        "AND list_contains($manifests::VARCHAR[], inputs['manifest']) ORDER BY recorded_at, run_id",
        {"manifests": list(manifests)},
    )


def _checkpoints_reading(ledger: AuditedLedger, specs: Mapping[str, Json]) -> list[Row]:
    """One record of each checkpoint whose producers hold one of the specs."""
    rows = ledger.rows(
        "SELECT * FROM ledger WHERE title_id = '' AND table_name = 'checkpoints' AND state = 'ok' "
        "ORDER BY recorded_at, run_id"
    )
    return list(
        {
            row["checkpoint_sha256"]: row
            for row in rows
            if _reads(_specs(json.loads(row["details"]).get("producers", {})), specs)
        }.values()
    )


def _manifests_in(ledger: AuditedLedger, spaces: set[str]) -> list[AuditNode]:
    rows = ledger.rows(
        "SELECT * FROM ledger WHERE title_id = '' AND table_name = 'manifests' AND state = 'ok' "
        "ORDER BY recorded_at, run_id"
    )
    return [root_node(row) for row in rows if json.loads(row["producer"]).get("space") in spaces - {None}]


def _checkpoint_and_made(ledger: AuditedLedger, sha256: str) -> AuditNode:
    node = checkpoint_node(ledger, sha256)
    made = producer_nodes(ledger, ledger.made_by_checkpoint(sha256), "made")
    children = (*node.children, *made_of_checkpoint(ledger, sha256), *made)
    return AuditNode(kind=node.kind, name=node.name, facts=node.facts, children=children)


def _own(producer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The network that itself made a value."""
    for name in NETWORKS:
        if isinstance(producer.get(name), Mapping):
            yield producer[name]


def _specs(part: object) -> Iterator[Mapping[str, Any]]:
    """Every network's spec in a producer, however deep."""
    if isinstance(part, Mapping):
        for name, value in part.items():
            if name in (*NETWORKS, "metadata_encoder") and isinstance(value, Mapping):
                yield value
            elif name == "encoders" and isinstance(value, Mapping):
                yield from (each for each in value.values() if isinstance(each, Mapping))
            else:
                yield from _specs(value)


def _reads(found: Iterator[Mapping[str, Any]], specs: Mapping[str, Json]) -> bool:
    return any(fingerprint(dict(each)) in specs for each in found)


def _is_meant(found: Mapping[str, Any], spec: str) -> bool:
    name, _, revision = spec.partition("@")
    if revision:
        return found.get("name") == name and str(found.get("revision", "")).startswith(revision)
    return found.get("name") == name or (len(spec) >= 6 and fingerprint(dict(found)).startswith(spec))

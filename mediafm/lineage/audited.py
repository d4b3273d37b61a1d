"""What an audit asks of a ledger, and how its rows become facts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from mediafm.errors import NotFoundError
from mediafm.types import Json

Row: TypeAlias = Mapping[str, Any]

DEFAULT_LIMIT = 1000
"""So many titles or values are listed one by one; counts are always of all (our choice)."""
MIN_SHA_DIGITS = 6
"""So many digits of a sha256 name what it is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Values of one table by one producer.

    num_titles: how many titles have one. num_current: how many of the values are current. num_removed: how many were
        removed by `mediafm gc` and not made again.
    runs: the runs that recorded them, sorted.
    """

    table: str
    producer_id: str
    num_titles: int
    num_records: int
    num_current: int
    num_removed: int
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleGroup:
    """Titles that lack the present value of one table for the same cause: the first table of the graph that they lack.

    cause: "configuration" (other producers made what they have), "inputs" (this producer made it of other inputs),
        "never made", or a state of `TitleState`.
    title_ids: the first ones.
    """

    table: str
    cause: str
    num_titles: int
    title_ids: tuple[str, ...]


class AuditedLedger(Protocol):
    """A ledger with its views (`mediafm.store.views`), and what of it is counted over all titles at once."""

    limit: int
    """How many titles or values are listed one by one."""

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """What a query over the views gives."""

    def made_by_checkpoint(self, sha256: str) -> list[Tally]:
        """What a checkpoint made, by table."""

    def made_by_producers(self, producer_ids: Sequence[str]) -> list[Tally]:
        """What producers made, by table."""

    def used_by_manifest(self, sha256: str) -> list[Tally]:
        """The values that a manifest names, and all that they were made of, by table and producer."""

    def current(self) -> list[Tally]:
        """What is current, by table and producer."""

    def num_titles_by_state(self) -> dict[str, int]:
        """Titles by the state of their newest raw record."""

    def stale(self) -> list[StaleGroup]:
        """Titles whose current values are not those of the present producers and inputs, by table and cause."""


def value_facts(rows: Sequence[Row]) -> dict[str, Json]:
    """One value's facts from the records of it, the last of which holds; all runs that recorded it are named."""
    runs: list[Json] = list(dict.fromkeys(row["run_id"] for row in rows))
    hidden = ("table_name", "title_id", "state", "reason", "inputs", "facets", "run_id", "checkpoint_sha256")
    return {**plain(rows[-1], leave_out=hidden), "runs": runs}


def plain(row: Row, leave_out: Sequence[str] = ()) -> dict[str, Json]:
    """A row as JSON: stored JSON parsed, times in ISO 8601 (UTC)."""
    facts: dict[str, Json] = {}
    for name, value in row.items():
        if name in ("producer", "details"):
            facts[name] = json.loads(value)
        elif name not in leave_out:
            facts[name] = value.isoformat() + "Z" if name == "recorded_at" else value
    return facts


def tally_facts(tally: Tally, limit: int) -> dict[str, Json]:
    """A tally as JSON, with its first runs."""
    return {
        "producer_id": tally.producer_id,
        "num_titles": tally.num_titles,
        "num_current": tally.num_current,
        "num_removed": tally.num_removed,
        "num_runs": len(tally.runs),
        "runs": list(tally.runs[:limit]),
    }


def whole_sha256(found: Sequence[str], digits: str, kind: str, remedy: str) -> str:
    """The one of `found` that is meant.

    Raises:
        NotFoundError: none is, or several.
    """
    if len(found) == 1 and len(digits) >= MIN_SHA_DIGITS:
        return found[0]
    raise NotFoundError(
        f"{len(found)} {kind} begin with {digits!r}",
        rule=f"at least {MIN_SHA_DIGITS} digits name exactly one of the ledger's {kind}",
        remedy=remedy,
    )

"""An audit's answer: a tree, for programs as JSON and for people as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mediafm.lineage.fingerprint import canonical_json
from mediafm.types import Json

MAX_FACT_LENGTH = 160
"""Longer facts are cut in the text, never in the JSON."""

_LONG = ("values", "titles")
_HEX_DIGITS_SHOWN = 16
_QUIET: Mapping[str, Json] = {
    "cost_usd": 0.0,
    "is_forced": False,
    "asset": None,
    "producer_id": None,
    "generation": None,
}
"""Facts that the text leaves out: always (None), or where they are as usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNode:
    """One thing that an audit speaks of, and what it came from.

    kind: "title", "value", "facet", "checkpoint", "manifest", "producer", "made".
    name: the title's id, the table, or the first digits of the sha256.
    facts: what the ledger says of it.
    children: what it was made from; under a checkpoint also what it made.
    """

    kind: str
    name: str
    facts: Mapping[str, Json] = field(default_factory=dict)
    children: tuple[AuditNode, ...] = ()

    def as_json(self) -> dict[str, Json]:
        return {
            "kind": self.kind,
            "name": self.name,
            "facts": dict(self.facts),
            "children": [child.as_json() for child in self.children],
        }

    def as_text(self) -> str:
        """The tree drawn with lines; every hash is cut to its first digits."""
        return "\n".join(self._lines("", ""))

    def find(self, kind: str, name: str | None = None) -> Iterator[AuditNode]:
        """All nodes of a kind (and name) in this tree, from the top."""
        if self.kind == kind and name in (None, self.name):
            yield self
        for child in self.children:
            yield from child.find(kind, name)

    def _lines(self, first: str, rest: str) -> Iterator[str]:
        yield f"{first}{self.kind} {self.name}"
        bar = "│  " if self.children else "   "
        for name, fact in self.facts.items():
            shown = _shown(name, fact)
            if shown:
                yield f"{rest}{bar}{name}: {shown}"
        for child in self.children:
            is_last = child is self.children[-1]
            yield from child._lines(rest + ("└─ " if is_last else "├─ "), rest + ("   " if is_last else "│  "))


def _shown(name: str, fact: Json) -> str:
    if fact in ("", None, [], {}) or (name in _QUIET and _QUIET[name] in (None, fact)):
        return ""
    if name in _LONG and isinstance(fact, list):
        return f"{len(fact)} (all in the JSON)"
    if isinstance(fact, str):
        return fact[:_HEX_DIGITS_SHOWN] if _is_hash(fact) else fact
    text = canonical_json(fact)
    return text if len(text) <= MAX_FACT_LENGTH else text[: MAX_FACT_LENGTH - 1] + "…"


def _is_hash(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")

"""An audit's answer: a tree, for programs as JSON and for people as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mediafm.types import Json

MAX_LINE_LENGTH = 200
"""Longer lines of facts are cut in the text, never in the JSON."""

_INLINE = (
    "fingerprint",
    "state",
    "media_sha256",
    "model_version",
    "split_of_this_title",
    "num_shots",
    "num_rows",
    "num_titles",
    "num_current",
    "runs",
    "shown_above",
    "problem",
)
"""Facts that stand beside a node's name in the text."""
_BELOW = ("reason", "producer", "details", "num_titles_by_split", "decided")
"""Facts that stand under it; all others are in the JSON only."""
_HASH = re.compile(r"(?<![0-9a-f/])([0-9a-f]{16})[0-9a-f]{48}(?![0-9a-f])")
"""A whole hash that is no part of a path: people see its first digits."""


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
        """The tree drawn with lines, its main facts only; every hash is cut to its first digits."""
        return "\n".join(self._lines("", ""))

    def find(self, kind: str, name: str | None = None) -> Iterator[AuditNode]:
        """All nodes of a kind (and name) in this tree, from the top."""
        if self.kind == kind and name in (None, self.name):
            yield self
        for child in self.children:
            yield from child.find(kind, name)

    def _lines(self, first: str, rest: str) -> Iterator[str]:
        beside = [f"{name} {_shown(self.facts[name])}" for name in _INLINE if self.facts.get(name)]
        yield _cut(f"{first}{self.kind} {self.name}" + (f": {', '.join(beside)}" if beside else ""))
        bar = "│  " if self.children else "   "
        for name in _BELOW:
            if self.facts.get(name):
                yield _cut(f"{rest}{bar}{name} {_shown(self.facts[name])}")
        for child in self.children:
            is_last = child is self.children[-1]
            yield from child._lines(rest + ("└─ " if is_last else "├─ "), rest + ("   " if is_last else "│  "))


def _shown(fact: Json) -> str:
    return _HASH.sub(r"\1", ", ".join(f"{name}={value}" if name else value for name, value in _flat("", fact)))


def _flat(name: str, fact: Json) -> Iterator[tuple[str, str]]:
    """The leaves of a fact as dotted names and text, names before the rest, empty ones left out."""
    if isinstance(fact, Mapping):
        for key in sorted(fact, key=lambda key: (key != "name", key)):
            yield from _flat(f"{name}.{key}" if name else key, fact[key])
    elif isinstance(fact, list | tuple):
        for item in fact:
            yield from _flat(name, item)
    elif fact not in ("", None):
        yield name, str(fact)


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE_LENGTH else line[: MAX_LINE_LENGTH - 1] + "…"

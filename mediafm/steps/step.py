"""The interface of a step over titles: what it makes, and how one title's share of it is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from mediafm.lineage.fingerprint import Identity
from mediafm.steps.present import PresentTitle
from mediafm.store.facts import facts_of
from mediafm.store.store import Store, StoredObject
from mediafm.types import Json


@dataclass(frozen=True)
class Made:
    """One value that a step wrote.

    details: what people and reports want to know of it beyond its rows (coverage, notes), as JSON.
    """

    identity: Identity
    stored: StoredObject
    details: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, identity: Identity, rows: pa.Table, details: Mapping[str, Json] | None = None) -> Made:
        """Writes `rows` as the value `identity`, with its facts among the details."""
        facts = facts_of(identity.table, rows)
        return cls(identity, store.write(identity, rows), {**facts, **(details or {})})


class TitleStep(ABC):
    """A step of the graph that works title by title.

    asset: the Dagster asset and ledger folder that it fills.
    tables: the tables that it writes, in the order in which they are made.
    """

    asset: str
    tables: tuple[str, ...]

    @abstractmethod
    def make(self, title: PresentTitle, missing: Sequence[Identity]) -> list[Made]:
        """Makes and writes the values of `missing`, whose inputs are all in the store.

        Raises:
            UnusableMediaError: the title is permanently wrong: it will be quarantined.
            TransientError: may pass: it will be tried again.
        """

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Holds what is costly to load, for as long as titles are made."""
        yield

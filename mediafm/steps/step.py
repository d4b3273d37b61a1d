"""The interface of a step over titles: what it makes, and how one title's share of it is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

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
    cost_usd: what was paid for it.
    """

    identity: Identity
    stored: StoredObject
    details: Mapping[str, Json] = field(default_factory=dict)
    cost_usd: float = 0.0

    @classmethod
    def of(
        cls,
        store: Store,
        identity: Identity,
        rows: pa.Table,
        details: Mapping[str, Json] | None = None,
        cost_usd: float = 0.0,
    ) -> Made:
        """Writes `rows` as the value `identity`, with its facts among the details."""
        facts = facts_of(identity.table, rows)
        return cls(identity, store.write(identity, rows), {**facts, **(details or {})}, cost_usd)


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

    def waits_for(self, title: PresentTitle) -> str:
        """What the title needs beyond its inputs before the step can make it, as a sentence; "" if nothing."""
        return ""

    def paid_in_vain(self, title_id: str) -> tuple[Mapping[str, Json], float]:
        """What was bought for a title that is now given up: details for its record, and dollars."""
        return {}, 0.0


@dataclass(frozen=True, slots=True)
class Work:
    """A title and the values of it that are to be made."""

    title: PresentTitle
    missing: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class StreamResult:
    """What a stream made of one title: values, or the error that concerns this title alone."""

    title_id: str
    made: tuple[Made, ...] = ()
    error: Exception | None = None


Guard: TypeAlias = Callable[[Work], None]
"""Called with a title before anything of it is read; what it raises is the title's result."""


def let_pass(work: Work) -> None:
    """The guard that refuses nobody."""


class StreamStep(TitleStep):
    """A step that takes many titles at once, so that one batch can hold work of several."""

    @abstractmethod
    def make_stream(self, works: Iterable[Work], guard: Guard = let_pass) -> Iterator[StreamResult]:
        """Makes and writes what is missing of each title; a result for each, as soon as it is known, in any order.

        Args:
            works: read as far ahead as the step sees fit, perhaps on another thread.

        Raises:
            Exception: of no single title; every title that was read and has no result is still to be made.
        """

    def make(self, title: PresentTitle, missing: Sequence[Identity]) -> list[Made]:
        (result,) = self.make_stream([Work(title, tuple(missing))])
        if result.error is not None:
            raise result.error
        return list(result.made)

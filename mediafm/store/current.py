"""What is current, worked out from the ledger in numbers for all titles at once.

A title's newest raw record is the one of the highest generation. Every other value is current if it is done, if it was
made by the pointed-to producer, and if each of its inputs is the title's present one: facets those of the newest raw
record, parents the current values of their tables. Time decides nothing.

Each step is a few comparisons of columns over all rows of a table: a hundred thousand titles take well under a second.

Legend: N rows of the index, R rows of one table, T titles; a row's number is -1 where there is none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mediafm.lineage.tables import TABLES
from mediafm.store.index import SLOTS, STATES, LedgerIndex
from mediafm.types import TitleState

CONTEXTUAL = tuple(name for name, spec in TABLES.items() if spec.asset == "contextual_embeddings")
"""The tables that the pointer `serving` decides on."""

NEWEST_FIRST = "generation DESC, (state = 'ok') DESC, fingerprint DESC, sha256 DESC, run_id DESC"
"""Among rows of one title's raw record, where SQL looks at them."""

Rows: TypeAlias = NDArray[np.int64]
_OK, _QUARANTINED, _FAILED, _FORGOTTEN = (
    STATES.index(state) for state in (TitleState.OK, TitleState.QUARANTINED, TitleState.FAILED, TitleState.FORGOTTEN)
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which producers count.

    configured: the configured producer_id of each table up to the fused vectors.
    serving: producer ids of the contextual tables and of the space that they read; None before the first checkpoint.
    """

    configured: Mapping[str, str]
    serving: Mapping[str, str] | None = None

    def expected(self) -> dict[str, str]:
        """Each table that a title should have now, with its producer_id, in the order of the graph."""
        serving = self.serving or {}
        return {
            table: (serving if table in CONTEXTUAL else self.configured)[table]
            for table in TABLES
            if table != "titles" and table in (serving if table in CONTEXTUAL else self.configured)
        }

    def producer_ids(self) -> list[str]:
        return sorted({*self.configured.values(), *(self.serving or {}).values()})


@dataclass(frozen=True, kw_only=True)
class Present:
    """Which rows of an index count now.

    newest_T: each title's raw record of the highest generation.
    current: table -> each title's current row [T]; "titles" and all tables that the choice expects.
    setbacks: table -> the row [T] that says why a title has no current one, where a row says so.
    """

    newest_T: Rows
    current: Mapping[str, Rows]
    setbacks: Mapping[str, Rows]

    def current_rows(self) -> Rows:
        """All current rows, one for each table and title that has one."""
        return _there(list(self.current.values()))

    def setback_rows(self) -> Rows:
        return _there(list(self.setbacks.values()))


def present_rows(
    index: LedgerIndex, choice: Choice, until_us: int | None = None, forgotten: Collection[int] = ()
) -> Present:
    """What is current, by the records of an index.

    Args:
        until_us: microseconds since 1970 (UTC): records written later do not count.
        forgotten: hashes of titles that were forgotten: none of their records counts but those that say so.
    """
    chain = _Chain(index, choice, until_us, forgotten)
    current = {"titles": chain.present("titles", choice.configured)}
    current |= {table: chain.present(table, _deciding(choice, table)) for table in choice.expected()}
    setbacks = {table: chain.setbacks(table, current[table]) for table in choice.expected()}
    return Present(newest_T=chain.newest_T, current=current, setbacks=setbacks)


def _deciding(choice: Choice, table: str) -> Mapping[str, str]:
    return (choice.serving or {}) if table in CONTEXTUAL else choice.configured


class _Chain:
    """One walk down the graph of tables, for all titles at once."""

    def __init__(self, index: LedgerIndex, choice: Choice, until_us: int | None, forgotten: Collection[int]) -> None:
        self._index, self._choice = index, choice
        self._titles_T, self._title_N = index.titles
        self._until_us = until_us
        self._known: dict[tuple[str, bool], Rows] = {}
        raw_R = self._rows_of("titles")
        if forgotten:
            is_forgotten_T = np.isin(self._titles_T, np.array(sorted(forgotten), np.uint64))
            raw_R = raw_R[~is_forgotten_T[self._title_N[raw_R]] | (index.state_N[raw_R] == _FORGOTTEN)]
        keys = (index.tie_N[raw_R], index.beginning_N[raw_R], index.state_N[raw_R] == _OK)
        self.newest_T = self._best(raw_R, keys)

    def present(self, table: str, producers: Mapping[str, str]) -> Rows:
        """The current rows [T] of a table, under these producers."""
        is_served = table not in CONTEXTUAL and not _agree(table, producers, self._choice.configured)
        key = (table, is_served)
        if key not in self._known:
            self._known[key] = self._newest_ok() if table == "titles" else self._made(table, producers)
        return self._known[key]

    def setbacks(self, table: str, current_T: Rows) -> Rows:
        """Rows [T] that are not ok, of the present inputs as far as they name them, where nothing is current."""
        index, producers = self._index, _deciding(self._choice, table)
        rows_R = self._rows_of(table, producers[table])
        rows_R = rows_R[index.state_N[rows_R] != _OK]
        rows_R = rows_R[current_T[self._title_N[rows_R]] < 0]
        rows_R = rows_R[self._is_present(rows_R, table, producers, or_unnamed=True)]
        state_R = index.state_N[rows_R]
        return self._best(rows_R, (index.tie_N[rows_R], state_R == _FAILED, state_R == _QUARANTINED))

    def _newest_ok(self) -> Rows:
        newest_T = self.newest_T
        is_ok_T = (newest_T >= 0) & (self._index.state_N[newest_T] == _OK) if len(newest_T) else newest_T >= 0
        return np.where(is_ok_T, newest_T, -1)

    def _made(self, table: str, producers: Mapping[str, str]) -> Rows:
        if table not in producers:
            return np.full(len(self._titles_T), -1)
        rows_R = self._rows_of(table, producers[table])
        rows_R = rows_R[self._index.state_N[rows_R] == _OK]
        rows_R = rows_R[self._is_present(rows_R, table, producers)]
        return self._best(rows_R, (self._index.tie_N[rows_R],))

    def _is_present(
        self, rows_R: Rows, table: str, producers: Mapping[str, str], *, or_unnamed: bool = False
    ) -> NDArray[np.bool_]:
        """Whether each row [R] was made from the title's present inputs, and from no parent that nothing makes now."""
        index, spec, title_R = self._index, TABLES[table], self._title_N[rows_R]
        raw_R = self.present("titles", producers)[title_R]
        is_present_R: NDArray[np.bool_] = raw_R >= 0
        for slot, name in enumerate(SLOTS[table]):
            named_R = index.slots_SN[slot][rows_R]
            if name in spec.facets:
                same_R = named_R == index.slots_SN[SLOTS["titles"].index(name)][raw_R]
            elif name in spec.parents_under(producers):
                parent_R = self.present(name, producers)[title_R]
                same_R = (parent_R >= 0) & (named_R == index.fingerprint_N[parent_R])
            else:
                is_present_R &= named_R == 0
                continue
            is_present_R &= same_R | (named_R == 0) if or_unnamed else same_R
        return is_present_R

    def _rows_of(self, table: str, producer_id: str | None = None) -> Rows:
        rows_R = self._index.rows_of(table)
        if producer_id is not None:
            codes_N = self._index.texts["producer_id"][1]
            rows_R = rows_R[codes_N[rows_R] == self._index.code("producer_id", producer_id)]
        return rows_R if self._until_us is None else rows_R[self._index.recorded_N[rows_R] <= self._until_us]

    def _best(self, rows_R: Rows, keys: tuple[NDArray[np.generic], ...]) -> Rows:
        """For each title its row of the highest generation, and of those the greatest by `keys`, the last key first."""
        best_T, title_R = np.full(len(self._titles_T), -1), self._title_N[rows_R]
        if not len(rows_R):
            return best_T
        generation_R = self._index.generation_N[rows_R]
        highest_T = np.full(len(best_T), np.iinfo(np.int64).min)
        np.maximum.at(highest_T, title_R, generation_R)
        is_highest_R = generation_R == highest_T[title_R]
        rows_R, title_R = rows_R[is_highest_R], title_R[is_highest_R]
        if np.bincount(title_R).max() > 1:
            order = np.lexsort(tuple(key[is_highest_R] for key in keys))
            rows_R, title_R = rows_R[order], title_R[order]
        best_T[title_R] = rows_R  # of equal titles the last one stays
        return best_T


def _there(rows: list[Rows]) -> Rows:
    together = np.concatenate([np.empty(0, np.int64), *rows])
    return together[together >= 0]


def _agree(table: str, first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    return first.get(table) == second.get(table) and all(
        _agree(parent, first, second) for parent in TABLES[table].possible_parents
    )

"""A ledger opened for audits: its views, and what is counted over all titles at once in numbers.

Legend: N rows of the index, R some of them, T titles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from mediafm.lineage.audited import DEFAULT_LIMIT, Row, StaleGroup, Tally
from mediafm.lineage.tables import TABLES
from mediafm.store.current import Choice
from mediafm.store.index import REMOVED_NUMBER, SLOTS, STATES
from mediafm.store.snapshot import Snapshot
from mediafm.store.store import Store
from mediafm.store.views import open_snapshot
from mediafm.types import TitleState

CONFIGURATION, INPUTS, NEVER_MADE = "configuration", "inputs", "never made"
_OK = STATES.index(TitleState.OK)


class OpenedLedger:
    """The `AuditedLedger` of a store.

    Args:
        connection, snapshot: as `open_snapshot` gives them.
        limit: how many titles or values are listed one by one.
        until_us: records written later (microseconds since 1970, UTC) do not count.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, limit: int, until_us: int | None = None
    ) -> None:
        self.connection = connection
        self.limit = limit
        self._snapshot = snapshot
        self._until_us = until_us

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """What a query over the views gives."""
        found = self.connection.execute(sql, dict(parameters) if parameters else None)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def made_by_checkpoint(self, sha256: str) -> list[Tally]:
        """What a checkpoint made, by table."""
        codes_N, code = self._codes("checkpoint_sha256"), self._snapshot.index.code("checkpoint_sha256", sha256)
        return self._tallies({table: rows[codes_N[rows] == code] for table, rows in self._done().items()})

    def made_by_producers(self, producer_ids: Sequence[str]) -> list[Tally]:
        """What producers made, by table."""
        codes_N = self._codes("producer_id")
        codes = [self._snapshot.index.code("producer_id", one) for one in producer_ids]
        return self._tallies({table: rows[np.isin(codes_N[rows], codes)] for table, rows in self._done().items()})

    def current(self) -> list[Tally]:
        """What is current, by table and producer."""
        return self._tallies({table: rows[rows >= 0] for table, rows in self._snapshot.present.current.items()})

    def used_by_manifest(self, sha256: str) -> list[Tally]:
        """The values that a manifest names, and all that they were made of, by table and producer."""
        index = self._snapshot.index
        wanted = self._named_by_manifest(sha256)
        done, used = self._done(), dict[str, NDArray[np.int64]]()
        for table in reversed(tuple(TABLES)):
            if table not in wanted:
                continue
            rows_R = done[table]
            wanted_R = wanted[table][index.titles[1][rows_R]]
            rows_R = rows_R[(index.fingerprint_N[rows_R] == wanted_R) & (wanted_R != 0)]
            used[table] = rows_R
            for slot, name in enumerate(SLOTS[table]):
                named_R = index.slots_SN[slot][rows_R]
                if name in TABLES and named_R.any():
                    wanted.setdefault(name, np.zeros(len(index.titles[0]), np.uint64))
                    wanted[name][index.titles[1][rows_R[named_R != 0]]] = named_R[named_R != 0]
        return self._tallies(used)

    def num_titles_by_state(self) -> dict[str, int]:
        """Titles by the state of their newest raw record."""
        newest_T = self._snapshot.present.newest_T
        counts = np.bincount(self._snapshot.index.state_N[newest_T[newest_T >= 0]], minlength=len(STATES))
        return {str(state): int(count) for state, count in zip(STATES, counts, strict=True) if count}

    def stale(self) -> list[StaleGroup]:
        """Titles whose current values are not those of the present producers and inputs, by table and cause.

        A title is named once, under the first table of the graph that it lacks: what stands below follows from that.
        Titles whose file is not ok are no part of it: nothing of theirs is current.
        """
        present, index = self._snapshot.present, self._snapshot.index
        waits_T = present.current["titles"] >= 0
        groups = []
        for table, producer_id in self._snapshot.choice.expected().items():
            lacks_T = waits_T & (present.current[table] < 0)
            waits_T &= ~lacks_T
            if not lacks_T.any():
                continue
            rows_R = self._done()[table]
            has_any_T, has_ours_T = np.zeros(len(lacks_T), bool), np.zeros(len(lacks_T), bool)
            has_any_T[index.titles[1][rows_R]] = True
            ours = self._codes("producer_id")[rows_R] == index.code("producer_id", producer_id)
            has_ours_T[index.titles[1][rows_R[ours]]] = True
            setback_T = present.setbacks[table]
            causes = (
                {
                    str(state): lacks_T & (setback_T >= 0) & (index.state_N[setback_T] == number)
                    for number, state in enumerate(STATES)
                }
                if len(setback_T)
                else {}
            )
            lacks_T = lacks_T & (setback_T < 0)
            causes |= {
                INPUTS: lacks_T & has_ours_T,
                CONFIGURATION: lacks_T & has_any_T & ~has_ours_T,
                NEVER_MADE: lacks_T & ~has_any_T,
            }
            groups += [self._group(table, cause, title_T) for cause, title_T in causes.items() if title_T.any()]
        return groups

    def _group(self, table: str, cause: str, title_T: NDArray[np.bool_]) -> StaleGroup:
        chosen = np.flatnonzero(title_T)
        # In the order of their hashes, which is no order: the first ones of the ledger's own order are nicer to read.
        first = self._snapshot.present.newest_T[chosen]
        hashes = self._snapshot.index.titles[0][chosen[np.argsort(first, kind="stable")[: self.limit]]]
        names = self.rows(
            "SELECT title_id FROM _newest WHERE list_contains($hashes::UBIGINT[], hash(title_id)) ORDER BY title_id",
            {"hashes": [int(one) for one in hashes]},
        )
        return StaleGroup(
            table=table, cause=cause, num_titles=len(chosen), title_ids=tuple(row["title_id"] for row in names)
        )

    def _named_by_manifest(self, sha256: str) -> dict[str, NDArray[np.uint64]]:
        """Table -> of each title the hash of the fingerprint that the manifest names [T]; 0 where it names none."""
        found = self.connection.execute(
            "SELECT hash(title_id) AS title, hash(fused_fingerprint) AS fused_embeddings, "
            "hash(metadata_fingerprint) AS metadata_embeddings FROM manifest_titles WHERE manifest_sha256 = $sha256",
            {"sha256": sha256},
        ).fetchnumpy()
        titles_T = self._snapshot.index.titles[0]
        place = np.searchsorted(titles_T, found["title"])
        is_known = place < len(titles_T)
        is_known[is_known] = titles_T[place[is_known]] == found["title"][is_known]
        named = {}
        for table in ("fused_embeddings", "metadata_embeddings"):
            named[table] = np.zeros(len(titles_T), np.uint64)
            named[table][place[is_known]] = found[table][is_known]
        return named

    def _done(self) -> dict[str, NDArray[np.int64]]:
        """Table -> its rows that are ok."""
        index = self._snapshot.index
        found = {}
        for table in TABLES:
            rows_R = index.rows_of(table)
            is_done_R = index.state_N[rows_R] == _OK
            if self._until_us is not None:
                is_done_R &= index.recorded_N[rows_R] <= self._until_us
            found[table] = rows_R[is_done_R]
        return found

    def _codes(self, column: str) -> NDArray[np.int32]:
        return self._snapshot.index.texts[column][1]

    def _tallies(self, rows_of: Mapping[str, NDArray[np.int64]]) -> list[Tally]:
        """Of rows by table: a tally for each producer among them, in the order of the tables' names."""
        current = self._snapshot.present.current
        tallies = []
        for table in sorted(rows_of):
            rows_R = rows_of[table]
            codes_R = self._codes("producer_id")[rows_R]
            tallies += [self._tally(table, rows_R[codes_R == code], current.get(table)) for code in _different(codes_R)]
        return sorted(tallies, key=lambda one: (one.table, one.producer_id))

    def _tally(self, table: str, rows_R: NDArray[np.int64], current_T: NDArray[np.int64] | None) -> Tally:
        index = self._snapshot.index
        title_R = index.titles[1][rows_R]
        num_current = 0
        if current_T is not None:
            now_R = current_T[title_R]
            is_current_R = (now_R >= 0) & (index.fingerprint_N[now_R] == index.fingerprint_N[rows_R])
            is_current_R &= self._codes("producer_id")[now_R] == self._codes("producer_id")[rows_R]
            num_current = len(_different(title_R[is_current_R]))
        runs, producers = index.texts["run_id"][0], index.texts["producer_id"][0]
        return Tally(
            table=table,
            producer_id=producers[self._codes("producer_id")[rows_R[0]]],
            num_titles=len(_different(title_R)),
            num_records=len(rows_R),
            num_current=num_current,
            num_removed=self._num_removed(rows_R),
            runs=tuple(sorted(runs[code] for code in _different(self._codes("run_id")[rows_R]))),
        )

    def _num_removed(self, rows_R: NDArray[np.int64]) -> int:
        """How many of one producer's values were removed after they were made last."""
        gone_G = self._gone[self._codes("producer_id")[self._gone] == self._codes("producer_id")[rows_R[0]]]
        if not len(gone_G):
            return 0
        index, rows = self._snapshot.index, np.concatenate([rows_R, gone_G])
        values = np.stack([index.titles[1][rows].astype(np.uint64), index.fingerprint_N[rows]])
        different, place = np.unique(values, axis=1, return_inverse=True)
        made, removed = np.full((2, different.shape[1]), -1)
        np.maximum.at(made, place[: len(rows_R)], index.generation_N[rows_R])
        np.maximum.at(removed, place[len(rows_R) :], index.generation_N[gone_G])
        return int(np.count_nonzero((made >= 0) & (removed >= made)))

    @cached_property
    def _gone(self) -> NDArray[np.int64]:
        """The rows that tell of a removal."""
        index = self._snapshot.index
        is_gone_N = index.table_N == REMOVED_NUMBER
        if self._until_us is not None:
            is_gone_N &= index.recorded_N <= self._until_us
        return np.flatnonzero(is_gone_N)


@contextmanager
def open_audited(
    store: Store,
    title_ids: Sequence[str] | None = None,
    *,
    choice: Choice | None = None,
    until: datetime | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Iterator[OpenedLedger]:
    """The ledger, for audits; closed at the end.

    Args:
        title_ids: the titles to look at; all unless given. The fewer, the quicker.
        choice: whose values are current; what the pointers say unless given.
        until: the ledger as it stood then (UTC).
        limit: how many titles or values are listed one by one.

    Raises:
        StoreError: the root cannot be read.
    """
    connection, snapshot = open_snapshot(store, title_ids, choice, tables=("manifests",), until=until)
    until_us = None if until is None else int(until.timestamp() * 1_000_000)
    try:
        yield OpenedLedger(connection, snapshot, limit, until_us)
    finally:
        connection.close()


def _different(codes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The different ones of many small numbers, sorted."""
    return np.flatnonzero(np.bincount(codes))

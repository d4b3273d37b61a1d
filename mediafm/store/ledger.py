"""The ledger: small immutable Parquet files of lineage records, appended by each run, an index of the store's files.

    ledger/<asset>/<run_id>-<uuid>.parquet

It can be rebuilt from the files (`mediafm.store.rebuild`) and is merged by `mediafm.store.compaction`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm.errors import StoreError
from mediafm.lineage.records import LEDGER_SCHEMA, LedgerRecord, RunInfo
from mediafm.store.files import Files, storage_error
from mediafm.store.ledger_files import LEDGER_FOLDER
from mediafm.store.store import Store

MAX_HELD_TITLES = 256
"""So many titles' records are held back at most, however quickly they come (our choice)."""


class LedgerWriter:
    """Appends a run's records, a few titles at a time. A kill loses the records of the last few, never their files.

    Args:
        store: whose ledger.
        run: stamped on every record.
        flush_every_titles: how many titles' records are held back at most, unless they come quickly.
        quick_seconds: titles that come quicker are held back for so long: every query opens each file of the ledger.
    """

    def __init__(self, store: Store, run: RunInfo, flush_every_titles: int = 8, *, quick_seconds: float = 0.0) -> None:
        self._files = store.files
        self._run = run
        self._flush_every_titles = flush_every_titles
        self._quick_seconds = quick_seconds
        self._waiting: list[LedgerRecord] = []
        self._held_since = 0.0

    def __enter__(self) -> LedgerWriter:
        self._files.sweep()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def add(self, record: LedgerRecord) -> LedgerRecord:
        """Take one record; gives it back with run, host and time filled in."""
        titles = {waiting.title_id for waiting in self._waiting}
        if record.title_id not in titles and self._is_due(len(titles)):
            self.flush()
        if not self._waiting:
            self._held_since = time.monotonic()
        stamped = replace(record, run_id=self._run.run_id, host=self._run.host, recorded_at=datetime.now(UTC))
        self._waiting.append(stamped)
        return stamped

    def _is_due(self, num_titles: int) -> bool:
        if num_titles >= max(MAX_HELD_TITLES, self._flush_every_titles):
            return True
        return num_titles >= self._flush_every_titles and time.monotonic() - self._held_since >= self._quick_seconds

    def flush(self) -> None:
        """Write what waits, one file for each asset. Raises `StoreError`."""
        for asset in sorted({record.asset for record in self._waiting}):
            key = f"{LEDGER_FOLDER}/{asset}/{self._run.run_id}-{uuid.uuid4().hex}.parquet"
            put_records(self._files, key, [record for record in self._waiting if record.asset == asset])
            self._waiting = [record for record in self._waiting if record.asset != asset]


def put_records(files: Files, key: str, records: Iterable[LedgerRecord]) -> None:
    """Write records as one file. Raises `StoreError`."""
    put_rows(files, key, pa.Table.from_pylist([record.as_row() for record in records], schema=LEDGER_SCHEMA))


def put_rows(files: Files, key: str, rows: pa.Table) -> None:
    """Write rows of `LEDGER_SCHEMA` as one file. Raises `StoreError`."""
    with files.scratch(key) as path:
        try:
            pq.write_table(rows, path, compression="zstd")
        except OSError as error:
            raise storage_error("write", key, error) from error
        if not files.put_exclusive(key, path):
            raise StoreError("the file is there already", rule="every file of the ledger has its own name", where=key)

"""Vectors that money was paid for, and the money, in one SQLite file: `<root>/cache/bought.sqlite`.

Several processes may use it at once: each call opens the file, does one transaction and closes it, so that nothing is
held across forks, threads or a cache that is deleted meanwhile. The rollback journal rather than WAL (our choice): WAL
needs memory that all users of the file share, which folders on a network do not have.
"""

from __future__ import annotations

import fcntl
import hashlib
import sqlite3
import time
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from secrets import randbits
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mediafm.budget import refuse_beyond
from mediafm.errors import StoreError

FILE_NAME = "bought.sqlite"
SCHEMA_VERSION = 1
MAX_WAIT_SECONDS = 60.0
"""How long one process waits for another's transaction."""
KEYS_AT_ONCE = 500
NANOS = 1_000_000_000
"""Money is kept in whole billionths of a dollar: sums stay exact, however many there are."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    key TEXT PRIMARY KEY, width INTEGER NOT NULL, crc32 INTEGER NOT NULL, vector BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS purse (id INTEGER PRIMARY KEY CHECK (id = 1), spent_nano_usd INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reservations (
    number INTEGER PRIMARY KEY, cost_nano_usd INTEGER NOT NULL, made_at REAL NOT NULL
);
"""
_KEEP = "INSERT OR IGNORE INTO vectors (key, width, crc32, vector) VALUES (?, ?, ?, ?)"
_STATE = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FLOAT = np.dtype("<f4")

Result = TypeVar("Result")


class BrokenCacheWarning(UserWarning):
    """What was at rest cannot be read and is left out."""


class BoughtVectors:
    """A `VectorCache` at rest. A damaged row is forgotten and bought again."""

    def __init__(self, path: Path) -> None:
        self._file = _File(path)

    def get(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The known ones among `keys`. Raises `StoreError` if the file cannot be used."""
        found: dict[str, NDArray[np.float32]] = {}
        damaged: list[str] = []
        for start in range(0, len(keys), KEYS_AT_ONCE):
            for key, width, checksum, blob in self._rows(keys[start : start + KEYS_AT_ONCE]):
                if isinstance(blob, bytes) and len(blob) == width * _FLOAT.itemsize and zlib.crc32(blob) == checksum:
                    found[key] = np.frombuffer(blob, _FLOAT).astype(np.float32)
                else:
                    damaged.append(key)
        if damaged:
            self._forget(damaged)
        return found

    def put(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Keeps vectors [width] in one transaction; a key that is there already stays as it is."""
        rows = []
        for key, vector in vectors.items():
            blob = np.ascontiguousarray(vector, _FLOAT).tobytes()
            rows.append((key, vector.size, zlib.crc32(blob), blob))
        self._file.change(lambda database: database.executemany(_KEEP, rows))

    def forget_texts(self, texts: Sequence[str]) -> int:
        """Deletes the vectors of these texts, whoever bought them, so that no page of the file keeps them; how many.

        The end of a key is the sha256 of its text. Pieces of a text that was too long for one request are not found.
        """
        ends = [(hashlib.sha256(text.encode()).hexdigest(),) for text in texts]

        def delete(database: sqlite3.Connection) -> int:
            before = database.total_changes
            database.executemany("DELETE FROM vectors WHERE substr(key, -64) = ?", ends)
            return database.total_changes - before

        return self._file.change(delete, is_secure=True)

    def _rows(self, keys: Sequence[str]) -> list[tuple[str, int, int, object]]:
        marks = ", ".join("?" * len(keys))
        query = f"SELECT key, width, crc32, vector FROM vectors WHERE key IN ({marks})"
        return self._file.read(lambda database: database.execute(query, list(keys)).fetchall())

    def _forget(self, keys: Sequence[str]) -> None:
        message = f"{self._file.path}: {len(keys)} damaged vectors are forgotten and will be bought again"
        warnings.warn(message, BrokenCacheWarning, stacklevel=3)
        rows = [(key,) for key in keys]
        self._file.change(lambda database: database.executemany("DELETE FROM vectors WHERE key = ?", rows))


class RootPurse:
    """A `Purse` at rest: what a whole root has spent, counted for all processes at once.

    A reservation that a killed process left is counted as spent for ever: its request may have been billed.

    Args:
        path: the file, shared with `BoughtVectors`.
        already_spent_usd: what the ledger says was spent, or what finds it out. It counts, and is asked for, only when
            the purse begins anew: the cache's folder may be deleted, and a broken file put aside, at any time.
    """

    def __init__(self, path: Path, already_spent_usd: float | Callable[[], float] = 0.0) -> None:
        self._file = _File(path)
        self._already_spent_usd = already_spent_usd

    def reserve(self, cost_usd: float, budget_usd: float | None) -> int:
        """Sets `cost_usd` aside; the reservation's number.

        Raises:
            EncoderError: with it, more than `budget_usd` would be spent in all.
            StoreError: the file cannot be used.
        """
        number, cost = randbits(62), _nanos(cost_usd)

        def set_aside(database: sqlite3.Connection) -> None:
            refuse_beyond(self._spent_nanos(database) / NANOS, cost_usd, budget_usd)
            database.execute("UPDATE purse SET spent_nano_usd = spent_nano_usd + ?", (cost,))
            database.execute("INSERT INTO reservations VALUES (?, ?, ?)", (number, cost, time.time()))

        self._file.change(set_aside)
        return number

    def settle(self, reservation: int, cost_usd: float) -> None:
        """What was really spent of a reservation. One that is not there (settled, or the cache was deleted) is new."""

        def account(database: sqlite3.Connection) -> None:
            self._spent_nanos(database)
            query = "DELETE FROM reservations WHERE number = ? RETURNING cost_nano_usd"
            row = database.execute(query, (reservation,)).fetchone()
            change = _nanos(cost_usd) - (int(row[0]) if row else 0)
            database.execute("UPDATE purse SET spent_nano_usd = spent_nano_usd + ?", (change,))

        self._file.change(account)

    def spent_usd(self) -> float:
        """What is spent, and what is set aside."""
        return self._file.change(self._spent_nanos) / NANOS

    def _spent_nanos(self, database: sqlite3.Connection) -> int:
        """What stands in the purse; called inside a transaction, so that it is begun once."""
        row = database.execute("SELECT spent_nano_usd FROM purse").fetchone()
        if row is not None:
            return int(row[0])
        begun_with = self._already_spent_usd
        spent = _nanos(begun_with() if callable(begun_with) else begun_with)
        database.execute("INSERT INTO purse VALUES (1, ?)", (spent,))
        return spent


class _File:
    """The SQLite file: made when it is missing, put aside and begun anew when it is broken."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `work` finds. Raises `StoreError` if the file cannot be used."""
        return self._run(work)

    def change(self, work: Callable[[sqlite3.Connection], Result], *, is_secure: bool = False) -> Result:
        """As `read`, inside one transaction that overlaps with no other, of this process or another.

        Args:
            is_secure: what is deleted is overwritten.
        """

        def in_transaction(database: sqlite3.Connection) -> Result:
            if is_secure:
                database.execute("PRAGMA secure_delete = ON")
            database.execute("BEGIN IMMEDIATE")
            with database:
                return work(database)

        return self._run(in_transaction)

    def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            try:
                return self._attempt(work)
            except sqlite3.DatabaseError as error:
                if not _is_corrupt(error):
                    raise
            self._put_aside()
            return self._attempt(work)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"bought vectors cannot be kept ({error})",
                rule="the cache is a SQLite file in a readable, writable folder",
                where=str(self.path),
                remedy="Look after the disk or delete the file, then run again.",
            ) from error

    def _attempt(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connected()) as database:
            version, num_tables = database.execute(_STATE).fetchone()
            if version != SCHEMA_VERSION:
                if num_tables:
                    raise _OtherSchemaError(f"schema {version}")
                database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
            return work(database)

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=MAX_WAIT_SECONDS, isolation_level=None)

    def _put_aside(self) -> None:
        """Renames the broken file. Of several processes that saw it broken, one does; the others find it done."""
        with open(self.path.with_name(self.path.name + ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.path.exists() or not self._is_broken():
                return
            aside = self.path.with_name(f"{self.path.name}.broken-{time.time_ns()}")
            self.path.rename(aside)
            self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)
        message = f"{self.path} cannot be read and was put aside as {aside.name}; bought vectors begin anew"
        warnings.warn(message, BrokenCacheWarning, stacklevel=2)

    def _is_broken(self) -> bool:
        """Whether it is no SQLite file, one of another schema, or one with broken pages."""
        try:
            with closing(self._connected()) as database:
                version, num_tables = database.execute(_STATE).fetchone()
                is_sound = database.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        except sqlite3.DatabaseError as error:
            if _is_corrupt(error):
                return True
            raise
        return not is_sound or (version != SCHEMA_VERSION and num_tables > 0)


class _OtherSchemaError(sqlite3.DatabaseError):
    """The file was written by another version of MediaFM."""


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    return isinstance(error, _OtherSchemaError) or (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _BROKEN


def _nanos(cost_usd: float) -> int:
    return round(cost_usd * NANOS)

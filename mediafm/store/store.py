"""The store: one immutable file for each value, found by what the value depends on.

    store/<table>/<producer_id>/<title_id>/<fingerprint16>.parquet

Done means: the file is there with a valid header. Of two writers the loser takes the winner's file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mediafm.errors import IntegrityError, NotFoundError, StoreError
from mediafm.lineage.fingerprint import Identity, canonical_json, short
from mediafm.store.files import Files, LocalFiles
from mediafm.store.parquet import TableWriter, header_text, in_memory, open_parquet
from mediafm.store.schemas import check_schema
from mediafm.types import Json

STORE_FOLDER = "store"
SUFFIX = ".parquet"
MAX_TITLE_ID_LENGTH = 200

_TITLE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HASH_BLOCK_BYTES = 4 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One file of the store, as it stands there.

    key: its place under the root.
    sha256: of all its bytes.
    was_new: whether this call put it there; False if an equal value stood there already.
    """

    key: str
    sha256: str
    size_bytes: int
    num_rows: int
    was_new: bool


class ValueWriter:
    """Takes a value's rows piece by piece; `stored` says what became of them once the context has ended well."""

    def __init__(self, rows: TableWriter) -> None:
        self._rows = rows
        self.stored: StoredObject | None = None

    def write(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Add rows. Raises `StoreError`: other columns than announced, or the disk is full."""
        self._rows.write(rows)


class Store:
    """Values at rest under one root.

    Args:
        root: the root folder, made when something is written; of a root in a bucket its name.
        files: where the bytes rest; the local folder `root` unless given.
        cache: a folder of this machine for what may be deleted at any time; `<root>/cache` unless given.
    """

    def __init__(self, root: Path | str, files: Files | None = None, cache: Path | None = None) -> None:
        folder = Path(root).absolute()
        self.root: Path | str = root if files is not None else folder
        self.files: Files = files or LocalFiles(folder)
        self.cache = cache or folder / "cache"

    def key(self, identity: Identity) -> str:
        """Where the value stands. Raises `StoreError` if the title's id is not a safe file name."""
        title_id = check_title_id(identity.title_id)
        name = short(identity.fingerprint) + SUFFIX
        return f"{STORE_FOLDER}/{identity.table}/{identity.producer_id}/{title_id}/{name}"

    def has(self, identity: Identity) -> bool:
        """Whether the value is done: its file is there and its header says what `identity` says."""
        return self._is_valid(self.key(identity), identity)

    def write(self, identity: Identity, table: pa.Table) -> StoredObject:
        """Put a value into the store; equal tables give equal bytes.

        Raises:
            StoreError: the columns are not those of the table, or the root cannot be written.
        """
        with self.open_writer(identity, table.schema) as writer:
            writer.write(table)
        return _finished(writer)

    @contextmanager
    def open_writer(self, identity: Identity, schema: pa.Schema) -> Iterator[ValueWriter]:
        """Write a value piece by piece in bounded memory. It appears when the context ends well, else never.

        Raises:
            StoreError: the columns are not those of the table, or the root cannot be written.
        """
        check_schema(identity.table, schema)
        key = self.key(identity)
        with self.files.scratch(key) as path:
            rows = TableWriter(path, key, schema, canonical_json(identity.header()))
            writer = ValueWriter(rows)
            try:
                yield writer
                rows.finish()
            except BaseException:
                rows.abandon()
                raise
            writer.stored = self._publish(identity, key, path, rows.num_rows)

    def read(
        self,
        value: Identity | str,
        columns: Sequence[str] | None = None,
        *,
        expected_sha256: str | None = None,
        expected_size_bytes: int | None = None,
    ) -> pa.Table:
        """A value's rows, verified: against the ledger's record where given, and against its identity's header.

        Raises:
            NotFoundError: there is no such value.
            IntegrityError: the bytes, their number, or the header are not the expected ones.
        """
        key = value if isinstance(value, str) else self.key(value)
        path = self.verify_bytes(key, expected_sha256, expected_size_bytes)
        file = open_parquet(path, key)
        _check_header(header_text(file), value, key)
        with _readable(key):
            return in_memory(file.read(columns=None if columns is None else list(columns)))

    def read_batches(self, value: Identity | str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """A value's rows, one row group at a time: for pictures of long titles. Header verified as in `read`."""
        key = value if isinstance(value, str) else self.key(value)
        file = open_parquet(self.files.open(key), key)
        _check_header(header_text(file), value, key)
        for index in range(file.num_row_groups):
            with _readable(key):
                rows = in_memory(file.read_row_group(index, columns=None if columns is None else list(columns)))
            yield rows

    def header(self, key: str) -> dict[str, Json]:
        """What the value under `key` was made from. Raises `NotFoundError`, `IntegrityError`."""
        parsed: dict[str, Json] = json.loads(header_text(open_parquet(self.files.open(key), key)))
        return parsed

    def describe(self, key: str) -> StoredObject:
        """What stands under `key` now, hashed afresh. Raises `NotFoundError`, `IntegrityError`."""
        path = self.files.local_path(key)
        num_rows = open_parquet(path, key).metadata.num_rows if key.endswith(SUFFIX) else 0
        size_bytes = path.stat().st_size
        return StoredObject(key=key, sha256=sha256_of(path), size_bytes=size_bytes, num_rows=num_rows, was_new=False)

    def discard(self, key: str) -> None:
        """Remove one value, because it is damaged: the next run makes it again."""
        self.files.delete(key)

    def verify_bytes(self, key: str, sha256: str | None = None, size_bytes: int | None = None) -> Path:
        """A local path to the bytes under `key`, which are those expected. Raises `NotFoundError`, `IntegrityError`."""
        path = self.files.local_path(key)
        found_bytes = path.stat().st_size
        if size_bytes is not None and found_bytes != size_bytes:
            raise _damaged(key, f"{found_bytes} bytes", f"the ledger says {size_bytes} bytes")
        if sha256 is not None and (found := sha256_of(path)) != sha256:
            raise _damaged(key, f"bytes with sha256 {found}", f"the ledger says {sha256}")
        return path

    def put_blob(self, key: str, data: bytes) -> StoredObject:
        """Put bytes under a key of the caller's choice, once and for ever.

        Raises:
            IntegrityError: other bytes stand there already.
        """
        was_new = self.files.put_exclusive(key, data)
        sha256 = hashlib.sha256(data).hexdigest()
        if not was_new:
            self.verify_bytes(key, sha256, len(data))
        return StoredObject(key=key, sha256=sha256, size_bytes=len(data), num_rows=0, was_new=was_new)

    def read_blob(self, key: str, *, expected_sha256: str | None = None) -> bytes:
        """The bytes under `key`, verified where the hash is given. Raises `NotFoundError`, `IntegrityError`."""
        return self.verify_bytes(key, expected_sha256).read_bytes()

    def _is_valid(self, key: str, identity: Identity) -> bool:
        try:
            text = header_text(open_parquet(self.files.open(key), key))
        except (NotFoundError, IntegrityError):
            return False
        return text == canonical_json(identity.header())

    def _publish(self, identity: Identity, key: str, path: Path, num_rows: int) -> StoredObject:
        sha256, size_bytes = sha256_of(path), path.stat().st_size
        was_new = self.files.put_exclusive(key, path)
        if not was_new and not self._is_valid(key, identity):
            self.files.delete(key)
            was_new = self.files.put_exclusive(key, path)
        if not was_new:
            return self.describe(key)
        return StoredObject(key=key, sha256=sha256, size_bytes=size_bytes, num_rows=num_rows, was_new=True)


def check_title_id(title_id: str) -> str:
    """`title_id` itself. Raises `StoreError` unless it is a safe file name: no path is built from anything else."""
    if len(title_id) > MAX_TITLE_ID_LENGTH or not _TITLE_ID.fullmatch(title_id):
        raise StoreError(
            f"the title id {title_id!r}",
            rule=f"a title id is up to {MAX_TITLE_ID_LENGTH} of A-Z a-z 0-9 . _ -, beginning with a letter or digit",
        )
    return title_id


def sha256_of(path: Path) -> str:
    """The SHA-256 of a local file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _finished(writer: ValueWriter) -> StoredObject:
    if writer.stored is None:
        raise StoreError("the value was not published", rule="a writer's context ends before its result is read")
    return writer.stored


@contextmanager
def _readable(key: str) -> Iterator[None]:
    """A fault of Parquet inside a file whose footer is whole means that its pages were changed."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise _damaged(key, f"rows that cannot be read ({error})", "a stored value can be read whole") from error


def _check_header(text: str, value: Identity | str, key: str) -> None:
    if isinstance(value, Identity) and text != canonical_json(value.header()):
        raise _damaged(key, f"the header {text}", f"the value asked for is {canonical_json(value.header())}")


def _damaged(key: str, seen: str, rule: str) -> IntegrityError:
    return IntegrityError(
        seen, rule=rule, where=key, remedy="The file was changed or damaged: discard it and run again."
    )

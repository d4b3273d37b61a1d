"""One way to write Parquet: the same rows give the same bytes, however they were handed over."""

from __future__ import annotations

from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm.errors import IntegrityError, StoreError
from mediafm.store.files import storage_error
from mediafm.store.vectors import columns_at_rest, columns_in_memory, schema_at_rest

HEADER_KEY = b"mediafm"
"""File metadata: canonical JSON of what the value depends on, and nothing else."""


@dataclass(frozen=True, kw_only=True)
class ParquetLayout:
    """How rows are packed; part of the bytes, so a change here makes new files differ from old ones."""

    zstd_level: int = 3
    rows_per_group: int = 65_536
    vector_rows_per_group: int = 4_096
    picture_rows_per_group: int = 256
    """Of tables with pictures: what a streaming writer holds in memory."""

    def group_rows(self, schema: pa.Schema) -> int:
        if any(pa.types.is_binary(field.type) for field in schema):
            return self.picture_rows_per_group
        if any(pa.types.is_list(field.type) for field in schema):
            return self.vector_rows_per_group
        return self.rows_per_group


LAYOUT = ParquetLayout()


class TableWriter:
    """Collects rows into row groups of a fixed size and writes each as soon as it is full.

    Args:
        path: a file of `Files.scratch`.
        key: what it will be called, for messages.
        schema: columns in memory (vectors as fixed-size lists).
        header: canonical JSON for `HEADER_KEY`.
    """

    def __init__(self, path: Path, key: str, schema: pa.Schema, header: str, layout: ParquetLayout = LAYOUT) -> None:
        self.num_rows = 0
        self._key = key
        self._schema = schema
        rest = schema_at_rest(schema)
        self._group_rows = layout.group_rows(rest)
        self._waiting: list[pa.Table] = []
        try:
            self._sink = pa.OSFile(str(path), "wb")
            self._file = pq.ParquetWriter(
                self._sink, rest.with_metadata({HEADER_KEY: header.encode()}), **_options(rest, layout)
            )
        except OSError as error:
            raise storage_error("write", key, error) from error

    def write(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Add rows. Raises `StoreError`: other columns than announced, or the disk is full."""
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        if not table.schema.equals(self._schema, check_metadata=False):
            raise StoreError(
                f"rows of {table.schema}", rule=f"a writer takes the columns it was opened for: {self._schema}"
            )
        self._waiting.append(columns_at_rest(table))
        while sum(map(len, self._waiting)) >= self._group_rows:
            self._write_group()

    def finish(self) -> None:
        """Write what waits and the footer."""
        while self._waiting:
            self._write_group()
        try:
            self._file.close()
            self._sink.close()
        except OSError as error:
            raise storage_error("write", self._key, error) from error

    def abandon(self) -> None:
        """Let go of the file; what it holds is of no use."""
        self._file.is_open = False  # else its destructor writes a footer into the closed file
        self._sink.close()

    def _write_group(self) -> None:
        waiting = pa.concat_tables(self._waiting)
        group = waiting.slice(0, self._group_rows).combine_chunks()
        rest = waiting.slice(self._group_rows)
        self._waiting = [rest] if len(rest) else []
        if len(group) == 0:
            return
        try:
            self._file.write_table(group, row_group_size=self._group_rows)
        except OSError as error:
            raise storage_error("write", self._key, error) from error
        self.num_rows += len(group)


def open_parquet(source: Path | RawIOBase, key: str) -> pq.ParquetFile:
    """The file with its footer read; `source` as `Files.open` gives it.

    Raises:
        IntegrityError: it is no whole Parquet file of ours.
    """
    try:
        file = pq.ParquetFile(source, memory_map=isinstance(source, Path))
    except (pa.ArrowInvalid, OSError) as error:
        raise IntegrityError(
            f"not a whole Parquet file ({error})",
            rule="a stored value ends with a readable footer",
            where=key,
            remedy="Discard it and run again.",
        ) from error
    if HEADER_KEY not in (file.metadata.metadata or {}):
        raise IntegrityError("no header", rule="a stored value says what it was made from", where=key)
    return file


def header_text(file: pq.ParquetFile) -> str:
    """The canonical JSON of `HEADER_KEY`."""
    text: str = file.metadata.metadata[HEADER_KEY].decode()
    return text


def in_memory(table: pa.Table) -> pa.Table:
    """`table` as it was handed to the writer: no file metadata, vectors of fixed size."""
    return columns_in_memory(table.replace_schema_metadata(None))


def _options(schema: pa.Schema, layout: ParquetLayout) -> dict[str, Any]:
    """Pictures are compressed already; dictionaries and statistics help plain columns only."""
    plain = [field.name for field in schema if not (pa.types.is_list(field.type) or pa.types.is_binary(field.type))]
    pictures = [field.name for field in schema if pa.types.is_binary(field.type)]
    vectors = [f"{field.name}.list.element" for field in schema if pa.types.is_list(field.type)]
    return {
        "version": "2.6",
        "data_page_version": "1.0",
        "compression": {**dict.fromkeys(plain + vectors, "zstd"), **dict.fromkeys(pictures, "none")},
        "compression_level": dict.fromkeys(plain + vectors, layout.zstd_level),
        "use_dictionary": plain,
        "write_statistics": plain,
        "store_schema": True,
    }

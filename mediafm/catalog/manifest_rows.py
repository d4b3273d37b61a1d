"""The rows of a manifest, from JSON Lines, CSV or Parquet: each a mapping, or the problem that stands in its place.

Rows are streamed. A row is named by its line (text) or its number from 1 (Parquet).
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Mapping
from functools import partial
from typing import BinaryIO, TypeAlias

from mediafm.catalog.sidecars import load_json
from mediafm.errors import CatalogError

Row: TypeAlias = Mapping[str, object]
NumberedRow: TypeAlias = tuple[int, Row | str]
"""A line number, and the row or the sentence that says why it cannot be read."""

_PARQUET_BATCH_ROWS = 1024


def read_jsonl(file: BinaryIO, max_row_bytes: int, where: str) -> Iterator[NumberedRow]:
    """One JSON object a line; blank lines are passed over."""
    number = 0
    while line := file.readline(max_row_bytes + 1):
        number += 1
        if len(line) > max_row_bytes:
            yield number, f"the line has more than {max_row_bytes} bytes"
            while line and not line.endswith(b"\n"):
                line = file.readline(max_row_bytes)
        elif line.strip(b" \t\r\n\xef\xbb\xbf"):
            yield number, _json_row(line)


def read_csv(file: BinaryIO, max_row_bytes: int, where: str) -> Iterator[NumberedRow]:
    """RFC 4180 with a header; UTF-8, with or without a byte-order mark.

    Raises:
        CatalogError: no header, or a header with a column twice.
    """
    reader = csv.reader(_lines(file, max_row_bytes), strict=True)
    header = [name.strip() for name in _next(reader) or []]
    if "uri" not in header or len(set(header)) != len(header):
        raise CatalogError(
            f"the header {header[:20]}",
            rule="a CSV manifest has a header, separated by commas, with uri in it and each column once",
            where=where,
            remedy="Mend the first line.",
        )
    while True:
        start = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield start, f"the line is not CSV ({error})"
            continue
        if len(values) == len(header):
            yield start, dict(zip(header, values, strict=True))
        elif values:
            yield start, f"the line has {len(values)} fields; the header has {len(header)}"


def read_parquet(file: BinaryIO, max_row_bytes: int, where: str) -> Iterator[NumberedRow]:
    """One row a title.

    Raises:
        CatalogError: it is not Parquet, or breaks off.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(file, pre_buffer=False).iter_batches(batch_size=_PARQUET_BATCH_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CatalogError(
            f"row {number + 1} cannot be read ({error})",
            rule="a Parquet manifest is a whole Parquet file",
            where=where,
            remedy="Write the file again.",
        ) from error


def _lines(file: BinaryIO, max_row_bytes: int) -> Iterator[str]:
    """Lines as text. Bytes that are not UTF-8 become lone surrogates, which make a problem of their own row alone."""
    if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        file.seek(0)
    for line in iter(partial(file.readline, max_row_bytes), b""):
        yield line.decode("utf-8", errors="surrogateescape")


def _json_row(line: bytes) -> Row | str:
    try:
        return load_json(line)
    except ValueError as error:
        return f"the line is no JSON object ({error})"


def _next(reader: Iterator[list[str]]) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error:
        return None

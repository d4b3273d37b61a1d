"""Rows of tags into a file, title by title: JSONL or Parquet, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm.errors import ConfigError
from mediafm.steps.out_files import written_beside
from mediafm.steps.tagging import TagRow

WriteRows = Callable[[Sequence[TagRow]], None]
ENDINGS = (".jsonl", ".parquet")
SCHEMA = pa.schema(
    [
        ("title_id", pa.string()),
        ("shot_index", pa.int32()),
        ("start_seconds", pa.float64()),
        ("end_seconds", pa.float64()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("is_tagged", pa.bool_()),
        ("checkpoint_sha256", pa.string()),
        ("probe", pa.string()),
        ("probe_version", pa.int32()),
        ("probe_sha256", pa.string()),
    ]
)


@contextmanager
def tag_file(out: Path, is_forced: bool = False) -> Iterator[WriteRows]:
    """Takes rows until the context ends; the file is there only if it ends well.

    Raises:
        ConfigError: an ending that names no format, a file that is there already, or no folder for it.
    """
    if out.suffix not in ENDINGS:
        raise ConfigError(
            f"OUT ends in {out.suffix!r}", rule=f"tags are written to files that end in {' or '.join(ENDINGS)}"
        )
    with written_beside(out, is_forced) as beside:
        if out.suffix == ".parquet":
            with pq.ParquetWriter(beside, SCHEMA, compression="zstd") as writer:
                yield lambda rows: writer.write_table(_table(rows)) if rows else None
        else:
            with beside.open("w", encoding="utf-8") as lines:
                yield lambda rows: lines.writelines(
                    json.dumps(row.as_json(), ensure_ascii=False, allow_nan=False) + "\n" for row in rows
                )


def _table(rows: Sequence[TagRow]) -> pa.Table:
    return pa.Table.from_pylist([dict(row.as_json()) for row in rows], schema=SCHEMA)

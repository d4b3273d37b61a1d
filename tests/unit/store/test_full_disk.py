"""A disk without room is told as such, whichever write meets it first."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from mediafm.errors import StoreError
from mediafm.store.parquet import TableWriter

FULL = Path("/dev/full")
"""The system's own full disk."""


def write_table(num_rows: int) -> None:
    schema = pa.schema({"shot_index": pa.int32()})
    writer = TableWriter(FULL, "store/a", schema, "{}")
    writer.write(pa.table({"shot_index": pa.array(range(num_rows), pa.int32())}))
    writer.finish()


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("num_rows", [0, 1])
def test_a_table_on_a_full_disk(num_rows: int) -> None:
    with pytest.raises(StoreError, match=r"store/a: cannot write \(.*Free some space"):
        write_table(num_rows)

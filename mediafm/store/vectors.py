"""Vectors between numpy and Arrow.

In memory a vector column is a fixed-size list. At rest it is a plain list whose field carries its size: Arrow (up to
25.0) writes null entries of fixed-size lists to Parquet but cannot read them back (apache/arrow#35692), and a plain
list is the same bytes.

Legend: N rows, W width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mediafm.errors import StoreError

LIST_SIZE_KEY = b"list_size"
"""Field metadata of a vector column at rest: its width, known even when every entry is null."""


def vectors_to_arrow(
    vectors_NW: NDArray[np.floating[Any]],
    is_present_N: NDArray[np.bool_] | None = None,
    *,
    dtype: type[np.floating[Any]] = np.float16,
) -> pa.FixedSizeListArray:
    """Rows of `vectors_NW` as a fixed-size list column; null where `is_present_N` is False.

    Raises:
        StoreError: not a matrix, as many flags as rows are not given, or a present value is not finite in `dtype`.
    """
    if vectors_NW.ndim != 2 or vectors_NW.shape[1] == 0:
        raise StoreError(f"vectors of shape {vectors_NW.shape}", rule="vectors come as [rows, width], width >= 1")
    present_N = np.ones(len(vectors_NW), dtype=bool) if is_present_N is None else is_present_N.astype(bool)
    if present_N.shape != (len(vectors_NW),):
        raise StoreError(
            f"{present_N.shape} flags for {len(vectors_NW)} vectors", rule="every vector has one presence flag"
        )
    with np.errstate(over="ignore"):
        stored_NW = np.where(present_N[:, None], vectors_NW, 0).astype(dtype)
    finite_N = np.isfinite(stored_NW).all(axis=1)
    if not finite_N.all():
        raise StoreError(
            f"row {int(np.argmin(finite_N))} is not finite as {np.dtype(dtype).name}",
            rule="stored vectors are finite numbers",
            remedy="Look at the encoder or model that made it.",
        )
    mask = None if present_N.all() else pa.array(~present_N)
    return pa.FixedSizeListArray.from_arrays(pa.array(stored_NW.reshape(-1)), vectors_NW.shape[1], mask=mask)


def arrow_to_vectors(column: pa.Array | pa.ChunkedArray) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The inverse: float32 `[N, W]` with zero rows where absent, and which rows are present `[N]`."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    present_N = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    vectors_NW = np.zeros((len(array), array.type.list_size), dtype=np.float32)
    values = array.flatten().to_numpy(zero_copy_only=False)
    vectors_NW[present_N] = values.reshape(-1, array.type.list_size)
    return vectors_NW, present_N


def schema_at_rest(schema: pa.Schema) -> pa.Schema:
    """`schema` with every fixed-size list as a plain list that remembers its size."""
    return pa.schema([_field_at_rest(field) for field in schema])


def columns_at_rest(table: pa.Table) -> pa.Table:
    """`table` with every fixed-size list column as a plain list column."""
    schema = schema_at_rest(table.schema)
    columns = [column.cast(field.type) for column, field in zip(table.columns, schema, strict=True)]
    return pa.table(columns, schema=schema)


def columns_in_memory(table: pa.Table) -> pa.Table:
    """The inverse of `columns_at_rest`."""
    names, columns = [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        size = (field.metadata or {}).get(LIST_SIZE_KEY)
        names.append(field.name)
        columns.append(column if size is None else _fixed(column, int(size)))
    return pa.table(columns, names=names)


def _field_at_rest(field: pa.Field) -> pa.Field:
    if not pa.types.is_fixed_size_list(field.type):
        return pa.field(field.name, field.type)
    size = str(field.type.list_size).encode()
    return pa.field(field.name, pa.list_(field.type.value_type), metadata={LIST_SIZE_KEY: size})


def _fixed(column: pa.ChunkedArray, size: int) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], type=column.type)
    values = array.flatten()
    num_present = len(array) - array.null_count
    if len(values) != num_present * size:
        raise StoreError(
            f"{len(values)} numbers in {num_present} vectors", rule=f"every stored vector here is {size} wide"
        )
    if array.null_count == 0:
        return pa.FixedSizeListArray.from_arrays(values, size)
    padded_NW = np.zeros((len(array), size), dtype=values.type.to_pandas_dtype())
    present_N = array.is_valid().to_numpy(zero_copy_only=False)
    padded_NW[present_N] = values.to_numpy(zero_copy_only=False).reshape(-1, size)
    return pa.FixedSizeListArray.from_arrays(pa.array(padded_NW.reshape(-1)), size, mask=pa.array(~present_N))

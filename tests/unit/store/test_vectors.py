"""Vectors survive the way to Arrow and back, absent ones included."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mediafm.errors import StoreError
from mediafm.store.vectors import arrow_to_vectors, columns_at_rest, columns_in_memory, vectors_to_arrow

_VECTORS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(0, 6), st.integers(1, 5)),
    elements=st.floats(-8, 8, width=16),
)


@given(_VECTORS, st.data())
def test_there_and_back_through_parquet(vectors: np.ndarray, data: st.DataObject) -> None:
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=len(vectors), max_size=len(vectors))), dtype=bool)
    table = pa.table({"vector": vectors_to_arrow(vectors, flags)})
    rest = io.BytesIO()
    pq.write_table(columns_at_rest(table), rest)
    plain = pq.read_table(io.BytesIO(rest.getvalue()))
    assert plain.schema.field("vector").type == pa.list_(pa.float16()), "any reader of Parquet can read it"
    again = columns_in_memory(plain)
    assert again.schema.field("vector").type == pa.list_(pa.float16(), vectors.shape[1])
    found, present = arrow_to_vectors(again.column("vector"))
    np.testing.assert_array_equal(present, flags)
    np.testing.assert_array_equal(found, np.where(flags[:, None], vectors, 0))


def test_float32_on_request_is_exact() -> None:
    vectors = np.array([[1 / 3, 2 / 3]], dtype=np.float32)
    found, _ = arrow_to_vectors(vectors_to_arrow(vectors, dtype=np.float32))
    np.testing.assert_array_equal(found, vectors)


def test_absent_rows_may_hold_anything() -> None:
    column = vectors_to_arrow(np.array([[np.nan, 1.0], [1.0, 2.0]]), np.array([False, True]))
    assert column.to_pylist() == [None, [1.0, 2.0]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_what_is_not_finite_as_float16_is_refused(bad: float) -> None:
    with pytest.raises(StoreError, match="row 1 is not finite as float16"):
        vectors_to_arrow(np.array([[0.0, 0.0], [bad, 0.0]]))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(StoreError, match="shape"):
        vectors_to_arrow(np.zeros(3))
    with pytest.raises(StoreError, match="one presence flag"):
        vectors_to_arrow(np.zeros((3, 2)), np.array([True]))


def test_a_vector_of_another_width_at_rest_is_found() -> None:
    field = pa.field("vector", pa.list_(pa.float16()), metadata={b"list_size": b"3"})
    table = pa.table([pa.array([[1.0, 2.0]], pa.list_(pa.float16()))], schema=pa.schema([field]))
    with pytest.raises(StoreError, match="3 wide"):
        columns_in_memory(table)

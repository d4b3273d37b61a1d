"""The current vectors out of the root, into one file with their lineage beside each row.

Parquet and Arrow are streamed title by title; NPZ is gathered in memory, as its arrays are whole. A file appears whole,
or not at all. What was exported from one root can be imported into another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm.config import Config
from mediafm.errors import ConfigError, NotFoundError
from mediafm.fusion import Space
from mediafm.lineage.fingerprint import canonical_json
from mediafm.steps.checkpoints import checkpoint_record
from mediafm.steps.existing import existing_store
from mediafm.steps.out_files import require_place, written_beside
from mediafm.steps.rollout import choice_for
from mediafm.store.store import Store
from mediafm.store.vectors import arrow_to_vectors, columns_at_rest, vectors_to_arrow
from mediafm.store.views import connect
from mediafm.types import Json

DTYPES: Mapping[str, type[np.floating[Any]]] = {"float16": np.float16, "float32": np.float32}
EXPORT_KEY = b"mediafm_export"
"""File metadata, in NPZ an array of one text: canonical JSON of what the vectors mean."""
FORMAT_VERSION = 1
TITLE_TABLES = ("title_embeddings", "metadata_embeddings")
"""Tables of one row a title."""
EXPORTED = (
    "contextual_embeddings",
    "fused_embeddings",
    "video_embeddings",
    "audio_embeddings",
    "text_embeddings",
    *TITLE_TABLES,
)
_FLAGS = ("is_present", "has_video", "has_audio", "has_text")


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written."""

    path: str
    table: str
    format: str
    num_titles: int
    num_rows: int
    num_present: int
    size_bytes: int

    def as_json(self) -> dict[str, Json]:
        return {
            "path": self.path,
            "table": self.table,
            "format": self.format,
            "titles": self.num_titles,
            "rows": self.num_rows,
            "present": self.num_present,
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value:
    """One title's current value, and what is told beside its rows."""

    title_id: str
    group_id: str
    object_key: str
    sha256: str
    fingerprint: str
    producer_id: str
    checkpoint_sha256: str
    spans_key: str | None


class _Sink(Protocol):
    def write(self, rows: pa.Table) -> None: ...


def export_vectors(
    config: Config,
    out: Path,
    table: str,
    *,
    file_format: str = "parquet",
    title_ids: Sequence[str] = (),
    dtype: str = "float16",
    is_forced: bool = False,
) -> ExportReport:
    """The current values of `table` as one file.

    Args:
        title_ids: the titles wanted; all that have such a value unless given.
        is_forced: replace a file that is there.

    Raises:
        ConfigError: the file is there, or its folder is not; an unknown table, format or dtype.
        NotFoundError: no root, no current value, or a title that has none.
        IntegrityError: a stored value is damaged; nothing is written.
        StoreError: a value does not fit into float16.
    """
    _require_known(table, file_format, dtype)
    require_place(out, is_forced)
    store = existing_store(config)
    values = _current(store, table, title_ids)
    about = _about(store, table, values, dtype)
    num_rows = num_present = 0
    with written_beside(out, is_forced) as beside:
        rows = _rows(store, table, values[0], DTYPES[dtype])
        with _SINKS[file_format](beside, rows.schema, about) as sink:
            for number, value in enumerate(values):
                rows = rows if number == 0 else _rows(store, table, value, DTYPES[dtype])
                num_rows += rows.num_rows
                num_present += rows.num_rows - rows.column("vector").null_count
                sink.write(rows)
    return ExportReport(
        path=str(out),
        table=table,
        format=file_format,
        num_titles=len(values),
        num_rows=num_rows,
        num_present=num_present,
        size_bytes=out.stat().st_size,
    )


def _require_known(table: str, file_format: str, dtype: str) -> None:
    for seen, known in ((table, EXPORTED), (file_format, tuple(_SINKS)), (dtype, tuple(DTYPES))):
        if seen not in known:
            raise ConfigError(repr(seen), rule=f"an export knows {', '.join(known)}", remedy="Choose one of them.")


_CURRENT = """
SELECT v.title_id, coalesce(t.details ->> 'group_id', v.title_id), v.object_key, v.sha256, v.fingerprint, v.producer_id,
    v.checkpoint_sha256, s.object_key
FROM current v
JOIN current t ON t.title_id = v.title_id AND t.table_name = 'titles'
LEFT JOIN current s ON s.title_id = v.title_id AND s.table_name = 'spans'
WHERE v.table_name = $table ORDER BY v.title_id
"""


def _current(store: Store, table: str, title_ids: Sequence[str]) -> list[_Value]:
    with connect(store, title_ids or None, choice_for(store, table)) as connection:
        rows = connection.execute(_CURRENT, {"table": table}).fetchall()
    names = list(_Value.__dataclass_fields__)
    values = [_Value(**dict(zip(names, row, strict=True))) for row in rows]
    lacking = sorted(set(title_ids) - {value.title_id for value in values})
    if lacking or not values:
        raise NotFoundError(
            f"no current {table} of {', '.join(lacking) or 'any title'}",
            rule="what is exported is what readers see now",
            remedy="`mediafm status` lists the titles and what they wait for.",
        )
    return values


def _about(store: Store, table: str, values: Sequence[_Value], dtype: str) -> str:
    """What the vectors mean, as canonical JSON: the same values give the same text."""
    producer: Any = store.header(values[0].object_key)["producer"]
    if values[0].checkpoint_sha256:
        recorded: Any = checkpoint_record(store, values[0].checkpoint_sha256).details["producers"]
        space = recorded["fused_embeddings"]["space"]
    else:
        space = producer.get("space")
    return canonical_json(
        {
            "format_version": FORMAT_VERSION,
            "mediafm_version": metadata.version("mediafm"),
            "table": table,
            "dtype": dtype,
            "num_titles": len(values),
            "producer": producer,
            "space": space,
            "space_id": Space.from_json(space).space_id if space else None,
            "encoders": space["encoders"] if space else [producer["encoder"]] if "encoder" in producer else [],
        }
    )


def _rows(store: Store, table: str, value: _Value, dtype: type[np.floating[Any]]) -> pa.Table:
    """One title's rows, in the columns of the export."""
    stored = store.read(value.object_key, expected_sha256=value.sha256)
    vectors, is_present = arrow_to_vectors(stored.column("vector"))
    count = stored.num_rows
    columns: dict[str, pa.Array] = {"title_id": _repeated(value.title_id, count)}
    if table not in TITLE_TABLES:
        shot_index = stored.column("shot_index").to_numpy()
        columns["shot_index"] = pa.array(shot_index.astype(np.int32))
        columns |= _times(store, value, shot_index)
    columns["is_present"] = pa.array(is_present)
    columns |= {name: stored.column(name) for name in _FLAGS[1:] if name in stored.column_names}
    columns["vector"] = vectors_to_arrow(vectors, is_present, dtype=dtype)
    columns["group_id"] = _repeated(value.group_id, count)
    columns["fingerprint"] = _repeated(value.fingerprint, count)
    columns["producer_id"] = _repeated(value.producer_id, count)
    columns["checkpoint_sha256"] = _repeated(value.checkpoint_sha256, count)
    columns["object_sha256"] = _repeated(value.sha256, count)
    return pa.table(columns)


def _times(store: Store, value: _Value, shot_index: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
    """Each shot's span, null where it is not known."""
    names = ("start_seconds", "end_seconds")
    if value.spans_key is None:
        return {name: pa.nulls(len(shot_index), pa.float64()) for name in names}
    spans = store.read(value.spans_key, list(names))
    return {name: spans.column(name).take(pa.array(shot_index)).combine_chunks() for name in names}


def _repeated(text: str, count: int) -> pa.Array:
    return pa.array([text] * count, pa.string())


@contextmanager
def _parquet(path: Path, schema: pa.Schema, about: str) -> Iterator[_Sink]:
    """Vectors as plain lists: Arrow cannot read nulls of fixed-size lists back from Parquet."""

    class Sink:
        def write(self, rows: pa.Table) -> None:
            writer.write_table(columns_at_rest(rows).replace_schema_metadata(header))

    header = {EXPORT_KEY: about.encode()}
    rest = columns_at_rest(schema.empty_table()).schema.with_metadata(header)
    with pq.ParquetWriter(path, rest, compression="zstd") as writer:
        yield Sink()


@contextmanager
def _arrow(path: Path, schema: pa.Schema, about: str) -> Iterator[_Sink]:
    class Sink:
        def write(self, rows: pa.Table) -> None:
            writer.write_table(rows.cast(plain).replace_schema_metadata(plain.metadata))

    plain = schema.with_metadata({EXPORT_KEY: about.encode()})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, plain) as writer:
        yield Sink()


@contextmanager
def _npz(path: Path, schema: pa.Schema, about: str) -> Iterator[_Sink]:
    """Text as fixed-width unicode, absent vectors and times as zeros and NaN: nothing that would need pickle."""
    gathered: list[pa.Table] = []

    class Sink:
        def write(self, rows: pa.Table) -> None:
            gathered.append(rows)

    yield Sink()
    table = pa.concat_tables(gathered)
    arrays: dict[str, Any] = {name: _plain_array(table.column(name)) for name in table.column_names}
    arrays[EXPORT_KEY.decode()] = np.array(about)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _plain_array(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    if pa.types.is_fixed_size_list(column.type):
        dtype = column.type.value_type.to_pandas_dtype()
        vectors, _ = arrow_to_vectors(column)
        return vectors.astype(dtype)
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=np.str_)
    found: np.ndarray[Any, Any] = column.to_numpy()
    return found


_SINKS: Mapping[str, Callable[[Path, pa.Schema, str], AbstractContextManager[_Sink]]] = {
    "parquet": _parquet,
    "npz": _npz,
    "arrow": _arrow,
}
"""How each format is written."""

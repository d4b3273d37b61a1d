"""The columns of every table at rest, checked at the store's door."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from mediafm.errors import StoreError

_VECTOR = pa.list_(pa.float16())
_SHOT = ("shot_index", pa.int32())

SCHEMAS: Mapping[str, pa.Schema] = {
    "titles": pa.schema(
        [
            (name, pa.string())
            for name in (
                "title_id",
                "info_json",
                "metadata_json",
                "sidecars_json",
                "facet_video",
                "facet_audio",
                "facet_text",
                "facet_metadata",
                "group_id",
            )
        ]
    ),
    "spans": pa.schema(
        [
            _SHOT,
            ("start_seconds", pa.float64()),
            ("end_seconds", pa.float64()),
            ("start_frame", pa.int64()),
            ("end_frame", pa.int64()),
        ]
    ),
    "frames": pa.schema(
        [
            _SHOT,
            ("position", pa.int32()),
            ("frame_index", pa.int64()),
            ("time_seconds", pa.float64()),
            ("width_px", pa.int32()),
            ("height_px", pa.int32()),
            ("jpeg", pa.binary()),
        ]
    ),
    "words": pa.schema(
        [
            ("position", pa.int32()),
            ("start_seconds", pa.float64()),
            ("end_seconds", pa.float64()),
            ("text", pa.string()),
            ("confidence", pa.float32()),
        ]
    ),
    "cues": pa.schema(
        [
            _SHOT,
            ("position", pa.int32()),
            ("start_seconds", pa.float64()),
            ("end_seconds", pa.float64()),
            ("text", pa.string()),
            ("language", pa.string()),
            ("source", pa.string()),
            ("is_hearing_impaired", pa.bool_()),
            ("confidence", pa.float32()),
        ]
    ),
    **{
        f"{modality}_embeddings": pa.schema([_SHOT, ("is_present", pa.bool_()), ("vector", _VECTOR)])
        for modality in ("video", "audio", "text")
    },
    "fused_embeddings": pa.schema(
        [_SHOT, ("has_video", pa.bool_()), ("has_audio", pa.bool_()), ("has_text", pa.bool_()), ("vector", _VECTOR)]
    ),
    "metadata_embeddings": pa.schema([("is_present", pa.bool_()), ("vector", _VECTOR)]),
    "contextual_embeddings": pa.schema([_SHOT, ("vector", _VECTOR)]),
    "title_embeddings": pa.schema([("vector", _VECTOR)]),
}
"""Vectors stand here as they rest (see `mediafm.store.vectors`); in memory they are fixed-size lists."""

MANIFEST_TITLES = pa.schema(
    [
        ("manifest_sha256", pa.string()),
        ("title_id", pa.string()),
        ("group_id", pa.string()),
        ("split", pa.string()),
        ("media_sha256", pa.string()),
        ("fused_fingerprint", pa.string()),
        ("fused_key", pa.string()),
        ("metadata_fingerprint", pa.string()),
        ("metadata_key", pa.string()),
        ("num_shots", pa.int32()),
    ]
)
"""What `store/manifests/<sha256>/titles.parquet` says of each title, with the manifest's sha256 from its place."""


def check_schema(table: str, schema: pa.Schema) -> None:
    """Compare the columns of a value with those of its table; vectors may be float16 or float32 of any width.

    Raises:
        StoreError: no such table, or columns that differ; all of them are named.
    """
    if table not in SCHEMAS:
        raise StoreError(f"the table {table!r}", rule=f"tables are {', '.join(SCHEMAS)}")
    expected = {field.name: str(field.type) for field in SCHEMAS[table]}
    seen = {field.name: _type_name(field.type) for field in schema}
    if list(expected.items()) == list(seen.items()):
        return
    wrong = [
        f"{name} is {seen.get(name, 'missing')} instead of {expected.get(name, 'absent')}"
        for name in {**expected, **seen}
        if seen.get(name) != expected.get(name)
    ] or [f"the order is {', '.join(seen)}"]
    raise StoreError("; ".join(wrong), rule=f"the columns are {', '.join(expected)}", where=table)


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(kind) and kind.value_type in (pa.float16(), pa.float32()):
        return str(_VECTOR)
    return str(kind)

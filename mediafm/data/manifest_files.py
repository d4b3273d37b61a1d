"""A manifest at rest: `manifest.json`, `titles.parquet`, `masks.parquet` under `store/manifests/<sha256>/`."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm.data.manifest import ManifestTitle, PlannedTitle, TrainingManifest
from mediafm.data.split import Part, Shares, Split
from mediafm.errors import IntegrityError
from mediafm.lineage.fingerprint import canonical_json
from mediafm.store.schemas import MANIFEST_TITLES

MANIFEST_FILE = "manifest.json"
TITLES_FILE = "titles.parquet"
MASKS_FILE = "masks.parquet"

_PARTS = pa.list_(pa.struct([("split", pa.string()), ("start", pa.int32()), ("end", pa.int32())]))
TITLES_SCHEMA = pa.schema(
    [
        *(field for field in MANIFEST_TITLES if field.name != "manifest_sha256"),
        ("split_group_id", pa.string()),
        ("parts", _PARTS),
    ]
)
MASKS_SCHEMA = pa.schema([("title_id", pa.string()), ("random", pa.list_(pa.int8())), ("span", pa.list_(pa.int8()))])


def to_files(manifest: TrainingManifest) -> dict[str, bytes]:
    """The manifest as file name -> bytes; equal manifests give equal bytes."""
    head = {"sha256": manifest.sha256, "summary": manifest.summary(), **manifest.head()}
    return {
        MANIFEST_FILE: canonical_json(head).encode(),
        TITLES_FILE: _parquet([_title_row(planned) for planned in manifest.titles], TITLES_SCHEMA),
        MASKS_FILE: _parquet([_mask_row(planned) for planned in manifest.titles], MASKS_SCHEMA),
    }


def from_files(files: Mapping[str, bytes]) -> TrainingManifest:
    """The inverse of `to_files`.

    Raises:
        IntegrityError: a file is missing or unreadable, or the content is not what its sha256 says.
    """
    try:
        head = json.loads(files[MANIFEST_FILE])
        rows = pq.read_table(io.BytesIO(files[TITLES_FILE])).to_pylist()
        masks = pq.read_table(io.BytesIO(files[MASKS_FILE])).to_pylist()
        manifest = _manifest(head, rows, masks)
    except (KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise IntegrityError(
            f"{type(error).__name__} {error}",
            rule="a manifest is three readable files",
            where="training manifest",
            remedy="Materialise training_manifest again.",
        ) from error
    if manifest.sha256 != head["sha256"]:
        raise IntegrityError(
            f"content with sha256 {manifest.sha256}",
            rule=f"the manifest says {head['sha256']}",
            where="training manifest",
            remedy="Materialise training_manifest again.",
        )
    return manifest


def _manifest(head: dict[str, Any], rows: list[dict[str, Any]], masks: list[dict[str, Any]]) -> TrainingManifest:
    folds = {mask["title_id"]: {name: np.array(mask[name], np.int8) for name in ("random", "span")} for mask in masks}
    return TrainingManifest(
        titles=tuple(
            PlannedTitle(
                title=ManifestTitle(**{name: row[name] for name in ManifestTitle.__dataclass_fields__}),
                group_id=row["split_group_id"],
                parts=tuple(Part(Split(part["split"]), part["start"], part["end"]) for part in row["parts"]),
                folds=folds[row["title_id"]],
            )
            for row in rows
        ),
        space=head["space"],
        salt=head["salt"],
        shares=Shares(**head["shares"]),
        is_within_title=head["is_within_title"],
        stand_ins={group: Split(split) for group, split in head["stand_ins"].items()},
        max_window_shots=head["max_window_shots"],
        num_empty_titles=head["num_empty_titles"],
    )


def _title_row(planned: PlannedTitle) -> dict[str, Any]:
    title = planned.title
    return {
        **{name: getattr(title, name) for name in ManifestTitle.__dataclass_fields__},
        "split": planned.split,
        "split_group_id": planned.group_id,
        "parts": [{"split": str(part.split), "start": part.start, "end": part.end} for part in planned.parts],
    }


def _mask_row(planned: PlannedTitle) -> dict[str, Any]:
    return {"title_id": planned.title.title_id, **{name: folds.tolist() for name, folds in planned.folds.items()}}


def _parquet(rows: list[dict[str, Any]], schema: pa.Schema) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    return sink.getvalue()

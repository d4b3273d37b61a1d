"""Embedded clips as a file: `.npy` for the vector alone, `.parquet` for everything, a row a clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm.clips import ClipEmbedding
from mediafm.errors import ConfigError
from mediafm.lineage.fingerprint import canonical_json
from mediafm.steps.out_files import written_beside

_FLOATS = pa.list_(pa.float32())
SCHEMA = pa.schema(
    [
        ("title_id", pa.string()),
        ("start_seconds", pa.float64()),
        ("end_seconds", pa.float64()),
        ("context", pa.string()),
        ("pool", pa.string()),
        ("with_metadata", pa.bool_()),
        ("checkpoint_sha256", pa.string()),
        ("space_id", pa.string()),
        ("fingerprints", pa.string()),
        ("vector", _FLOATS),
        ("shot_index", pa.list_(pa.int64())),
        ("overlap_seconds", pa.list_(pa.float64())),
        ("absent_shot_index", pa.list_(pa.int64())),
        ("shots", pa.list_(_FLOATS)),
    ]
)
"""The fields of `ClipEmbedding`; `fingerprints` is JSON. Times that are not known are null."""


def write_clips(out: Path, clips: Sequence[ClipEmbedding], *, is_forced: bool = False) -> None:
    """Writes clips as the ending of `out` says: `.npy` is float32 [D], or [C, D] for C clips that are not one.

    Args:
        is_forced: replace a file that is there.

    Raises:
        ConfigError: another ending, the file is there, or its folder is not.
    """
    ending = out.suffix.lower()
    if ending not in (".npy", ".parquet"):
        raise ConfigError(f"{out}", rule="clips are written to a file that ends in .npy or .parquet")
    with written_beside(out, is_forced) as beside:
        if ending == ".npy":
            vectors = np.stack([clip.vector for clip in clips])
            with beside.open("wb") as file:
                np.save(file, vectors[0] if len(clips) == 1 else vectors, allow_pickle=False)
        else:
            pq.write_table(pa.Table.from_pylist([_row(clip) for clip in clips], schema=SCHEMA), beside)


def _row(clip: ClipEmbedding) -> dict[str, Any]:
    return {
        **clip.as_json(),
        "fingerprints": canonical_json(dict(clip.fingerprints)),
        "vector": clip.vector,
        "shots": list(clip.shots),
    }

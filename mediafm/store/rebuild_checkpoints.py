"""A checkpoint's record again, from its folder, its manifest and the values that it was trained on.

Without one a root cannot be used: which producers make a checkpoint's space stands there alone. What no file holds is
not in it: how the training was asked for (so the next run trains once more, and finds the weights there), seconds, and
MLflow's ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm.errors import IntegrityError
from mediafm.lineage.fingerprint import fingerprint
from mediafm.lineage.records import REBUILT_GENERATION, LedgerRecord
from mediafm.lineage.tables import TABLES
from mediafm.store.folders import CHECKPOINTS, MANIFESTS, folder_key, folders_beginning, has_folder, read_folder
from mediafm.store.store import Store
from mediafm.store.views import records
from mediafm.types import Json

CONFIG_FILE, TITLES_FILE = "config.json", "titles.parquet"
MODEL_INPUTS = ("fused", "metadata")
"""What a checkpoint reads of a title: `<name>_embeddings`, under `<name>_fingerprint` of the manifest."""
MAX_TITLES = 50
"""So many are asked for their producers: one alone may lack what others have, such as a transcript (our choice)."""


def unnamed_checkpoints(store: Store) -> Iterator[str]:
    """The sha256 of whole checkpoints that no record names."""
    known = {row.checkpoint_sha256 for row in records(store, ["checkpoints"])}
    for sha256 in folders_beginning(store, CHECKPOINTS, ""):
        if sha256 not in known and has_folder(store, folder_key(CHECKPOINTS, sha256)):
            yield sha256


def record_of_checkpoint(store: Store, sha256: str) -> LedgerRecord:
    """What a checkpoint's folder says of it. The records of the values that it read must be in the ledger.

    Raises:
        IntegrityError: folder or manifest is damaged, or nothing is left of what it read.
        NotFoundError: its manifest is not there.
    """
    key = folder_key(CHECKPOINTS, sha256)
    files = read_folder(store, key)
    config = _config(files.get(CONFIG_FILE, b""), key)
    details: dict[str, Json] = {"producers": _producers(store, config["manifest_sha256"], key), "rebuilt": True}
    return LedgerRecord(
        asset="mediafm_checkpoint",
        table="checkpoints",
        fingerprint=sha256,
        producer={"rebuilt": True},
        inputs={"manifest": str(config["manifest_sha256"])},
        object_key=key,
        sha256=sha256,
        size_bytes=sum(map(len, files.values())),
        num_rows=1,
        generation=REBUILT_GENERATION,
        checkpoint_sha256=sha256,
        details={**details, "space": fingerprint(config["space"])},
    )


def _config(content: bytes, where: str) -> dict[str, Any]:
    """What a checkpoint's configuration says of its manifest and space."""
    try:
        config = json.loads(content)
        return {name: config[name] for name in ("manifest_sha256", "space")}
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{type(error).__name__}: {error}",
            rule=f"a checkpoint's {CONFIG_FILE} names manifest_sha256 and space",
            where=where,
            remedy="Take the folder from a backup.",
        ) from error


def _producers(store: Store, manifest_sha256: str, where: str) -> dict[str, Json]:
    """Table -> producer of all that fused and metadata vectors of the manifest's titles were made of."""
    titles = read_folder(store, folder_key(MANIFESTS, manifest_sha256))[TITLES_FILE]
    found: dict[str, Json] = {}
    for title in pq.read_table(pa.BufferReader(titles)).to_pylist()[:MAX_TITLES]:
        rows = records(store, list(TABLES), [title["title_id"]])
        by_value = {(row.table, row.fingerprint): row for row in rows}
        wanted = [(f"{name}_embeddings", str(title[f"{name}_fingerprint"])) for name in MODEL_INPUTS]
        made: dict[str, Json] = {row.table: dict(row.producer) for row in rows if row.table == "titles"}
        while wanted and wanted[-1] in by_value:
            row = by_value[wanted.pop()]
            made[row.table] = dict(row.producer)
            wanted += [(table, value) for table, value in row.inputs.items() if (table, value) in by_value]
        if not wanted:
            found |= made
    if found:
        return found
    raise IntegrityError(
        "no title of its manifest has the values that it was trained on",
        rule="a checkpoint's record says which producers make its space",
        where=where,
        remedy="Take the ledger from a backup.",
    )

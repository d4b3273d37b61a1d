"""Checkpoints at rest: `store/checkpoints/<sha256>/`, the truth of a checkpoint. MLflow holds a copy."""

from __future__ import annotations

from collections.abc import Mapping

from mediafm.errors import NotFoundError
from mediafm.lineage.records import LedgerRecord
from mediafm.steps.workspace import Workspace
from mediafm.store.store import Store, StoredObject
from mediafm.store.views import records
from mediafm.train.checkpoint import CONFIG_FILE, WEIGHTS_FILE, Checkpoint, from_files

FOLDER = "store/checkpoints"


def put_files(store: Store, folder: str, files: Mapping[str, bytes]) -> dict[str, StoredObject]:
    """Puts `files` into `folder` of the root, each once and for ever."""
    return {name: store.put_blob(f"{folder}/{name}", data) for name, data in files.items()}


def load_checkpoint(workspace: Workspace, sha256: str) -> Checkpoint:
    """The checkpoint with these weights, verified.

    Raises:
        NotFoundError: the root has no such checkpoint.
        IntegrityError: its files are not what their names say.
    """
    folder = f"{FOLDER}/{sha256}"
    weights = workspace.store.read_blob(f"{folder}/{WEIGHTS_FILE}", expected_sha256=sha256)
    return from_files({WEIGHTS_FILE: weights, CONFIG_FILE: workspace.store.read_blob(f"{folder}/{CONFIG_FILE}")})


def checkpoint_record(store: Store, sha256: str) -> LedgerRecord:
    """The ledger's row on a checkpoint.

    Args:
        sha256: at least the first eight digits.

    Raises:
        NotFoundError: there is none.
    """
    rows = [row for row in records(store, ["checkpoints"]) if row.checkpoint_sha256.startswith(sha256)]
    if not sha256 or not rows:
        raise NotFoundError(
            f"no checkpoint {sha256[:16]}",
            rule="the ledger has a row for each checkpoint of the root",
            remedy="`mediafm status` names the champion.",
        )
    return rows[-1]

"""Checkpoints at rest: `store/checkpoints/<sha256>/`, the truth of a checkpoint. MLflow holds a copy.

PyTorch is imported when a checkpoint's weights are wanted: ingest, `mediafm status` and the sensors ask for records
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediafm.errors import NotFoundError
from mediafm.lineage.records import LedgerRecord
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import CHECKPOINTS, folder_key, read_folder
from mediafm.store.store import Store
from mediafm.store.views import records

if TYPE_CHECKING:
    from mediafm.train.checkpoint import Checkpoint


def load_checkpoint(workspace: Workspace, sha256: str) -> Checkpoint:
    """The checkpoint with these weights, verified.

    Raises:
        NotFoundError: the root has no such checkpoint.
        IntegrityError: its files are not what their names say.
    """
    from mediafm.train.checkpoint import from_files

    return from_files(read_folder(workspace.store, folder_key(CHECKPOINTS, sha256)))


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

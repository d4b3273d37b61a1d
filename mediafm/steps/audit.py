"""Audits of a root: the tree from the ledger, and the title's files read again."""

from __future__ import annotations

from mediafm.config import Config
from mediafm.errors import IntegrityError
from mediafm.lineage.audit import audit_checkpoint, audit_title
from mediafm.lineage.audit_tree import AuditNode
from mediafm.steps.existing import existing_store
from mediafm.store.verify import verify_title
from mediafm.store.views import connect


def audit_root(
    config: Config, *, title_id: str | None = None, checkpoint: str | None = None
) -> tuple[AuditNode, list[str]]:
    """The lineage of a title (with its files verified) or of a checkpoint.

    Raises:
        NotFoundError: the ledger knows no such title or checkpoint.
    """
    store = existing_store(config)
    with connect(store) as connection:
        if title_id is not None:
            tree = audit_title(connection, title_id)
            try:
                verify_title(store, title_id, connection)
            except IntegrityError as error:
                return tree, [str(error)]
            return tree, []
        return audit_checkpoint(connection, checkpoint or ""), []

"""What is still to be done for titles, found without doing any of it: the files that are missing decide."""

from __future__ import annotations

from collections.abc import Sequence

from mediafm.catalog.title import CatalogTitle
from mediafm.lineage.tables import TABLES
from mediafm.steps.history import StepHistory
from mediafm.steps.titles import is_unchanged
from mediafm.steps.workspace import Workspace
from mediafm.types import TitleState


def ingest_tables(workspace: Workspace) -> list[str]:
    """What a title has before a model reads it, as configured now, in the order of the graph."""
    return [name for name in TABLES if name != "titles" and name in workspace.producers]


def titles_to_ingest(workspace: Workspace, listed: Sequence[CatalogTitle]) -> list[str]:
    """The ids of titles whose file changed, or that lack a value and are not quarantined for it."""
    if workspace.is_forced:
        return [title.title_id for title in listed]
    ids = [title.title_id for title in listed]
    present = {title.title_id: title for title in workspace.titles(ids)}
    tables = ingest_tables(workspace)
    history = StepHistory.of(workspace.store, tables, ids)
    lacking = []
    for title in listed:
        before = present.get(title.title_id)
        if before is None or not is_unchanged(workspace, title, before):
            lacking.append(title.title_id)
        elif before.state is TitleState.OK:
            missing = before.missing(workspace.store, tables)
            is_set_aside = history.quarantine(missing) and not workspace.retries_quarantined
            unindexed = [
                table
                for table in tables
                if history.done(before.chain.identity(table)) is None and before.chain.identity(table) not in missing
            ]
            if (missing and not is_set_aside) or unindexed:
                lacking.append(title.title_id)
    return lacking

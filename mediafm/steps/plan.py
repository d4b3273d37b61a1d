"""What is still to be done for titles, found without doing any of it: the files that are missing decide."""

from __future__ import annotations

from collections.abc import Sequence

from mediafm.catalog.title import CatalogTitle
from mediafm.lineage.tables import TABLES
from mediafm.steps.history import StepHistory
from mediafm.steps.present import PresentTitle
from mediafm.steps.titles import is_unchanged
from mediafm.steps.workspace import Workspace
from mediafm.types import TitleState


def ingest_tables(workspace: Workspace) -> list[str]:
    """What a title has before a model reads it, as configured now, in the order of the graph."""
    return [name for name in TABLES if name != "titles" and name in workspace.producers]


def titles_to_ingest(workspace: Workspace, listed: Sequence[CatalogTitle], imported: Sequence[str] = ()) -> list[str]:
    """The ids of titles whose file changed, or that lack a value and are not quarantined for it.

    Args:
        imported: titles without media. No file of theirs can change, and no run can make again what was given: also a
            forced one takes up only those that lack something.
    """
    ids = [*(title.title_id for title in listed), *imported]
    present = {title.title_id: title for title in workspace.titles(ids)}
    tables = ingest_tables(workspace)
    history = StepHistory.of(workspace.store, tables, ids)
    changed = {
        title.title_id
        for title in listed
        if workspace.is_forced or not is_unchanged(workspace, title, present.get(title.title_id))
    }
    return [
        title_id
        for title_id in ids
        if title_id in changed or _lacks_something(workspace, present.get(title_id), history, tables)
    ]


def _lacks_something(
    workspace: Workspace, title: PresentTitle | None, history: StepHistory, tables: Sequence[str]
) -> bool:
    if title is None or title.state is not TitleState.OK:
        return False
    missing = title.missing(workspace.store, tables)
    is_set_aside = history.quarantine(missing) and not workspace.retries_quarantined
    identities = (title.chain.identity(table) for table in tables)
    is_unindexed = any(one not in missing and history.done(one) is None for one in identities)
    return bool(missing and not is_set_aside) or is_unindexed

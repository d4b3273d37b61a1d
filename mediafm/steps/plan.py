"""What is still to be done for titles, found without doing any of it: the files that are missing decide."""

from __future__ import annotations

from collections.abc import Sequence

from mediafm.catalog.title import CatalogTitle
from mediafm.encoders.given import IMPORTED
from mediafm.lineage.tables import TABLES
from mediafm.steps.history import StepHistory
from mediafm.steps.present import PresentTitle
from mediafm.steps.spaces import other_spaces
from mediafm.steps.titles import is_unchanged
from mediafm.steps.workspace import Workspace
from mediafm.types import Modality, TitleState

VECTORS = {f"{modality}_embeddings": modality for modality in Modality}
GIVEN_WITHOUT_MEDIA = ("spans", "frames", "words", "cues", *VECTORS)


def ingest_tables(workspace: Workspace) -> list[str]:
    """What a title has before a model reads it, as configured now, in the order of the graph."""
    return [name for name in TABLES if name != "titles" and name in workspace.producers]


def titles_to_ingest(workspace: Workspace, listed: Sequence[CatalogTitle], imported: Sequence[str] = ()) -> list[str]:
    """The ids of titles whose file changed, or that lack a value and are not quarantined for it.

    A value is one of the configured space, or of the space of a checkpoint in use that can be made here.

    Args:
        imported: titles without media. No file of theirs can change, and no run can make again what was given: also a
            forced one takes up only those that lack something.
    """
    ids = [*(title.title_id for title in listed), *imported]
    present = {title.title_id: title for title in workspace.titles(ids)}
    changed = {
        title.title_id
        for title in listed
        if workspace.is_forced or not is_unchanged(workspace, title, present.get(title.title_id))
    }
    lacking = set(_lacking(workspace, ids))
    for space in other_spaces(workspace):
        if space.workspace is not None:
            lacking |= set(_lacking(space.workspace, ids))
    return [title_id for title_id in ids if title_id in changed or title_id in lacking]


def _lacking(workspace: Workspace, title_ids: Sequence[str]) -> list[str]:
    tables = ingest_tables(workspace)
    history = StepHistory.of(workspace.store, tables, title_ids)
    return [
        title.title_id for title in workspace.titles(title_ids) if _lacks_something(workspace, title, history, tables)
    ]


def _lacks_something(workspace: Workspace, title: PresentTitle, history: StepHistory, tables: Sequence[str]) -> bool:
    if title.state is not TitleState.OK:
        return False
    missing = title.missing(workspace.store, tables)
    if not workspace.is_configured and any(_is_given(workspace, title, one.table) for one in missing):
        return False
    is_set_aside = history.quarantine(missing) and not workspace.retries_quarantined
    identities = (title.chain.identity(table) for table in tables)
    is_unindexed = any(one not in missing and history.done(one) is None for one in identities)
    return bool(missing and not is_set_aside) or is_unindexed


def _is_given(workspace: Workspace, title: PresentTitle, table: str) -> bool:
    """Whether no run makes the title's value: in the space of a checkpoint it is there, or the title waits for it."""
    if title.is_imported:
        return table in GIVEN_WITHOUT_MEDIA
    return table in VECTORS and workspace.profile.encoder(VECTORS[table]).name == IMPORTED

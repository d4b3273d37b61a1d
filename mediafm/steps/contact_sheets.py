"""Contact sheets: the shots of each title as one picture, drawn from the kept frames, under `<root>/cache`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mediafm.lineage.fingerprint import short
from mediafm.shots.contact_sheet import contact_sheet
from mediafm.steps.present import PresentTitle
from mediafm.steps.rows import frames_by_shot
from mediafm.steps.workspace import Workspace
from mediafm.store.store import check_title_id
from mediafm.types import TitleState

FOLDER = "contact_sheets"


def sheets_folder(workspace: Workspace) -> Path:
    """Where the sheets of the root lie."""
    return workspace.config.cache_path / FOLDER


def draw_contact_sheets(workspace: Workspace, titles: Sequence[PresentTitle]) -> dict[str, Path]:
    """Title -> its sheet, drawn if it is not there yet; titles that were not cut, or have no media, are left out."""
    folder = sheets_folder(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for title in titles:
        is_cut = title.state is TitleState.OK and not title.is_imported
        if is_cut and workspace.store.has(title.chain.identity("frames")):
            fingerprint = short(title.chain.identity("frames").fingerprint)
            file = folder / f"{check_title_id(title.title_id)}-{fingerprint}.jpg"
            if not file.exists():
                beside = file.with_suffix(".part")
                beside.write_bytes(_sheet(workspace, title))
                beside.replace(file)
            found[title.title_id] = file
    return found


def _sheet(workspace: Workspace, title: PresentTitle) -> bytes:
    """Each shot's middle frame, one row group of the store in memory at a time."""
    columns = ["shot_index", "time_seconds", "jpeg"]
    batches = workspace.store.read_batches(title.chain.identity("frames"), columns)
    return contact_sheet(
        [(shot, times[len(times) // 2], jpegs[len(jpegs) // 2]) for shot, times, jpegs in frames_by_shot(batches)]
    )

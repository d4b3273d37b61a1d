"""Coverage: in how many of its shots a title has each modality. What the embeddings show of themselves."""

from __future__ import annotations

from collections.abc import Sequence

from mediafm.steps.history import StepHistory
from mediafm.steps.present import PresentTitle
from mediafm.steps.workspace import Workspace
from mediafm.types import TitleState

MAX_ROWS = 20


def coverage_markdown(workspace: Workspace, table: str, titles: Sequence[PresentTitle]) -> str:
    """A table of the titles' coverage in their present values of `table`; the first `MAX_ROWS`, and the whole."""
    history = StepHistory.of(workspace.store, [table], [title.title_id for title in titles])
    found = [history.done(title.chain.identity(table)) for title in titles if title.state is TitleState.OK]
    rows = [row for row in found if row is not None]
    lines = ["| title | shots | present | coverage |", "| --- | --- | --- | --- |"]
    total_shots = total_present = 0
    for position, row in enumerate(rows):
        present = row.details.get("num_present", row.details.get("num_vectors"))
        present = int(str(present)) if present is not None else int(bool(row.details.get("is_present")))
        total_shots, total_present = total_shots + row.num_rows, total_present + present
        if position < MAX_ROWS:
            lines.append(f"| {row.title_id} | {row.num_rows} | {present} | {_share(present, row.num_rows)} |")
    if len(rows) > MAX_ROWS:
        lines.append(f"| and {len(rows) - MAX_ROWS} more | | | |")
    lines.append(f"| **all** | {total_shots} | {total_present} | {_share(total_present, total_shots)} |")
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else ""

"""Coverage: in how many of its shots a title has each modality. What the embeddings show of themselves."""

from __future__ import annotations

from collections.abc import Sequence

from mediafm.steps.workspace import Workspace
from mediafm.store.views import newest_rows

MAX_ROWS = 20


def coverage_markdown(workspace: Workspace, table: str, title_ids: Sequence[str]) -> str:
    """A table of the titles' coverage in `table`; the first `MAX_ROWS`, and the whole."""
    rows = newest_rows(workspace.store, table, title_ids)
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

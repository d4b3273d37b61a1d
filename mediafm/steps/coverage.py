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
    if table == "text_embeddings" and (num_transcribed := _num_transcribed(workspace, titles)):
        lines.append(f"\nThe text of {num_transcribed} of {len(rows)} titles is machine-made (asr), no captions.")
    return "\n".join(lines)


def transcripts_markdown(workspace: Workspace, titles: Sequence[PresentTitle]) -> str:
    """What was transcribed, title by title, with the mean confidence; that of the others, why not."""
    history = StepHistory.of(workspace.store, ["words"], [title.title_id for title in titles])
    found = [history.done(title.chain.identity("words")) for title in titles if title.state is TitleState.OK]
    rows = [row for row in found if row is not None]
    lines = ["| title | words | mean confidence | left out |", "| --- | --- | --- | --- |"]
    for row in rows[:MAX_ROWS]:
        confidence, reason = row.details.get("mean_confidence"), row.details.get("left_out", "")
        told = "" if confidence is None else f"{float(str(confidence)):.2f}"
        lines.append(f"| {row.title_id} | {row.num_rows} | {told} | {reason} |")
    if len(rows) > MAX_ROWS:
        lines.append(f"| and {len(rows) - MAX_ROWS} more | | | |")
    num_transcribed = sum(row.num_rows > 0 for row in rows)
    lines.append(f"\n{num_transcribed} of {len(rows)} titles have machine-made text, no captions.")
    return "\n".join(lines)


def _num_transcribed(workspace: Workspace, titles: Sequence[PresentTitle]) -> int:
    """Titles whose cues a transcriber wrote."""
    history = StepHistory.of(workspace.store, ["cues"], [title.title_id for title in titles])
    found = [history.done(title.chain.identity("cues")) for title in titles if title.state is TitleState.OK]
    return sum(bool(row.details.get("num_asr")) for row in found if row is not None)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else ""

"""The process that takes damaged titles in: `python -m benchmarks.fuzz_worker CATALOG ROOT`.

An ingest as `mediafm.steps.pipeline` does it, from the catalogue's scan to fused vectors, with the profile `lite` and
the decoding child's own limits. Standard output holds JSON lines: one for each piece of progress, and at the end one
for each title, with all that was stored of it and said about it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mediafm.catalog.scan import scan_catalog
from mediafm.config import Config
from mediafm.errors import MediaFMError
from mediafm.steps.outcome import StepReport
from mediafm.steps.pipeline import ingest
from mediafm.steps.present import PresentTitle
from mediafm.steps.rows import decode_jpeg
from mediafm.steps.workspace import Workspace
from mediafm.store.vectors import arrow_to_vectors
from mediafm.store.views import newest_rows

VECTORS = ("video_embeddings", "audio_embeddings", "text_embeddings", "fused_embeddings")
SAID = ("spans", "cues", "audio_embeddings")
"""Tables whose records say what was met on the way."""


class Told:
    """`mediafm.progress.Progress` as JSON lines."""

    def begin(self, what: str, total: int) -> None:
        self._step = what
        tell({"step": what})

    def advance(self, note: str = "") -> None:
        tell({"step": self._step, "title": note})

    def end(self) -> None:
        """The next step says that it begins."""


def tell(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main(arguments: Sequence[str]) -> None:
    """Takes the catalogue in and tells of every title."""
    catalog, root = arguments
    config = Config(root=root)
    with Workspace.open(config, progress=Told()) as workspace:
        titles = scan_catalog(catalog, config.limits).titles
        reports = ingest(workspace, titles)
        for title in workspace.titles([title.title_id for title in titles]):
            tell({"found": found(workspace, title, reports)})


def found(workspace: Workspace, title: PresentTitle, reports: Sequence[StepReport]) -> dict[str, Any]:
    """All that was stored of a title and said about it."""
    steps = [
        {"step": report.asset, "state": str(outcome.state), "reason": outcome.reason}
        for report in reports
        for outcome in report.outcomes
        if outcome.title_id == title.title_id
    ]
    facts: dict[str, Any] = {"title_id": title.title_id, "steps": steps, "said": _said(workspace, title)}
    if title.object_key:
        facts["info"] = workspace.media_info(title).as_json()
    for name, read in _READERS.items():
        if title.object_key and workspace.store.has(title.chain.identity(name)):
            try:
                facts[name] = read(workspace, title)
            except (MediaFMError, ValueError, TypeError) as error:
                facts.setdefault("unreadable", []).append(f"{name}: {type(error).__name__}: {error}")
    return facts


def _said(workspace: Workspace, title: PresentTitle) -> dict[str, Any]:
    """What the ledger says beyond states: notes, problems, cues outside."""
    said = {}
    for table in SAID:
        for record in newest_rows(workspace.store, table, [title.title_id]):
            said[table] = {
                name: record.details[name]
                for name in ("notes", "num_decode_errors", "problems", "num_cues_outside")
                if name in record.details
            }
    return said


def _spans(workspace: Workspace, title: PresentTitle) -> Any:
    return workspace.store.read(title.chain.identity("spans")).to_pydict()


def _frames(workspace: Workspace, title: PresentTitle) -> dict[str, Any]:
    table = workspace.store.read(title.chain.identity("frames"), ["shot_index", "time_seconds", "jpeg"])
    sizes = [decode_jpeg(jpeg).shape for jpeg in table.column("jpeg").to_pylist()]
    times = table.column("time_seconds").to_pylist()
    return {
        "shots": sorted(set(table.column("shot_index").to_pylist())),
        "are_sound": bool(np.isfinite(times).all()) and all(min(size) > 0 for size in sizes),
    }


def _cues(workspace: Workspace, title: PresentTitle) -> dict[str, Any]:
    table = workspace.store.read(title.chain.identity("cues"))
    return {"count": table.num_rows, "are_sound": all(text.strip() for text in table.column("text").to_pylist())}


def _vectors(name: str) -> Any:
    def read(workspace: Workspace, title: PresentTitle) -> dict[str, Any]:
        table = workspace.store.read(title.chain.identity(name))
        vectors, is_present = arrow_to_vectors(table.column("vector"))
        norms = np.linalg.norm(vectors[is_present], axis=1)
        return {
            "rows": table.num_rows,
            "present": int(is_present.sum()),
            "are_sound": bool(np.isfinite(vectors).all()) and bool((norms > 0).all()),
        }

    return read


_READERS = {"spans": _spans, "frames": _frames, "cues": _cues, **{name: _vectors(name) for name in VECTORS}}


if __name__ == "__main__":
    main(sys.argv[1:])

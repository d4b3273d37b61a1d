"""An evaluation at rest: under the fingerprint of all that it depends on, with its row in the ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mediafm.lineage.fingerprint import canonical_json, fingerprint
from mediafm.lineage.records import LedgerRecord
from mediafm.probes.report import ProbeReport
from mediafm.probes.report_text import short_markdown
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import folder_key, has_folder, put_folder, read_folder
from mediafm.types import Json

EVALUATIONS = "evaluations"
REPORT_FILE, CHART_FILE = "report.json", "probes.png"
ASSETS = {"candidate": "checkpoint_probes", "served": "probe_metrics", "asked": "probe"}
"""Kind of evaluation -> what the ledger calls its maker."""
SCORED = ("metadata", "fused", "contextual")
"""The feature sets that are shown at a glance."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured.

    kind: "candidate" (the asset checkpoint_probes), "served" (probe_metrics) or "asked" (`mediafm probe`).
    subject: the checkpoint's sha256. against: the one it was compared with, if any.
    neighbours: feature set -> share of shots whose nearest neighbour lies within ten shots.
    probes: the probe report, or None without labels.
    gate: candidate against champion on test groups, as `GateHearing.as_json`; None where nothing was compared.
    markdown: for people.
    """

    kind: str
    subject: str
    against: str | None
    neighbours: Mapping[str, Mapping[str, Any]]
    probes: Mapping[str, Any] | None
    gate: Mapping[str, Any] | None
    markdown: str
    num_titles: int
    was_made: bool

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    @property
    def bought(self) -> list[str]:
        """What context bought, a sentence for each task and measure: of the vectors as they are, by themselves."""
        rows = self.probes["context_bought"] if self.probes else ()
        subject = rows[0]["subject"] if rows else ""
        return [row["sentence"] for row in rows if row["pca_width"] is None and row["subject"] == subject]

    @property
    def scores(self) -> str:
        """Markdown: each task by chance, metadata, fused and contextual vectors; "" without labels."""
        return short_markdown(ProbeReport.from_json(self.probes), SCORED) if self.probes else ""

    def files(self, pictures: Mapping[str, bytes]) -> dict[str, bytes]:
        """The report for people and for programs, and its pictures, by file name."""
        report = {"probes.md": self.markdown.encode(), REPORT_FILE: canonical_json(self.as_json()).encode()}
        return report | {f"{name}.png": png for name, png in pictures.items()}

    def metrics(self) -> dict[str, float]:
        """The numbers by flat name, as MLflow takes them."""
        found = {
            f"neighbours/{_flat(name)}": report["share"]
            for name, report in self.neighbours.items()
            if report["share"] is not None
        }
        for row in self.probes["rows"] if self.probes else ():
            width = "" if row["pca_width"] is None else "/pca"
            found[f"probes/{_flat(row['task'])}/{_flat(row['measure'])}/{_flat(row['features'])}{width}"] = row["value"]
        return found


@dataclass(frozen=True, kw_only=True)
class Question:
    """All that an evaluation depends on, as JSON."""

    facts: Mapping[str, Json]

    @property
    def fingerprint(self) -> str:
        return fingerprint(dict(self.facts))

    @property
    def folder(self) -> str:
        """Where the answer stands."""
        return folder_key(EVALUATIONS, self.fingerprint)


Measured = tuple[Evaluation, dict[str, bytes]]
"""An evaluation and its pictures (name -> PNG)."""


def stored_evaluation(workspace: Workspace, question: Question) -> Measured | None:
    """The answer that was given before; None if there is none, or if the run is forced."""
    if workspace.is_forced or not has_folder(workspace.store, question.folder):
        return None
    files = read_folder(workspace.store, question.folder)
    stored: dict[str, Any] = json.loads(files[REPORT_FILE])
    return Evaluation(**{**stored, "was_made": False}), _pictures(files)


def put_evaluation(
    workspace: Workspace, question: Question, evaluation: Evaluation, chart_png: bytes | None
) -> Measured:
    """Stores an answer and records it."""
    files = {REPORT_FILE: canonical_json(evaluation.as_json()).encode()}
    if chart_png is not None:
        files[CHART_FILE] = chart_png
    put_folder(workspace.store, question.folder, files)
    workspace.ledger.add(
        LedgerRecord(
            asset=ASSETS[evaluation.kind],
            table="evaluations",
            fingerprint=question.fingerprint,
            inputs={"checkpoint": evaluation.subject, "labels": str(question.facts["labels"] or "")},
            object_key=question.folder,
            sha256=question.fingerprint,
            size_bytes=sum(map(len, files.values())),
            checkpoint_sha256=evaluation.subject,
            is_forced=workspace.is_forced,
            details={"kind": evaluation.kind, "test_set": evaluation.gate["test_set"] if evaluation.gate else None},
        )
    )
    return evaluation, _pictures(files)


def _pictures(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {"probes": files[CHART_FILE]} if CHART_FILE in files else {}


def _flat(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_")

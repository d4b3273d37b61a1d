"""What a checkpoint is worth: skill, neighbours and probes, against the vectors that need no model.

A report is stored under the fingerprint of all that it depends on, so that the same question is answered once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mediafm.data.manifest import TrainingManifest
from mediafm.data.split import Split
from mediafm.embedder import Embedder
from mediafm.lineage.fingerprint import canonical_json, fingerprint
from mediafm.lineage.records import LedgerRecord
from mediafm.probes.chart import probe_chart
from mediafm.probes.labels import Labels, read_labels
from mediafm.probes.neighbours import NeighbourReport, neighbour_share
from mediafm.probes.report import ProbeReport
from mediafm.probes.run import run_probes
from mediafm.steps.catalogs import usable_labels
from mediafm.steps.checkpoints import load_checkpoint
from mediafm.steps.contextual import champion_sha256, space_producers
from mediafm.steps.device import resolve_device
from mediafm.steps.features import (
    FeatureSource,
    contextual_features,
    stored_features,
    title_shots,
    unimodal_tables,
)
from mediafm.steps.present import PresentTitle
from mediafm.steps.training import load_manifest
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import folder_key, has_folder, put_folder, read_folder
from mediafm.store.views import records
from mediafm.types import Json, TitleState

EVALUATIONS = "evaluations"
EVALUATION_STEP_VERSION = 1
REPORT_FILE, CHART_FILE = "report.json", "probes.png"
CANDIDATE, CHAMPION_FEATURES, SERVED = "contextual (candidate)", "contextual (champion)", "contextual"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured.

    subject: the checkpoint's sha256.
    neighbours: feature set -> share of shots whose nearest neighbour lies within ten shots.
    probes: the probe report, or None without labels.
    markdown: both as text.
    """

    subject: str
    against: str | None
    neighbours: Mapping[str, Mapping[str, Any]]
    probes: Mapping[str, Any] | None
    markdown: str
    num_titles: int
    was_made: bool

    def as_json(self) -> dict[str, Json]:
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """The numbers by flat name, as MLflow takes them."""
        found = {
            f"neighbours/{_flat(name)}": report["share"]
            for name, report in self.neighbours.items()
            if report["share"] is not None
        }
        for row in self.probes["rows"] if self.probes else ():
            found[f"probes/{_flat(row['task'])}/{_flat(row['measure'])}/{_flat(row['features'])}"] = row["value"]
        return found


Measured = tuple[Evaluation, dict[str, bytes]]
"""An evaluation and its pictures (name -> PNG)."""


def root_labels(workspace: Workspace) -> Labels | None:
    """All labels that the root was given; None without any.

    A file that is gone or broken as a whole is a problem of the labels, not an error: the others count.
    """
    usable, problems = usable_labels(workspace)
    if not usable and not problems:
        return None
    found = read_labels(usable)
    return replace(found, problems=(*problems, *found.problems))


def evaluate_candidate(workspace: Workspace, candidate_sha256: str) -> Measured:
    """The candidate (and the champion, if another) on the manifest's titles, without [GLOBAL]'s metadata."""
    champion = champion_sha256(workspace)
    against = champion if champion != candidate_sha256 else None
    embedders = {CANDIDATE: _embedder(workspace, candidate_sha256)}
    if against:
        embedders[CHAMPION_FEATURES] = _embedder(workspace, against)
    space = embedders[CANDIDATE].checkpoint.space_id
    manifest = load_manifest(workspace, embedders[CANDIDATE].checkpoint.manifest_sha256)
    titles = _titles_with_fused(
        workspace,
        [planned.title.title_id for planned in manifest.titles],
        space_producers(workspace.store, candidate_sha256),
    )
    features = _unimodal(workspace, titles)
    compared = [(CANDIDATE, "fused")]
    for name, embedder in embedders.items():
        if embedder.checkpoint.space_id == space:
            features[name] = contextual_features(workspace, titles, embedder)
            compared += [(CANDIDATE, name)] if name != CANDIDATE else []
    kind: dict[str, Json] = {"kind": "candidate", "subject": candidate_sha256, "against": against}
    question = _question(workspace, kind, titles, "fused_embeddings")
    return _measured(workspace, question, features, titles, compared, {CANDIDATE: _seen(manifest)})


def evaluate_served(workspace: Workspace, checkpoint_sha256: str, title_ids: Sequence[str]) -> Measured:
    """The served contextual vectors, with [GLOBAL] as readers get them, against the vectors that they were made of."""
    checkpoint = load_checkpoint(workspace, checkpoint_sha256)
    manifest = load_manifest(workspace, checkpoint.manifest_sha256)
    titles = _titles_with_fused(workspace, title_ids, space_producers(workspace.store, checkpoint_sha256))
    features = _unimodal(workspace, titles)
    features[SERVED] = stored_features(workspace, titles, "contextual_embeddings")
    question = _question(workspace, _served_question(checkpoint_sha256), titles, "contextual_embeddings")
    return _measured(workspace, question, features, titles, [(SERVED, "fused")], {SERVED: _seen(manifest)})


def is_served_measured(workspace: Workspace, checkpoint_sha256: str, title_ids: Sequence[str]) -> bool:
    """Whether `evaluate_served` has an answer for these titles already."""
    titles = _titles_with_fused(workspace, title_ids, space_producers(workspace.store, checkpoint_sha256))
    question = _question(workspace, _served_question(checkpoint_sha256), titles, "contextual_embeddings")
    return has_folder(workspace.store, _folder(question))


def _served_question(checkpoint_sha256: str) -> dict[str, Json]:
    return {"kind": "served", "subject": checkpoint_sha256, "against": None}


def _question(
    workspace: Workspace, kind: Mapping[str, Json], titles: Sequence[PresentTitle], table: str
) -> dict[str, Json]:
    """All that a report depends on; `table` is the last one that it reads, whose fingerprints cover the others."""
    labels = root_labels(workspace)
    return {
        **kind,
        "labels": labels.sha256 if labels else None,
        "probes": workspace.config.probes.model_dump(mode="json"),
        "titles": {title.title_id: title.chain.identity(table).fingerprint for title in titles},
        "groups": {title.title_id: title.group_id for title in titles},
        "step_version": EVALUATION_STEP_VERSION,
    }


def _folder(question: Mapping[str, Json]) -> str:
    return folder_key(EVALUATIONS, fingerprint(dict(question)))


def _seen(manifest: TrainingManifest) -> set[str]:
    return {planned.group_id for planned, _ in manifest.parts(Split.TRAIN)}


def _measured(
    workspace: Workspace,
    question: Mapping[str, Json],
    features: Mapping[str, FeatureSource],
    titles: Sequence[PresentTitle],
    compared: Sequence[tuple[str, str]],
    seen: Mapping[str, set[str]],
) -> Measured:
    """The report on these feature sets and its pictures: from the store if made before, else measured and stored."""
    folder = _folder(question)
    if has_folder(workspace.store, folder) and not workspace.is_forced:
        files = read_folder(workspace.store, folder)
        stored: dict[str, Any] = json.loads(files[REPORT_FILE])
        return Evaluation(**{**stored, "was_made": False}), _pictures(files)
    labels = root_labels(workspace)
    workspace.progress.begin("evaluation", 0)
    try:
        neighbours = {name: neighbour_share(source()) for name, source in features.items()}
        probes = None
        if labels is not None:
            shots = title_shots(workspace, titles)
            settings, tell = workspace.config.probes, workspace.progress.advance
            probes = run_probes(labels, shots, features, settings, compared, seen, progress=tell)
    finally:
        workspace.progress.end()
    evaluation = Evaluation(
        subject=str(question["subject"]),
        against=str(question["against"]) if question["against"] else None,
        neighbours={name: report.as_json() for name, report in neighbours.items()},
        probes=probes.as_json() if probes else None,
        markdown=_markdown(neighbours, probes),
        num_titles=len(titles),
        was_made=True,
    )
    files = {REPORT_FILE: canonical_json(evaluation.as_json()).encode()}
    if probes is not None and probes.rows:
        files[CHART_FILE] = probe_chart(probes)
    _store(workspace, folder, question, evaluation, files)
    return evaluation, _pictures(files)


def _pictures(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {"probes": files[CHART_FILE]} if CHART_FILE in files else {}


def _store(
    workspace: Workspace,
    folder: str,
    question: Mapping[str, Json],
    evaluation: Evaluation,
    files: Mapping[str, bytes],
) -> None:
    put_folder(workspace.store, folder, files)
    workspace.ledger.add(
        LedgerRecord(
            asset="checkpoint_probes" if question["kind"] == "candidate" else "probe_metrics",
            table="evaluations",
            fingerprint=fingerprint(dict(question)),
            inputs={"checkpoint": evaluation.subject, "labels": str(question["labels"] or "")},
            object_key=folder,
            sha256=fingerprint(dict(question)),
            size_bytes=sum(map(len, files.values())),
            checkpoint_sha256=evaluation.subject,
            is_forced=workspace.is_forced,
        )
    )


def _flat(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_")


def _titles_with_fused(
    workspace: Workspace, title_ids: Sequence[str], producers: Mapping[str, dict[str, Json]]
) -> list[PresentTitle]:
    done = {
        (row.title_id, row.fingerprint)
        for row in records(workspace.store, ["fused_embeddings"])
        if row.state is TitleState.OK
    }
    return [
        title
        for title in workspace.titles(title_ids, producers)
        if title.state is TitleState.OK
        and (title.title_id, title.chain.identity("fused_embeddings").fingerprint) in done
    ]


def _unimodal(workspace: Workspace, titles: Sequence[PresentTitle]) -> dict[str, FeatureSource]:
    return {name: stored_features(workspace, titles, table) for name, table in unimodal_tables().items()}


def _embedder(workspace: Workspace, sha256: str) -> Embedder:
    device = resolve_device(workspace.config.device, workspace.gpu_memory_fraction)
    return Embedder(load_checkpoint(workspace, sha256), device)


def _markdown(neighbours: Mapping[str, NeighbourReport], probes: ProbeReport | None) -> str:
    lines = [
        "**Shots whose nearest neighbour (adjacent ones left out) lies within ten shots**",
        "",
        "| vectors | share | 95 % | chance | titles | shots |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, report in neighbours.items():
        if report.share is None or report.chance is None:
            lines.append(f"| {name} | no title is long enough | | | 0 | 0 |")
            continue
        ends = "" if report.low is None else f"{report.low:.3f} to {report.high:.3f}"
        lines.append(
            f"| {name} | {report.share:.3f} | {ends} | {report.chance:.3f} | {report.num_titles} | {report.num_shots} |"
        )
    if probes is not None:
        lines += ["", "**Linear probes**", "", probes.as_markdown()]
    return "\n".join(lines)

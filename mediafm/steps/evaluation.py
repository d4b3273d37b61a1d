"""What a checkpoint is worth: neighbours and probes, beside the vectors that need no model and beside the champion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mediafm.probes.chart import probe_chart
from mediafm.probes.clips import find_clips
from mediafm.probes.labels import Labels, read_labels
from mediafm.probes.neighbours import NeighbourReport, neighbour_share
from mediafm.probes.report import ProbeReport
from mediafm.probes.run import run_probes
from mediafm.steps.catalogs import usable_labels
from mediafm.steps.checkpoints import load_checkpoint
from mediafm.steps.compared import Compared, compare_checkpoint, compare_served, embedder_of, neighbour_sources
from mediafm.steps.contextual import champion_sha256, space_producers
from mediafm.steps.device import resolve_device
from mediafm.steps.evaluation_report import Evaluation, Measured, Question, put_evaluation, stored_evaluation
from mediafm.steps.features import (
    FeatureSource,
    contextual_features,
    groups_by_title,
    stored_features,
    title_shots,
)
from mediafm.steps.gate import gate_rules
from mediafm.steps.gate_tasks import Contender, GateHearing, hear
from mediafm.steps.present import PresentTitle
from mediafm.steps.producers import Producer
from mediafm.steps.training import load_manifest
from mediafm.steps.workspace import Workspace
from mediafm.store.folders import has_folder
from mediafm.store.views import records
from mediafm.train.checkpoint import Checkpoint
from mediafm.types import Json, TitleState

EVALUATION_STEP_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What an evaluation looks at. contextual: whose neighbours are counted beside those of stored vectors."""

    compared: Compared
    contextual: FeatureSource
    hearing: GateHearing | None = None


def root_labels(workspace: Workspace) -> Labels | None:
    """All labels that the root was given; None without any.

    A file that is gone or broken as a whole is a problem of the labels, not an error: the others count.
    """
    usable, problems = usable_labels(workspace)
    if not usable and not problems:
        return None
    found = read_labels(usable, workspace.config.probes)
    return replace(found, problems=(*problems, *found.problems))


def evaluate_candidate(workspace: Workspace, candidate_sha256: str) -> Measured:
    """The candidate on its manifest's titles, beside everything, and against the champion as the gate wants it."""
    champion = champion_sha256(workspace)
    against = champion if champion != candidate_sha256 else None
    manifest = load_manifest(workspace, load_checkpoint(workspace, candidate_sha256).manifest_sha256)
    title_ids = [planned.title.title_id for planned in manifest.titles]
    return _evaluate(workspace, "candidate", candidate_sha256, against, title_ids, root_labels(workspace))


def evaluate_labels(
    workspace: Workspace, labels: Labels, checkpoint_sha256: str, against: str | None = None
) -> Measured:
    """Any checkpoint on any labels, over every title that has vectors in its space.

    Args:
        against: another checkpoint to compare it with; the gate is not asked.
    """
    title_ids = [title.title_id for title in workspace.all_titles()]
    return _evaluate(workspace, "asked", checkpoint_sha256, against, title_ids, labels)


def evaluate_served(workspace: Workspace, checkpoint_sha256: str, title_ids: Sequence[str]) -> Measured:
    """The served contextual vectors, with [GLOBAL] as readers get them, against the vectors that they were made of."""
    titles, labels, question = _served(workspace, checkpoint_sha256, title_ids)

    def answer() -> _Answer:
        manifest = load_manifest(workspace, load_checkpoint(workspace, checkpoint_sha256).manifest_sha256)
        contextual = stored_features(workspace, titles, "contextual_embeddings")
        return _Answer(compared=compare_served(workspace, titles, manifest), contextual=contextual)

    return _answered(workspace, question, titles, labels, answer)


def is_served_measured(workspace: Workspace, checkpoint_sha256: str, title_ids: Sequence[str]) -> bool:
    """Whether `evaluate_served` has an answer for these titles already."""
    return has_folder(workspace.store, _served(workspace, checkpoint_sha256, title_ids)[2].folder)


def _served(
    workspace: Workspace, checkpoint_sha256: str, title_ids: Sequence[str]
) -> tuple[list[PresentTitle], Labels | None, Question]:
    titles = titles_with_fused(workspace, title_ids, space_producers(workspace.store, checkpoint_sha256))
    labels = root_labels(workspace)
    kind: dict[str, Json] = {"kind": "served", "subject": checkpoint_sha256, "against": None}
    return titles, labels, _question(workspace, kind, titles, "contextual_embeddings", labels)


def _evaluate(
    workspace: Workspace, kind: str, sha256: str, against: str | None, title_ids: Sequence[str], labels: Labels | None
) -> Measured:
    titles = titles_with_fused(workspace, title_ids, space_producers(workspace.store, sha256))
    others: list[PresentTitle] = []
    if against is not None:
        others = titles_with_fused(workspace, title_ids, space_producers(workspace.store, against))
        common = {title.title_id for title in titles} & {title.title_id for title in others}
        others = [title for title in others if title.title_id in common]
    facts: dict[str, Json] = {"kind": kind, "subject": sha256, "against": against}
    if kind == "candidate":
        facts["gate"] = gate_rules(workspace).as_json()
    question = _question(workspace, facts, titles, "fused_embeddings", labels)

    def answer() -> _Answer:
        checkpoint = load_checkpoint(workspace, sha256)
        rival = (load_checkpoint(workspace, against), others) if against is not None else None
        contextual = contextual_features(workspace, titles, embedder_of(workspace, checkpoint), with_metadata=True)
        hearing = None
        if kind == "candidate" and rival is not None and labels is not None:
            hearing = _hearing(workspace, labels, (checkpoint, titles), rival)
        compared = compare_checkpoint(workspace, titles, checkpoint, rival)
        return _Answer(compared=compared, contextual=contextual, hearing=hearing)

    return _answered(workspace, question, titles, labels, answer)


def _hearing(
    workspace: Workspace,
    labels: Labels,
    candidate: tuple[Checkpoint, Sequence[PresentTitle]],
    champion: tuple[Checkpoint, Sequence[PresentTitle]],
) -> GateHearing:
    """Both on the titles that both spaces have: a title that only one has would be a clip without a vector."""
    common = {title.title_id for title in champion[1]}
    contenders = [
        Contender(
            checkpoint=checkpoint,
            manifest=load_manifest(workspace, checkpoint.manifest_sha256),
            titles=[title for title in titles if title.title_id in common],
        )
        for checkpoint, titles in (candidate, champion)
    ]
    by_title = {shots.title_id: shots for shots in title_shots(workspace, contenders[0].titles)}
    clips = [find_clips(label_set, by_title, workspace.config.probes) for label_set in labels.sets]
    return hear(workspace, labels, clips, contenders[0], contenders[1], gate_rules(workspace))


def _question(
    workspace: Workspace,
    kind: Mapping[str, Json],
    titles: Sequence[PresentTitle],
    table: str,
    labels: Labels | None,
) -> Question:
    """All that a report depends on; `table` is the last one that it reads, whose fingerprints cover the others."""
    return Question(
        facts={
            **kind,
            "labels": labels.sha256 if labels else None,
            "probes": workspace.config.probes.model_dump(mode="json"),
            "titles": {title.title_id: title.chain.identity(table).fingerprint for title in titles},
            "groups": groups_by_title(titles),
            "step_version": EVALUATION_STEP_VERSION,
        }
    )


def _answered(
    workspace: Workspace,
    question: Question,
    titles: Sequence[PresentTitle],
    labels: Labels | None,
    answer: Callable[[], _Answer],
) -> Measured:
    """The report and its pictures: from the store if it was made before, else measured and stored."""
    known = stored_evaluation(workspace, question)
    if known is not None:
        return known
    workspace.progress.begin("evaluation", 0)
    try:
        found = answer()
        sources = neighbour_sources(workspace, titles, found.contextual)
        neighbours = {name: neighbour_share(source()) for name, source in sources.items()}
        probes = None if labels is None else _probes(workspace, labels, titles, found.compared)
    finally:
        workspace.progress.end()
    against = question.facts["against"]
    evaluation = Evaluation(
        kind=str(question.facts["kind"]),
        subject=str(question.facts["subject"]),
        against=str(against) if against else None,
        neighbours={name: report.as_json() for name, report in neighbours.items()},
        probes=probes.as_json() if probes else None,
        gate=found.hearing.as_json() if found.hearing else None,
        markdown=_markdown(neighbours, probes, found.compared.notes),
        num_titles=len(titles),
        was_made=True,
    )
    chart = probe_chart(probes) if probes is not None and probes.rows else None
    return put_evaluation(workspace, question, evaluation, chart)


def _probes(workspace: Workspace, labels: Labels, titles: Sequence[PresentTitle], compared: Compared) -> ProbeReport:
    device = resolve_device(workspace.config.device, workspace.gpu_memory_fraction)
    return run_probes(
        labels,
        title_shots(workspace, titles),
        compared.feature_sets,
        workspace.config.probes,
        compared.pairs,
        compared.seen_groups,
        workspace.progress.advance,
        subjects=compared.subjects,
        torch_device=None if device == "cpu" else device,
    )


def titles_with_fused(
    workspace: Workspace, title_ids: Sequence[str], producers: Mapping[str, Producer]
) -> list[PresentTitle]:
    """Those of the titles that are ok and have fused vectors of these producers."""
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


def _markdown(neighbours: Mapping[str, NeighbourReport], probes: ProbeReport | None, notes: Sequence[str]) -> str:
    lines = [] if probes is None else ["**Linear probes**", "", probes.as_markdown(), ""]
    lines += [
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
    return "\n".join([*lines, *(f"- {note}" for note in notes)])

"""Titles in context by every checkpoint in use; what a checkpoint cannot have here waits, and says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mediafm.lineage.records import LedgerRecord
from mediafm.steps.contextual import ContextualStep, champion_sha256, checkpoints_in_use, space_producers
from mediafm.steps.history import StepHistory
from mediafm.steps.outcome import StepReport, TitleOutcome
from mediafm.steps.present import PresentTitle
from mediafm.steps.runner import run_step
from mediafm.steps.serving import embedded_titles
from mediafm.steps.spaces import CheckpointSpace, other_spaces
from mediafm.steps.workspace import Workspace
from mediafm.types import TitleState


@dataclass(frozen=True, kw_only=True)
class InContext:
    """Titles in context, by each checkpoint in use.

    report: each title in the worse of its outcomes.
    checkpoint_sha256: the champion; None before there is one.
    by_checkpoint: sha256 -> its report; the champion first, then what readers get while a roll-out is under way.
    """

    report: StepReport
    checkpoint_sha256: str | None
    by_checkpoint: Mapping[str, StepReport] = field(default_factory=dict)

    def markdown(self) -> str:
        """A line for each checkpoint."""
        lines = []
        for number, (sha256, report) in enumerate(self.by_checkpoint.items()):
            role = "what readers get until the roll-out is done" if number else "the champion"
            states = ", ".join(f"{count} {state}" for state, count in report.counts().items())
            lines.append(f"- {sha256[:16]}, {role}: {report.num_made} titles made; {states}")
        return "\n".join(lines)


def embed_in_context(workspace: Workspace, title_ids: Sequence[str]) -> InContext:
    """Embeds the titles with every checkpoint in use; without one they wait.

    While a roll-out is under way a new title gets vectors by both: readers of the old checkpoint have it at once, and
    the move to the new one is not held up by it. A title that a checkpoint cannot have, because its space cannot be
    made here, waits; the ledger keeps why, once.
    """
    in_use = checkpoints_in_use(workspace)
    if not in_use:
        reason = "there is no champion yet: materialise training_manifest, mediafm_checkpoint and champion"
        waiting = [TitleOutcome(title_id=one, state=TitleState.WAITING, reason=reason) for one in title_ids]
        return InContext(report=StepReport(ContextualStep.asset, tuple(waiting)), checkpoint_sha256=None)
    unmade = _unmade(workspace)
    reports = {sha256: _embedded_by(workspace, sha256, title_ids, unmade.get(sha256)) for sha256 in in_use}
    return InContext(
        report=_worst(list(reports.items())),
        checkpoint_sha256=champion_sha256(workspace),
        by_checkpoint=reports,
    )


def titles_to_embed(workspace: Workspace) -> list[str]:
    """The ids of titles that a checkpoint in use has yet to embed; of both while a roll-out is under way.

    Titles that a checkpoint cannot have are among them until the ledger says why.
    """
    wanted: dict[str, None] = {}
    unmade = _unmade(workspace)
    for sha256 in checkpoints_in_use(workspace):
        wanted |= dict.fromkeys(embedded_titles(workspace, sha256)[1])
        if sha256 in unmade:
            titles = workspace.all_titles(space_producers(workspace.store, sha256))
            history = StepHistory.of(workspace.store, ContextualStep.tables)
            unsaid = [one for one in titles if _is_unsaid(workspace, one, unmade[sha256].reason, history)]
            wanted |= dict.fromkeys(one.title_id for one in unsaid)
    return list(wanted)


def _unmade(workspace: Workspace) -> dict[str, CheckpointSpace]:
    """The checkpoints in use whose space cannot be made here."""
    return {sha256: space for space in other_spaces(workspace) if not space.workspace for sha256 in space.checkpoints}


def _embedded_by(
    workspace: Workspace, sha256: str, title_ids: Sequence[str], unmade: CheckpointSpace | None
) -> StepReport:
    titles = workspace.titles(title_ids, space_producers(workspace.store, sha256))
    report = run_step(workspace, ContextualStep(workspace, sha256), titles)
    remedy = unmade.reason if unmade else f"checkpoint {sha256[:16]} reads them: `mediafm run` makes them"
    outcomes = [
        replace(one, reason=f"{one.title_id} {one.reason}; {remedy}") if one.state is TitleState.WAITING else one
        for one in report.outcomes
    ]
    if unmade:
        _say_once(workspace, titles, unmade.reason)
    return StepReport(report.asset, tuple(outcomes))


def _say_once(workspace: Workspace, titles: Sequence[PresentTitle], reason: str) -> None:
    history = StepHistory.of(workspace.store, ContextualStep.tables, [title.title_id for title in titles])
    for title in titles:
        if _is_unsaid(workspace, title, reason, history):
            identity = title.chain.identity(ContextualStep.asset)
            record = LedgerRecord.of(
                identity,
                state=TitleState.WAITING,
                reason=reason,
                generation=history.next_generation(identity),
                media_sha256=title.media_sha256,
            )
            workspace.ledger.add(replace(record, inputs={}))  # its inputs were never made: it speaks of any


def _is_unsaid(workspace: Workspace, title: PresentTitle, reason: str, history: StepHistory) -> bool:
    """Whether a title lacks what the checkpoint reads, and the ledger does not say yet that it waits for this."""
    if title.state is not TitleState.OK or not title.missing(workspace.store, ["fused_embeddings"]):
        return False
    newest = history.newest(title.chain.identity(ContextualStep.asset))
    return newest is None or (newest.state, newest.reason) != (TitleState.WAITING, reason)


_WORST_FIRST = (TitleState.FAILED, TitleState.QUARANTINED, TitleState.WAITING)


def _worst(reports: Sequence[tuple[str, StepReport]]) -> StepReport:
    """One report of several checkpoints': what one of them could not do is not hidden behind what another did."""
    outcomes = []
    for of_title in zip(*(report.outcomes for _, report in reports), strict=True):
        worst = min(of_title, key=lambda one: _WORST_FIRST.index(one.state) if one.state in _WORST_FIRST else 3)
        sha256 = reports[of_title.index(worst)][0]
        by = f"; by checkpoint {sha256[:16]}" if worst.reason and len(of_title) > 1 else ""
        outcomes.append(
            replace(
                worst,
                reason=worst.reason + by,
                was_made=any(one.was_made for one in of_title),
                seconds=sum(one.seconds for one in of_title),
            )
        )
    return StepReport(reports[0][1].asset, tuple(outcomes))

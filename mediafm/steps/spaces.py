"""The spaces in use: the configured one, and those of the checkpoints that titles are embedded by.

While the configured space differs from that of the champion or of what readers get, ingest makes both: new titles are
served during a change of encoders, and contextual vectors wait for no gate. What is the same in two spaces has one
identity, and is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mediafm.errors import ConfigError
from mediafm.lineage.fingerprint import fingerprint, short
from mediafm.steps.checkpoints import checkpoint_record
from mediafm.steps.contextual import checkpoints_in_use
from mediafm.steps.outcome import StepReport, TitleOutcome
from mediafm.steps.producers import Producer
from mediafm.steps.runner import run_step
from mediafm.steps.space_settings import MODEL_INPUTS, agree, workspace_of
from mediafm.steps.step import TitleStep
from mediafm.steps.workspace import Workspace
from mediafm.types import TitleState

MakeSteps = Callable[[Workspace], Sequence[TitleStep]]
"""The steps of one stage of the graph in a workspace, in order."""


@dataclass(frozen=True, kw_only=True)
class CheckpointSpace:
    """The space of checkpoints in use, where it is not the configured one.

    checkpoints: sha256 of those that read it.
    producers: what makes its tables, as the checkpoints recorded it.
    workspace: in which it is made; None if it cannot be made here.
    reason: why not, with what to do; "" if it can.
    """

    checkpoints: tuple[str, ...]
    producers: Mapping[str, Producer]
    workspace: Workspace | None
    reason: str = ""

    @property
    def name(self) -> str:
        """The space and who reads it, for people."""
        fused = short(fingerprint(self.producers["fused_embeddings"]))
        return f"space {fused} of checkpoint {', '.join(one[:16] for one in self.checkpoints)}"


@dataclass(frozen=True, kw_only=True)
class SpacesReport:
    """A stage over titles in all spaces in use.

    report: of the configured space; a title that failed in another one is failed here too, so that a next run pays for
        what is missing of it.
    elsewhere: what was done in each further space that does not share the stage's values.
    unmade: spaces that cannot be made, and why.
    """

    report: StepReport
    elsewhere: tuple[tuple[CheckpointSpace, StepReport], ...] = ()
    unmade: tuple[CheckpointSpace, ...] = ()

    def markdown(self) -> str:
        """A line for each further space; "" if there is none."""
        lines = [
            f"- {space.name}: {report.num_made} of {len(report.outcomes)} titles made; "
            + ", ".join(f"{count} {state}" for state, count in report.counts().items())
            for space, report in self.elsewhere
        ]
        lines += [f"- {space.name}: {space.reason}" for space in self.unmade]
        return "\n".join(lines)


def other_spaces(workspace: Workspace) -> list[CheckpointSpace]:
    """The spaces of the champion and of the serving checkpoint that differ from the configured one, each once."""
    found: dict[str, CheckpointSpace] = {}
    for sha256 in checkpoints_in_use(workspace):
        record = checkpoint_record(workspace.store, sha256)
        producers: Mapping[str, Producer] = record.details["producers"]  # type: ignore[assignment]
        if all(agree(table, producers, workspace.producers) for table in MODEL_INPUTS):
            continue
        key = fingerprint(dict(producers))
        if key in found:
            found[key] = replace(found[key], checkpoints=(*found[key].checkpoints, sha256))
            continue
        try:
            made, reason = workspace_of(workspace, record), ""
        except ConfigError as error:
            made, reason = None, str(error)
        found[key] = CheckpointSpace(checkpoints=(sha256,), producers=producers, workspace=made, reason=reason)
    return list(found.values())


def run_in_spaces(
    workspace: Workspace, steps: MakeSteps, title_ids: Sequence[str], elsewhere: MakeSteps | None = None
) -> SpacesReport:
    """One stage of the graph for titles, in the configured space and in every other one in use.

    Args:
        elsewhere: the steps of the other spaces, where they are more than the stage's own.
    """
    reports = _run(workspace, steps, title_ids)
    further: list[tuple[CheckpointSpace, StepReport]] = []
    unmade = []
    for space in other_spaces(workspace):
        if space.workspace is None:
            unmade.append(space)
            continue
        made = _run(space.workspace, elsewhere or steps, title_ids, besides=workspace)
        further.extend((space, report) for report in made)
    return SpacesReport(report=_with_faults(reports[-1], further), elsewhere=tuple(further), unmade=tuple(unmade))


def _run(
    workspace: Workspace, steps: MakeSteps, title_ids: Sequence[str], besides: Workspace | None = None
) -> list[StepReport]:
    """The reports of the steps; those whose values `besides` makes too are left out."""
    reports = []
    for step in steps(workspace):
        tables = [table for table in step.tables if table in workspace.producers]
        if besides is None or not all(agree(table, workspace.producers, besides.producers) for table in tables):
            workspace.ledger.flush()
            reports.append(run_step(workspace, step, workspace.titles(title_ids)))
    return reports


def _with_faults(first: StepReport, others: Sequence[tuple[CheckpointSpace, StepReport]]) -> StepReport:
    by_title: dict[str, TitleOutcome] = {one.title_id: one for one in first.outcomes}
    for space, report in others:
        for other in report.outcomes:
            own = by_title[other.title_id]
            tokens = [each for each in (own.num_tokens, other.num_tokens) if each is not None]
            own = replace(
                own,
                was_made=own.was_made or other.was_made,
                seconds=own.seconds + other.seconds,
                num_tokens=sum(tokens) if tokens else None,
                cost_usd=own.cost_usd + other.cost_usd,
            )
            if other.state is TitleState.FAILED and own.state is not TitleState.FAILED:
                own = replace(own, state=TitleState.FAILED, reason=f"in {space.name}: {other.reason}")
            by_title[other.title_id] = own
    return StepReport(first.asset, tuple(by_title.values()))

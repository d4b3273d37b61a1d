"""The step that reads a title's fused vectors in context: contextual shot vectors and one vector for the title."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from mediafm.embed import Embedder
from mediafm.errors import UnusableMediaError
from mediafm.lineage.fingerprint import Identity
from mediafm.steps.checkpoints import checkpoint_record, load_checkpoint
from mediafm.steps.device import resolve_device
from mediafm.steps.outcome import StepReport, TitleOutcome
from mediafm.steps.present import PresentTitle
from mediafm.steps.producers import Producer, checkpoint_producers
from mediafm.steps.runner import run_step
from mediafm.steps.sequences import read_sequence
from mediafm.steps.step import Made, TitleStep
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION, SERVING
from mediafm.store.store import Store
from mediafm.store.vectors import vectors_to_arrow
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


class ContextualStep(TitleStep):
    """Embeds titles with one checkpoint, loaded once and only where a title lacks its vectors."""

    asset = "contextual_embeddings"
    tables = ("contextual_embeddings", "title_embeddings")

    def __init__(self, workspace: Workspace, checkpoint_sha256: str) -> None:
        self._workspace = workspace
        self._checkpoint_sha256 = checkpoint_sha256

    @contextmanager
    def loaded(self) -> Iterator[None]:
        device = resolve_device(self._workspace.config.device, self._workspace.gpu_memory_fraction)
        self._embedder = Embedder(load_checkpoint(self._workspace, self._checkpoint_sha256), device)
        yield

    def make(self, title: PresentTitle, missing: Sequence[Identity]) -> list[Made]:
        store = self._workspace.store
        sequence, shot_index = read_sequence(
            store,
            title.title_id,
            store.key(title.chain.identity("fused_embeddings")),
            store.key(title.chain.identity("metadata_embeddings")),
        )
        if not sequence.num_shots:
            raise UnusableMediaError(
                "no shot has a fused vector", rule="a title in context has at least one", where=title.title_id
            )
        vectors = self._embedder.embed(sequence)
        shots = pa.table(
            {"shot_index": pa.array(shot_index.astype(np.int32)), "vector": vectors_to_arrow(vectors.shots)}
        )
        whole = pa.table({"vector": vectors_to_arrow(vectors.title[None, :])})
        tables = {"contextual_embeddings": shots, "title_embeddings": whole}
        return [Made.of(store, identity, tables[identity.table]) for identity in missing]


def champion_sha256(workspace: Workspace) -> str | None:
    """The approved checkpoint; None before there is one."""
    return pointed_checkpoint(workspace, CHAMPION)


def pointed_checkpoint(workspace: Workspace, name: str) -> str | None:
    """The checkpoint that the pointer `champion` or `serving` names; None before it was set."""
    pointer = workspace.pointers.read(name)
    return str(pointer.value["checkpoint_sha256"]) if pointer else None


def checkpoints_in_use(workspace: Workspace) -> tuple[str, ...]:
    """The checkpoints that a new title is embedded by: the champion, and what readers get if that is another one."""
    pointed = (pointed_checkpoint(workspace, name) for name in (CHAMPION, SERVING))
    return tuple(dict.fromkeys(one for one in pointed if one is not None))


def space_producers(store: Store, checkpoint_sha256: str) -> dict[str, Producer]:
    """What makes every table that the checkpoint reads and writes: its own space's producers, as recorded."""
    recorded: Any = checkpoint_record(store, checkpoint_sha256).details["producers"]
    return {**recorded, **checkpoint_producers(checkpoint_sha256)}


def embed_in_context(workspace: Workspace, title_ids: Sequence[str]) -> InContext:
    """Embeds the titles with every checkpoint in use; without one they wait.

    While a roll-out is under way a new title gets vectors by both: readers of the old checkpoint have it at once, and
    the move to the new one is not held up by it.
    """
    in_use = checkpoints_in_use(workspace)
    if not in_use:
        reason = "there is no champion yet: materialise training_manifest, mediafm_checkpoint and champion"
        waiting = [TitleOutcome(title_id=one, state=TitleState.WAITING, reason=reason) for one in title_ids]
        return InContext(report=StepReport(ContextualStep.asset, tuple(waiting)), checkpoint_sha256=None)
    reports = {sha256: _embedded_by(workspace, sha256, title_ids) for sha256 in in_use}
    return InContext(
        report=_worst(list(reports.items())),
        checkpoint_sha256=champion_sha256(workspace),
        by_checkpoint=reports,
    )


def _embedded_by(workspace: Workspace, sha256: str, title_ids: Sequence[str]) -> StepReport:
    titles = workspace.titles(title_ids, space_producers(workspace.store, sha256))
    report = run_step(workspace, ContextualStep(workspace, sha256), titles)
    reason = _missing_space_sentence(titles, sha256)
    outcomes = [
        replace(one, reason=f"{one.title_id} {one.reason}; {reason}") if one.state is TitleState.WAITING else one
        for one in report.outcomes
    ]
    return StepReport(report.asset, tuple(outcomes))


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


def _missing_space_sentence(titles: Sequence[PresentTitle], checkpoint_sha256: str) -> str:
    """What makes the inputs that the checkpoint reads: its own space's, whatever is configured now."""
    if not titles:
        return ""
    fused: Any = titles[0].chain.identity("fused_embeddings").producer
    encoders = ", ".join(spec["name"] for spec in fused["space"]["encoders"].values())
    return (
        f"checkpoint {checkpoint_sha256[:16]} reads the vectors of {encoders}: "
        "`mediafm run CATALOG --profile NAME`, with the profile of these encoders, makes them"
    )

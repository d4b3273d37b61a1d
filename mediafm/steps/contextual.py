"""The step that reads a title's fused vectors in context: contextual shot vectors and one vector for the title."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
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
from mediafm.store.pointers import CHAMPION
from mediafm.store.store import Store
from mediafm.store.vectors import vectors_to_arrow
from mediafm.train.checkpoint import Checkpoint
from mediafm.types import TitleState


class ContextualStep(TitleStep):
    """Embeds titles with one checkpoint, loaded once."""

    asset = "contextual_embeddings"
    tables = ("contextual_embeddings", "title_embeddings")

    def __init__(self, workspace: Workspace, checkpoint: Checkpoint) -> None:
        self._workspace = workspace
        self._checkpoint = checkpoint

    @contextmanager
    def loaded(self) -> Iterator[None]:
        device = resolve_device(self._workspace.config.device, self._workspace.gpu_memory_fraction)
        self._embedder = Embedder(self._checkpoint, device)
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
    pointer = workspace.pointers.read(CHAMPION)
    return str(pointer.value["checkpoint_sha256"]) if pointer else None


def space_producers(store: Store, checkpoint_sha256: str) -> dict[str, Producer]:
    """What makes every table that the checkpoint reads and writes: its own space's producers, as recorded."""
    recorded: Any = checkpoint_record(store, checkpoint_sha256).details["producers"]
    return {**recorded, **checkpoint_producers(checkpoint_sha256)}


def embed_in_context(workspace: Workspace, title_ids: Sequence[str]) -> tuple[StepReport, str | None]:
    """Embeds the titles with the champion; without one they wait. Returns the report and the checkpoint."""
    sha256 = champion_sha256(workspace)
    if sha256 is None:
        reason = "there is no champion yet: materialise training_manifest, mediafm_checkpoint and champion"
        waiting = [TitleOutcome(title_id=one, state=TitleState.WAITING, reason=reason) for one in title_ids]
        return StepReport(ContextualStep.asset, tuple(waiting)), None
    titles = workspace.titles(title_ids, space_producers(workspace.store, sha256))
    step = ContextualStep(workspace, load_checkpoint(workspace, sha256))
    report = run_step(workspace, step, titles)
    reason = _missing_space_sentence(titles, sha256)
    outcomes = [
        replace(one, reason=f"{one.title_id} {one.reason}; {reason}") if one.state is TitleState.WAITING else one
        for one in report.outcomes
    ]
    return StepReport(report.asset, tuple(outcomes)), sha256


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

"""The step that reads a title's fused vectors in context: contextual shot vectors and one vector for the title."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from mediafm.errors import UnusableMediaError
from mediafm.lineage.fingerprint import Identity
from mediafm.steps.checkpoints import checkpoint_record, load_checkpoint
from mediafm.steps.device import resolve_device
from mediafm.steps.present import PresentTitle
from mediafm.steps.producers import Producer, checkpoint_producers
from mediafm.steps.sequences import read_sequence
from mediafm.steps.step import Made, TitleStep
from mediafm.steps.workspace import Workspace
from mediafm.store.pointers import CHAMPION, SERVING
from mediafm.store.store import Store
from mediafm.store.vectors import vectors_to_arrow


class ContextualStep(TitleStep):
    """Embeds titles with one checkpoint, loaded once and only where a title lacks its vectors."""

    asset = "contextual_embeddings"
    tables = ("contextual_embeddings", "title_embeddings")

    def __init__(self, workspace: Workspace, checkpoint_sha256: str) -> None:
        self._workspace = workspace
        self._checkpoint_sha256 = checkpoint_sha256

    @contextmanager
    def loaded(self) -> Iterator[None]:
        from mediafm.embedder import Embedder

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

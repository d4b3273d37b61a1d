"""Stored vectors as probes and searches see them: feature sets by name, read one title at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mediafm.embedder import Embedder
from mediafm.probes.vectors import TitleShots, TitleVectors
from mediafm.steps.present import PresentTitle
from mediafm.steps.sequences import read_sequence
from mediafm.steps.workspace import Workspace
from mediafm.store.vectors import arrow_to_vectors
from mediafm.types import Modality

FeatureSource = Callable[[], Iterator[TitleVectors]]


def title_shots(workspace: Workspace, titles: Sequence[PresentTitle]) -> Iterator[TitleShots]:
    """Where each title's shots lie in time, and the group that it belongs to."""
    for title in titles:
        table = workspace.store.read(title.chain.identity("spans"), ["start_seconds", "end_seconds"])
        yield TitleShots(
            title_id=title.title_id,
            group_id=title.group_id,
            start_seconds=table.column("start_seconds").to_numpy(),
            end_seconds=table.column("end_seconds").to_numpy(),
        )


def stored_features(workspace: Workspace, titles: Sequence[PresentTitle], table: str) -> FeatureSource:
    """The vectors of `table`, as they stand in the store; rows are put where their shots stand."""

    def read() -> Iterator[TitleVectors]:
        for title in titles:
            num_shots = workspace.store.read(title.chain.identity("spans"), ["shot_index"]).num_rows
            rows = workspace.store.read(title.chain.identity(table), ["shot_index", "vector"])
            vectors, is_present = arrow_to_vectors(rows.column("vector"))
            shot_index = rows.column("shot_index").to_numpy()
            yield TitleVectors.from_rows(title.title_id, shot_index[is_present], vectors[is_present], num_shots)

    return read


def contextual_features(
    workspace: Workspace, titles: Sequence[PresentTitle], embedder: Embedder, with_metadata: bool = False
) -> FeatureSource:
    """What a checkpoint that is not served yet makes of the titles; nothing is stored.

    Args:
        with_metadata: whether [GLOBAL] is told the title's metadata; comparisons of checkpoints leave it out.
    """

    def read() -> Iterator[TitleVectors]:
        store = workspace.store
        for title in titles:
            fused = title.chain.identity("fused_embeddings")
            metadata = store.key(title.chain.identity("metadata_embeddings")) if with_metadata else None
            sequence, shot_index = read_sequence(store, title.title_id, store.key(fused), metadata)
            num_shots = store.read(fused, ["shot_index"]).num_rows
            width = embedder.checkpoint.model.hidden_dim
            vectors = embedder.embed(sequence).shots if sequence.num_shots else np.zeros((0, width), np.float32)
            yield TitleVectors.from_rows(title.title_id, shot_index, vectors, num_shots)

    return read


def unimodal_tables() -> dict[str, str]:
    """Feature name -> table, for the three modalities and the fused vector."""
    return {**{str(modality): f"{modality}_embeddings" for modality in Modality}, "fused": "fused_embeddings"}

"""Stored vectors as probes and searches see them, and what checkpoints make of them; read one title at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm.data.sequences import TitleSequence
from mediafm.data.split import join_groups
from mediafm.embedder import Embedder
from mediafm.probes.features import every_shot_alike
from mediafm.probes.vectors import Indexes, TitleShots, TitleVectors
from mediafm.steps.present import PresentTitle
from mediafm.steps.sequences import read_sequence
from mediafm.steps.workspace import Workspace
from mediafm.store.vectors import arrow_to_vectors
from mediafm.types import Modality

FeatureSource = Callable[[], Iterator[TitleVectors]]


@dataclass(frozen=True, kw_only=True, eq=False)
class TitleInputs:
    """What a model reads of a title.

    sequence: the shots that have a fused vector. shot_index: int64, which those are.
    num_shots: of the title, with and without a vector.
    """

    sequence: TitleSequence
    shot_index: Indexes
    num_shots: int


def read_inputs(workspace: Workspace, title: PresentTitle, with_metadata: bool) -> TitleInputs:
    """A title's stored sequence. Raises `NotFoundError`, `IntegrityError`.

    Args:
        with_metadata: whether [GLOBAL] is told the title's metadata; comparisons of checkpoints leave it out.
    """
    store = workspace.store
    fused = title.chain.identity("fused_embeddings")
    metadata = store.key(title.chain.identity("metadata_embeddings")) if with_metadata else None
    sequence, shot_index = read_sequence(store, title.title_id, store.key(fused), metadata)
    return TitleInputs(sequence=sequence, shot_index=shot_index, num_shots=store.read(fused, ["shot_index"]).num_rows)


def groups_by_title(titles: Sequence[PresentTitle]) -> dict[str, str]:
    """Title -> its group; groups that share a file are one, as in the training split."""
    joined = join_groups((title.group_id, title.media_sha256) for title in titles)
    return {title.title_id: joined[title.group_id] for title in titles}


def title_shots(workspace: Workspace, titles: Sequence[PresentTitle]) -> Iterator[TitleShots]:
    """Where each title's shots lie in time, and the group that it belongs to among `titles`."""
    groups = groups_by_title(titles)
    for title in titles:
        table = workspace.store.read(title.chain.identity("spans"), ["start_seconds", "end_seconds"])
        yield TitleShots(
            title_id=title.title_id,
            group_id=groups[title.title_id],
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


def metadata_features(workspace: Workspace, titles: Sequence[PresentTitle]) -> FeatureSource:
    """Each title's metadata vector as the vector of each of its shots; absent for titles without metadata."""

    def read() -> Iterator[TitleVectors]:
        for title in titles:
            num_shots = workspace.store.read(title.chain.identity("spans"), ["shot_index"]).num_rows
            rows = workspace.store.read(title.chain.identity("metadata_embeddings"), ["vector"])
            vectors, is_present = arrow_to_vectors(rows.column("vector"))
            yield every_shot_alike(title.title_id, vectors[0], num_shots, bool(is_present[0]))

    return read


def contextual_features(
    workspace: Workspace, titles: Sequence[PresentTitle], embedder: Embedder, with_metadata: bool = False
) -> FeatureSource:
    """What a checkpoint makes of the titles; nothing is stored."""

    def read() -> Iterator[TitleVectors]:
        for title in titles:
            inputs = read_inputs(workspace, title, with_metadata)
            width = embedder.checkpoint.model.hidden_dim
            is_empty = inputs.sequence.num_shots == 0
            vectors = np.zeros((0, width), np.float32) if is_empty else embedder.embed(inputs.sequence).shots
            yield TitleVectors.from_rows(title.title_id, inputs.shot_index, vectors, inputs.num_shots)

    return read


def unimodal_tables() -> dict[str, str]:
    """Feature name -> table, for the three modalities."""
    return {str(modality): f"{modality}_embeddings" for modality in Modality}

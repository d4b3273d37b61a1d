"""The step that fuses a title's three unimodal vectors per shot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mediafm.fusion import fuse
from mediafm.lineage.fingerprint import Identity
from mediafm.steps.present import PresentTitle
from mediafm.steps.step import Made, TitleStep
from mediafm.steps.workspace import Workspace
from mediafm.store.vectors import arrow_to_vectors, vectors_to_arrow
from mediafm.types import Modality


class FusedStep(TitleStep):
    """Fuses in the configured space. A shot without any modality keeps its row, with no vector."""

    asset = "fused_embeddings"
    tables = ("fused_embeddings",)

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def make(self, title: PresentTitle, missing: Sequence[Identity]) -> list[Made]:
        store, space = self._workspace.store, self._workspace.space
        blocks, is_present = {}, {}
        for modality in Modality:
            table = store.read(title.chain.identity(f"{modality}_embeddings"))
            blocks[modality], is_present[modality] = arrow_to_vectors(table.column("vector"))
        fused = fuse(space, blocks, is_present)
        num_shots = len(fused.vectors)
        columns = {"shot_index": pa.array(np.arange(num_shots, dtype=np.int32))}
        for column, modality in enumerate(Modality):
            columns[f"has_{modality}"] = pa.array(fused.is_present[:, column])
        columns["vector"] = vectors_to_arrow(fused.vectors, fused.has_vector)
        (identity,) = missing
        return [Made.of(store, identity, pa.table(columns))]

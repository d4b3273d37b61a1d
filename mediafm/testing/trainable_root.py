"""A root to train on in tests: synthetic vectors, imported and fused, with true identities and records; no media."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mediafm.data.synthetic import SyntheticSettings, draw_catalog
from mediafm.types import Modality


def write_vectors(file: Path, settings: SyntheticSettings) -> None:
    """An NPZ file that `mediafm import-embeddings` reads: the titles of `draw_catalog`, a row a shot, by modality.

    Absent modalities are rows of zeros.
    """
    drawn = draw_catalog(settings)
    rows: dict[str, list[np.ndarray]] = {str(modality): [] for modality in Modality}
    title_ids: list[str] = []
    positions: list[int] = []
    groups: list[str] = []
    for title in drawn.titles:
        sequence = drawn.sequences[title.title_id]
        title_ids += [title.title_id] * sequence.num_shots
        groups += [title.group_id] * sequence.num_shots
        positions += range(sequence.num_shots)
        for column, modality in enumerate(Modality):
            block = np.asarray(sequence.fused[:, drawn.space.slices[modality]], np.float32)
            block[~sequence.is_present[:, column]] = 0.0
            rows[str(modality)].append(block)
    vectors: dict[str, Any] = {name: np.concatenate(blocks) for name, blocks in rows.items()}
    np.savez(file, title_id=np.array(title_ids), position=np.array(positions), group_id=np.array(groups), **vectors)

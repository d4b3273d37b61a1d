"""What `mlflow.pyfunc.load_model` calls: a checkpoint as a function from shots to contextual vectors.

In: a pandas data frame, one row a shot, the shots of a title in their order:

    title_id      whose shot
    fused         E numbers: the fused vector, in the checkpoint's space
    has_video, has_audio, has_text   whether the shot has it
    shot_index    optional; if it is there it must grow within a title
    metadata      optional; M numbers, the same in each row of a title; None for a title without

Out: one row a shot, in the rows' order and under their index: `title_id`, and `contextual`, the D numbers of the shot's
contextual vector. Nothing of the artefact is executed: safetensors and JSON, verified against their sha256.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mediafm.data.sequences import TitleSequence
from mediafm.embedder import Embedder
from mediafm.errors import LineageMismatchError
from mediafm.registry.flavour import (
    CONTEXTUAL_COLUMN,
    FUSED_COLUMN,
    METADATA_COLUMN,
    PRESENCE_COLUMNS,
    SHOT_COLUMN,
    TITLE_COLUMN,
)
from mediafm.train.checkpoint import from_folder

REQUIRED_COLUMNS = (TITLE_COLUMN, FUSED_COLUMN, *PRESENCE_COLUMNS)


class ShotEmbedder:
    """A checkpoint behind MLflow's `predict`."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def predict(self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The shots' contextual vectors; columns as the module says.

        Raises:
            LineageMismatchError: a column is missing, a title's shots are out of order, or vectors are of other widths.
        """
        missing = [name for name in REQUIRED_COLUMNS if name not in frame.columns]
        if missing:
            raise LineageMismatchError(
                f"no column {', '.join(missing)}",
                rule=f"one row a shot with {', '.join(REQUIRED_COLUMNS)}",
                where="the data frame given to predict",
            )
        found: list[Any] = [None] * len(frame)
        for rows in frame.groupby(TITLE_COLUMN, sort=False).indices.values():
            vectors = self.embedder.embed(_sequence(frame.iloc[rows])).shots
            for row, vector in zip(rows, vectors, strict=True):
                found[row] = vector
        return pd.DataFrame({TITLE_COLUMN: frame[TITLE_COLUMN], CONTEXTUAL_COLUMN: found}, index=frame.index)


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> ShotEmbedder:
    """MLflow's entry point.

    Args:
        path: the folder of the LoggedModel.
        model_config: `{"device": "cuda"}` loads it there; the CPU unless given.

    Raises:
        IntegrityError: weights and config are missing, unreadable, or do not belong together.
    """
    return ShotEmbedder(Embedder(from_folder(Path(path)), str((model_config or {}).get("device", "cpu"))))


def _sequence(shots: pd.DataFrame) -> TitleSequence:
    title_id = str(shots[TITLE_COLUMN].iloc[0])
    if SHOT_COLUMN in shots and not (np.diff(shots[SHOT_COLUMN].to_numpy()) > 0).all():
        raise LineageMismatchError(
            f"{SHOT_COLUMN} {shots[SHOT_COLUMN].tolist()[:20]}",
            rule="a title's shots stand in their order",
            where=f"title {title_id}",
            remedy=f"Sort by {TITLE_COLUMN} and {SHOT_COLUMN}.",
        )
    return TitleSequence(
        title_id,
        _matrix(shots, FUSED_COLUMN, title_id),
        shots[list(PRESENCE_COLUMNS)].to_numpy(dtype=np.bool_),
        _metadata(shots, title_id),
    )


def _metadata(shots: pd.DataFrame, title_id: str) -> Any:
    if METADATA_COLUMN not in shots or not isinstance(shots[METADATA_COLUMN].iloc[0], list | tuple | np.ndarray):
        return None
    rows = _matrix(shots, METADATA_COLUMN, title_id)
    if not (rows == rows[0]).all():
        raise LineageMismatchError(
            "rows with different metadata", rule="a title has one metadata vector", where=f"title {title_id}"
        )
    return rows[0]


def _matrix(shots: pd.DataFrame, column: str, title_id: str) -> Any:
    try:
        rows = np.array([np.asarray(row, np.float32) for row in shots[column]], np.float32)
    except (TypeError, ValueError) as error:
        raise LineageMismatchError(
            f"{column}: {error}", rule="each row holds equally many numbers", where=f"title {title_id}"
        ) from error
    return rows.reshape(len(shots), -1)

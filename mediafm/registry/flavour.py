"""The files of a LoggedModel: a checkpoint as it lies in the store, and the `MLmodel` that lets MLflow load it.

The loader is a module of this installed package (`mediafm.registry.pyfunc`): the artefact holds no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mediafm.registry.connection import import_mlflow
from mediafm.train.checkpoint import Checkpoint, to_files
from mediafm.types import Json, Modality

LOADER_MODULE = "mediafm.registry.pyfunc"
MLMODEL_FILE = "MLmodel"
TITLE_COLUMN, FUSED_COLUMN, METADATA_COLUMN, SHOT_COLUMN = "title_id", "fused", "metadata", "shot_index"
CONTEXTUAL_COLUMN = "contextual"
PRESENCE_COLUMNS = tuple(f"has_{modality}" for modality in Modality)


def model_files(checkpoint: Checkpoint, model_id: str, run_id: str, extra: Mapping[str, bytes]) -> dict[str, bytes]:
    """File name -> bytes of a LoggedModel.

    Args:
        checkpoint: what is logged.
        model_id, run_id: as MLflow calls them.
        extra: further files beside it (the model card).
    """
    return {**to_files(checkpoint), **extra, MLMODEL_FILE: _mlmodel(checkpoint, model_id, run_id)}


def _mlmodel(checkpoint: Checkpoint, model_id: str, run_id: str) -> bytes:
    import_mlflow()
    from mlflow import pyfunc
    from mlflow.models import Model

    metadata: dict[str, Json] = {"checkpoint_sha256": checkpoint.sha256, "space": checkpoint.space_id}
    model = Model(run_id=run_id, model_id=model_id, signature=_signature(), metadata=metadata)
    pyfunc.add_to_model(model, loader_module=LOADER_MODULE, model_config={"device": "cpu"})
    return str(model.to_yaml()).encode()


def _signature() -> Any:
    """One row a shot in, one row a shot out. Arrays are "double" there, so that MLflow takes any float."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    numbers = Array(DataType.double)
    inputs = [
        ColSpec(DataType.string, TITLE_COLUMN),
        ColSpec(numbers, FUSED_COLUMN),
        *(ColSpec(DataType.boolean, name) for name in PRESENCE_COLUMNS),
        ColSpec(DataType.long, SHOT_COLUMN, required=False),
        ColSpec(numbers, METADATA_COLUMN, required=False),
    ]
    outputs = [ColSpec(DataType.string, TITLE_COLUMN), ColSpec(numbers, CONTEXTUAL_COLUMN)]
    return ModelSignature(Schema(inputs), Schema(outputs))

"""A checkpoint and a title's sequence -> contextual vectors, in any context. No MLflow, no Dagster, no store.

The vectors are those that `mediafm.model.export` defines: windows that overlap by half, the chosen blocks' mean, unit
norm. The title's vector is the mean of its shots', L2-normalised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mediafm.data.sequences import TitleSequence
from mediafm.errors import LineageMismatchError, TrainingError
from mediafm.model.export import combine_layers, layer_vectors
from mediafm.model.mediafm import MediaFM
from mediafm.train.batches import title_tensors
from mediafm.train.checkpoint import Checkpoint
from mediafm.train.threads import cpu_threads, threads_for


@dataclass(frozen=True, eq=False)
class ContextualVectors:
    """What a title becomes.

    shots: float32 [N, D], unit rows, one for each row of the sequence.
    title: float32 [D], unit norm.
    """

    shots: NDArray[np.float32]
    title: NDArray[np.float32]


class Embedder:
    """A checkpoint, loaded once, for many titles."""

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu") -> None:
        self.checkpoint = checkpoint
        self._device = device
        self._model: MediaFM = checkpoint.load_model(device)

    def embed(self, sequence: TitleSequence) -> ContextualVectors:
        """The contextual vectors of one title.

        Raises:
            LineageMismatchError: the sequence is empty, or of other widths than the checkpoint reads.
            TrainingError: the network gave a number that is not finite.
        """
        _check_widths(sequence, self.checkpoint)
        with cpu_threads(threads_for(self.checkpoint.model, str(self._device))):
            layers = layer_vectors(self._model, *title_tensors(sequence))
        shots = combine_layers(layers, self.checkpoint.export_layers)
        title = torch.nn.functional.normalize(shots.mean(0), dim=0)
        if len(shots) != sequence.num_shots or not torch.isfinite(shots).all():
            raise TrainingError(
                "vectors that are not finite, or not one a shot",
                rule="a checkpoint gives one finite vector a shot",
                where=f"title {sequence.title_id}, checkpoint {self.checkpoint.sha256}",
                remedy="Roll back to the checkpoint before it.",
            )
        return ContextualVectors(shots.numpy(), title.numpy())


def contextualize(checkpoint: Checkpoint, sequence: TitleSequence, device: str = "cpu") -> ContextualVectors:
    """The contextual vectors of one title; for many titles, keep an `Embedder`."""
    return Embedder(checkpoint, device).embed(sequence)


def _check_widths(sequence: TitleSequence, checkpoint: Checkpoint) -> None:
    where = f"title {sequence.title_id}, checkpoint {checkpoint.sha256}"
    if not sequence.num_shots:
        raise LineageMismatchError("no shots", rule="a title needs at least one shot with a vector", where=where)
    found = {"fused": sequence.fused.shape[1]}
    wanted = {"fused": checkpoint.model.fused_dim}
    if sequence.metadata is not None:
        found["metadata"], wanted["metadata"] = len(sequence.metadata), checkpoint.model.metadata_dim
    if found != wanted:
        raise LineageMismatchError(
            f"widths {found}",
            rule=f"the checkpoint reads {wanted}",
            where=where,
            remedy="Embed the title in the checkpoint's space first.",
        )

"""A checkpoint and a title's sequence -> contextual vectors, in any context. No MLflow, no Dagster, no store.

The vectors are those that `mediafm.model.export` defines: windows that overlap by half, the chosen blocks' mean, unit
norm. The title's vector is the mean of its shots', L2-normalised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mediafm.data.sequences import TitleSequence
from mediafm.errors import LineageMismatchError, TrainingError
from mediafm.model.export import MAX_SHOTS_PER_PASS, combine_layers, layer_vectors, packed_vectors
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
        with self._threads():
            layers = layer_vectors(self._model, *title_tensors(sequence))
        return self._checked(sequence, combine_layers(layers, self.checkpoint.export_layers))

    def embed_many(
        self, sequences: Iterable[TitleSequence], max_shots_per_pass: int = MAX_SHOTS_PER_PASS
    ) -> list[ContextualVectors]:
        """The contextual vectors of many titles or clips (`clip_sequence`), in their order, several in one pass.

        They are those of `embed` one by one, but for rounding: no shot meets one of another sequence.

        Args:
            max_shots_per_pass: bounds memory.

        Raises: as `embed`, before or after any of them.
        """
        given = list(sequences)
        for sequence in given:
            _check_widths(sequence, self.checkpoint)
        titles = [title_tensors(sequence) for sequence in given]
        with self._threads():
            found = packed_vectors(self._model, titles, self.checkpoint.export_layers, max_shots_per_pass)
        return [self._checked(sequence, shots) for sequence, shots in zip(given, found, strict=True)]

    def _threads(self) -> AbstractContextManager[None]:
        return cpu_threads(threads_for(self.checkpoint.model, str(self._device)))

    def _checked(self, sequence: TitleSequence, shots: Tensor) -> ContextualVectors:
        title = torch.nn.functional.normalize(shots.mean(0), dim=0)
        if len(shots) != sequence.num_shots or not torch.isfinite(shots).all():
            raise TrainingError(
                "vectors that are not finite, or not one a shot",
                rule="a checkpoint gives one finite vector a shot",
                where=f"title {sequence.title_id}, checkpoint {self.checkpoint.sha256}",
                remedy="Roll back to the checkpoint before it.",
            )
        return ContextualVectors(shots.numpy(), title.numpy())


def clip_sequence(sequence: TitleSequence, rows: Sequence[int] | NDArray[np.integer]) -> TitleSequence:
    """Some shots of a title as a sequence of their own: what "the clip alone" means. The metadata stays the title's.

    Args:
        rows: of the sequence, rising, at least one; positions among the shots that have a vector, not shot indexes.

    Raises:
        LineageMismatchError: no rows, rows out of order or twice, or rows that the sequence does not have.
    """
    index = np.asarray(rows, dtype=np.int64)
    if not len(index) or index[0] < 0 or index[-1] >= sequence.num_shots or (np.diff(index) <= 0).any():
        raise LineageMismatchError(
            f"rows {index[:20].tolist()}",
            rule=f"a clip has one or more of the rows 0 to {sequence.num_shots - 1}, each once, in order",
            where=f"title {sequence.title_id}",
        )
    return replace(sequence, fused=sequence.fused[index], is_present=sequence.is_present[index])


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

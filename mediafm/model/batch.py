"""What the model reads: the shots of several sequences, packed one after another without padding.

B sequences, N shots of all sequences together, E fused width, M metadata width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mediafm.errors import MediaFMError

NUM_MODALITIES = 3


@dataclass(frozen=True, eq=False)
class PackedShots:
    """A batch. Sequence b owns the next `num_shots[b]` rows of every `_N` tensor.

    fused_NE: float32 or float16, unit rows.
    is_present_N3: bool; which modalities a shot has.
    metadata_BM: float32; rows where `has_metadata_B` is False are not read.
    has_metadata_B: bool.
    num_shots: shots of each sequence.
    is_masked_N: bool; shots that the model sees as [MASK], their presence flags hidden too.
    """

    fused_NE: Tensor
    is_present_N3: Tensor
    metadata_BM: Tensor
    has_metadata_B: Tensor
    num_shots: tuple[int, ...]
    is_masked_N: Tensor

    def __post_init__(self) -> None:
        num_rows, num_sequences = sum(self.num_shots), len(self.num_shots)
        expected = {
            "fused_NE": (num_rows, self.fused_NE.shape[-1]),
            "is_present_N3": (num_rows, NUM_MODALITIES),
            "is_masked_N": (num_rows,),
            "metadata_BM": (num_sequences, self.metadata_BM.shape[-1]),
            "has_metadata_B": (num_sequences,),
        }
        wrong = [
            f"{name} {tuple(getattr(self, name).shape)} for {shape}"
            for name, shape in expected.items()
            if tuple(getattr(self, name).shape) != shape
        ]
        if wrong or not num_sequences or min(self.num_shots) < 1:
            raise MediaFMError(
                f"{', '.join(wrong) or self.num_shots}",
                rule="a batch packs one or more sequences of one or more shots, one row a shot",
                where="packed shots",
            )

    def to(self, device: torch.device) -> PackedShots:
        """The same batch on `device`."""
        return PackedShots(
            self.fused_NE.to(device, non_blocking=True),
            self.is_present_N3.to(device, non_blocking=True),
            self.metadata_BM.to(device, non_blocking=True),
            self.has_metadata_B.to(device, non_blocking=True),
            self.num_shots,
            self.is_masked_N.to(device, non_blocking=True),
        )


def pack(sequences: Sequence[tuple[Tensor, Tensor, Tensor | None, Tensor | None]], metadata_dim: int) -> PackedShots:
    """A batch of sequences, each (fused [n, E], is_present [n, 3], metadata [M] or None, is_masked [n] or None)."""
    fused, present, masked, metadata, has_metadata = [], [], [], [], []
    for fused_nE, is_present_n3, metadata_M, is_masked_n in sequences:
        fused.append(fused_nE)
        present.append(is_present_n3)
        masked.append(torch.zeros(len(fused_nE), dtype=torch.bool) if is_masked_n is None else is_masked_n)
        metadata.append(torch.zeros(metadata_dim) if metadata_M is None else metadata_M)
        has_metadata.append(metadata_M is not None)
    return PackedShots(
        torch.cat(fused),
        torch.cat(present),
        torch.stack(metadata),
        torch.tensor(has_metadata),
        tuple(len(item) for item in fused),
        torch.cat(masked),
    )

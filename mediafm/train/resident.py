"""The corpus on the device: where a GPU can hold it, batches take rows by index there, and no vector is copied again.

C shots of the corpus, E fused width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mediafm.data.corpus import Corpus

COPY_ROWS = 65_536
"""Rows copied at a time: bounds the memory on the way (300 MB at the default width)."""


def resident_vectors(corpus: Corpus, device: torch.device, share: float) -> Tensor | None:
    """All fused vectors on `device`, float16 [C, E], if they take at most `share` of what is free there.

    None where they do not fit, and on a CPU, whose page cache holds what there is room for.
    """
    if device.type != "cuda" or not fits(corpus.vectors.nbytes, free_bytes(device), share):
        return None
    return copied(corpus, device)


def fits(num_bytes: int, num_free: int, share: float) -> bool:
    """Whether so many bytes may be taken of those free."""
    return num_bytes <= share * num_free


def free_bytes(device: torch.device) -> int:
    """What this process may still take of a GPU's memory: free there, and within its own share of the whole."""
    free, total = torch.cuda.mem_get_info(device)
    allowed = torch.cuda.get_per_process_memory_fraction(device) * total - torch.cuda.memory_reserved(device)
    return max(0, int(min(free, allowed)))


def copied(corpus: Corpus, device: torch.device) -> Tensor:
    """All fused vectors on `device`, float16 [C, E]."""
    rows_CE = corpus.vectors
    resident_CE = torch.empty(rows_CE.shape, dtype=torch.float16, device=device)
    for start in range(0, len(rows_CE), COPY_ROWS):
        part = rows_CE[start : start + COPY_ROWS]
        resident_CE[start : start + len(part)] = torch.from_numpy(part.copy()).to(device)
    return resident_CE

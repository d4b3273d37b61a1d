"""Small random titles for the tests of the model."""

from __future__ import annotations

import torch
from torch.nn import functional

E, M = 24, 8


def sequence(seed, num_shots, has_metadata=True, num_masked=1):
    """One title for `pack`: fused vectors, presence, metadata or None, mask."""
    generator = torch.Generator().manual_seed(seed)
    fused = functional.normalize(torch.randn(num_shots, E, generator=generator), dim=-1)
    present = torch.rand(num_shots, 3, generator=generator) > 0.3
    present[:, 0] = True
    is_masked = torch.zeros(num_shots, dtype=torch.bool)
    is_masked[torch.randperm(num_shots, generator=generator)[:num_masked]] = True
    metadata = torch.randn(M, generator=generator) if has_metadata else None
    return fused, present, metadata, is_masked

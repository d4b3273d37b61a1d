"""How many CPU threads a network uses: set for a run, recorded in its report, put back afterwards.

Measured here: a 2x128 model on two cores steps 2.8 times faster with one thread than with two on a quiet machine, and
15 times on a busy one: its matrices are smaller than what it costs to share them out.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mediafm.model.config import ModelConfig
from mediafm.types import Json

MAX_SINGLE_THREAD_DIM = 256
"""Models up to this width get one thread (our choice, from the measurement above)."""


def threads_for(model: ModelConfig, device: str) -> int:
    """How many threads serve a model of this size; a GPU needs one to feed it."""
    is_small = model.hidden_dim <= MAX_SINGLE_THREAD_DIM
    return 1 if is_small or device != "cpu" else torch.get_num_threads()


def reads_ahead(device: torch.device) -> bool:
    """Whether the loader prepares the next step on a thread of its own."""
    return True


@contextmanager
def cpu_threads(num_threads: int) -> Iterator[None]:
    """Runs with so many threads; the process's own number is put back at the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def build_facts() -> dict[str, Json]:
    """What the last bits of a step depend on beside its numbers: torch, the processor's instructions, the threads."""
    return {
        "torch": torch.__version__,
        "processor": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "num_threads": torch.get_num_threads(),
    }

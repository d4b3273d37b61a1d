"""How many CPU threads a network uses: set for a run, recorded in its report, put back afterwards.

Measured here: a 2x128 model on two cores steps 2.8 times faster with one thread than with two on a quiet machine, and
15 times on a busy one: its matrices are smaller than what it costs to share them out.
For 8x512 two threads are 1.3 times as quick as one on a quiet machine, and 1.5 to 2 times as slow on a busy one.
"""

from __future__ import annotations

import os
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
    """Whether the loader prepares the next step on a thread of its own: with a GPU, or where a second core is.

    Measured on two busy cores, one thread of math, E 2304, against preparing it within the step (in turns): 2x128
    1.03 times as quick, the step waits for 1.3 % of its time instead of 2.5 %; small .3 % instead of .8 %.
    """
    return device.type != "cpu" or num_cores() > 1


def num_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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

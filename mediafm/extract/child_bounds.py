"""What the reading process may take of the machine: memory, and how its threads wait.

Both bounds are soft limits of the system, so that one can be exchanged for the other.
"""

from __future__ import annotations

import os
import sys

_STATM_SIZE, _STATM_DATA = 0, 5
"""Fields of /proc/self/statm, in pages: address space; private memory that can be written, and stack."""


def limit_address_space(memory_bytes: int) -> None:
    """Bounds the address space to what is held now and `memory_bytes` more, where the system can. No core dumps."""
    if sys.platform != "linux":
        return
    import resource

    _limit(resource.RLIMIT_AS, _held_bytes(_STATM_SIZE) + memory_bytes)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_data_instead(memory_bytes: int) -> None:
    """Lifts the bound on the address space and bounds private writable memory, to what is held and so much more.

    For work on a GPU: CUDA reserves far more addresses than there is memory, without touching them, and cannot start
    under a bound on addresses. Such reservations cannot be written and do not count here; memory of the GPU does not
    either.
    """
    if sys.platform != "linux":
        return
    import resource

    _, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard_limit, hard_limit))
    _limit(resource.RLIMIT_DATA, _held_bytes(_STATM_DATA) + memory_bytes)


def let_threads_sleep() -> None:
    """Threads of OpenMP (torch's) sleep while they wait. Must come before torch is imported.

    They would spin, against the decoder's threads: on a busy machine of two cores the network took three times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _held_bytes(field: int) -> int:
    import resource

    with open("/proc/self/statm") as file:
        return int(file.read().split()[field]) * resource.getpagesize()


def _limit(kind: int, wanted_bytes: int) -> None:
    import resource

    _, hard_limit = resource.getrlimit(kind)
    soft_limit = wanted_bytes if hard_limit == resource.RLIM_INFINITY else min(wanted_bytes, hard_limit)
    resource.setrlimit(kind, (soft_limit, hard_limit))

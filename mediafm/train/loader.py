"""The loader: a run's steps in order, the next one made ready on a thread of its own while the present one computes.

What a step sees is a function of the sampler's state alone, so reading ahead moves no number. The loader's own state is
that of the steps handed out: what was only read ahead is read again by whoever goes on from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from mediafm.data.sampler import MaskedWindow, Sampler, SamplerState
from mediafm.objective.batch import StepCounts
from mediafm.train.batches import HostBatch


@dataclass(frozen=True, eq=False)
class PreparedStep:
    """One step, ready to be computed.

    windows: of all ranks.
    counts: of all of them.
    batches: this rank's micro-steps.
    """

    windows: Sequence[MaskedWindow]
    counts: StepCounts
    batches: Sequence[HostBatch]


Prepare = Callable[[Sequence[MaskedWindow]], PreparedStep]
"""Makes a step's windows ready. Called on the loader's thread, one step at a time."""


class Loader:
    """Deals a sampler's steps.

    Args:
        sampler: the loader's alone from here on.
        prepare: makes a step ready; what it raises is raised by the `next` that would have had that step.
        is_ahead: prepare the next step on a thread; else within `next`.
    """

    def __init__(self, sampler: Sampler, prepare: Prepare, *, is_ahead: bool) -> None:
        self.state = sampler.state
        self.stall_seconds = 0.0
        """How long `next` has kept its callers waiting."""
        self._sampler = sampler
        self._prepare = prepare
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mediafm-loader") if is_ahead else None
        self._pending: Future[tuple[PreparedStep, SamplerState]] | None = None

    def next(self) -> PreparedStep:
        """The next step, after which `state` is the place behind it."""
        began = time.perf_counter()
        if self._thread is None:
            step, self.state = self._made()
        else:
            pending = self._pending or self._thread.submit(self._made)
            self._pending = None
            step, self.state = pending.result()
            self._pending = self._thread.submit(self._made)
        self.stall_seconds += time.perf_counter() - began
        return step

    def restore(self, state: SamplerState) -> None:
        """Goes back, or on, to `state`; forgets what was read ahead, an error of it included."""
        self._forget()
        self._sampler.restore(state)
        self.state = state

    def close(self) -> None:
        """Ends the thread. A later `next` prepares its step itself."""
        self._forget()
        self._sampler.restore(self.state)
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def _made(self) -> tuple[PreparedStep, SamplerState]:
        windows = self._sampler.next_step()
        return self._prepare(windows), self._sampler.state

    def _forget(self) -> None:
        if self._pending is not None and not self._pending.cancel():
            self._pending.exception()  # waits: the sampler must be at rest before it is moved
        self._pending = None

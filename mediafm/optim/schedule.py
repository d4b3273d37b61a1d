"""Warm-up, stable, decay: the learning rate's scale by step (Hu et al. 2024, "MiniCPM", section 4).

The decay begins when the training loop says so (patience ended, or its bounds are near), not at a step fixed before.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The scale in [0, 1] that learning rates are multiplied with.

    warmup_steps: linear rise to 1.
    decay_start: first step of the decay; None while it has not begun.
    decay_steps: linear fall to 0 takes this many steps.
    """

    warmup_steps: int
    decay_start: int | None = None
    decay_steps: int = 0

    def scale(self, step: int) -> float:
        """The scale at `step`, counted from 0."""
        rise = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps > 0 else 1.0
        if self.decay_start is None or step < self.decay_start:
            return rise
        left = self.decay_steps - (step - self.decay_start)
        return rise * max(0.0, left / (self.decay_steps + 1))

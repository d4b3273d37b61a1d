"""Which windows and masks a training step sees: drawn before batching, the same on every device.

Every draw is a function of (seed, epoch) or (seed, step), so the sampler's whole state is three numbers, and a run that
is resumed at them sees what it would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mediafm.data.manifest import TrainingManifest, Window
from mediafm.data.split import Split
from mediafm.objective.masking import Mask, MaskConfig, draw, draw_unread

_EPOCH_STREAM, _STEP_STREAM = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """How often student and teacher read a sequence in all three, in two, or in one of its modalities."""

    student: tuple[float, float, float]
    teacher: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class MaskedWindow:
    """One sequence of a step.

    window: which shots.
    mask: what of them is hidden from the model.
    is_metadata_dropped: whether [GLOBAL] is told "no metadata" although there may be some.
    is_unread_by_teacher: bool [3]; modalities that a teacher does without; None for an objective without a teacher.
    """

    window: Window
    mask: Mask
    is_metadata_dropped: bool
    is_unread_by_teacher: NDArray[np.bool_] | None = None

    @property
    def is_masked(self) -> NDArray[np.bool_]:
        """bool [N], the shots hidden whole; at least one True."""
        return self.mask.is_masked


@dataclass(frozen=True, slots=True)
class SamplerState:
    """Where the sampler stands: the next step, its epoch, and the place in that epoch's order."""

    step: int = 0
    epoch: int = 0
    place: int = 0


class Sampler:
    """Deals the training windows of a manifest, epoch by epoch, in steps of about `shots_per_step` shots."""

    def __init__(
        self,
        manifest: TrainingManifest,
        *,
        seed: int,
        shots_per_step: int,
        masks: MaskConfig,
        metadata_drop_share: float,
        reads: Reads | None = None,
        state: SamplerState | None = None,
    ) -> None:
        self._parts = [(planned.title.title_id, part.start, part.end) for planned, part in manifest.parts(Split.TRAIN)]
        self._max_window_shots = manifest.max_window_shots
        self._seed = seed
        self._shots_per_step = shots_per_step
        self._masks = masks
        self._metadata_drop_share = metadata_drop_share
        self._reads = reads
        self.restore(state or SamplerState())

    def restore(self, state: SamplerState) -> None:
        """Goes back, or on, to `state`."""
        self.state = state
        self._order = self._epoch_order(state.epoch)

    def next_step(self) -> list[MaskedWindow]:
        """The sequences of the next step: at least one, then as many as fit; a step never spans two epochs."""
        rng = np.random.default_rng([self._seed, _STEP_STREAM, self.state.step])
        drawn: list[MaskedWindow] = []
        place, num_shots = self.state.place, 0
        while place < len(self._order):
            window = self._order[place]
            if drawn and num_shots + window.num_shots > self._shots_per_step:
                break
            drawn.append(self._masked(window, rng))
            num_shots += window.num_shots
            place += 1
        self._advance(place)
        return drawn

    def _masked(self, window: Window, rng: np.random.Generator) -> MaskedWindow:
        mask = draw(window.num_shots, self._masks, rng)
        is_metadata_dropped = bool(rng.random() < self._metadata_drop_share)
        if self._reads is None:
            return MaskedWindow(window, mask, is_metadata_dropped)
        unread, by_teacher = (draw_unread(shares, rng) for shares in (self._reads.student, self._reads.teacher))
        both = mask.is_dropped | unread
        # Dropped by both, nothing might be left to read: then the student's reading alone counts.
        mask = replace(mask, is_dropped=unread if both.all() else both)
        return MaskedWindow(window, mask, is_metadata_dropped, by_teacher)

    def _advance(self, place: int) -> None:
        step, epoch = self.state.step + 1, self.state.epoch
        if place < len(self._order):
            self.state = SamplerState(step, epoch, place)
        else:
            self.state = SamplerState(step, epoch + 1, 0)
            self._order = self._epoch_order(epoch + 1)

    def _epoch_order(self, epoch: int) -> list[Window]:
        rng = np.random.default_rng([self._seed, _EPOCH_STREAM, epoch])
        windows = [window for part in self._parts for window in self._windows_of(*part, rng)]
        return [windows[i] for i in rng.permutation(len(windows))]

    def _windows_of(self, title_id: str, start: int, end: int, rng: np.random.Generator) -> list[Window]:
        """A part that fits is one window; a longer one as many as cover it, each at a random place in its share."""
        length, longest = end - start, self._max_window_shots
        if length <= longest:
            return [Window(title_id, start, end)]
        count = -(-length // longest)
        room = length - longest
        firsts = [start + int(room * (i + rng.random()) / count) for i in range(count)]
        return [Window(title_id, first, first + longest) for first in firsts]

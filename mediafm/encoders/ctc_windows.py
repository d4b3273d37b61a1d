"""How a long sound that comes as a stream is cut into windows of one length that overlap.

Of each window only the middle's frames are kept, and of the first and last the sound's ends: every frame of the sound
is kept once, and heard with at least the overlap around it wherever there is sound. The last window is shifted back to
end with the sound, so that none is padded; a sound shorter than a window is one window of its own length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.encoders.hf_audio_chunks import FrameGrid
from mediafm.errors import EncoderError

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SoundWindow:
    """A window of a sound.

    samples: float32 [n], exactly what `num_frames` frames see.
    start: its first frame, counted from the sound's first.
    own_start, own_end: the frames that are kept, counted likewise.
    """

    samples: Samples
    start: int
    num_frames: int
    own_start: int
    own_end: int


class WindowCutter:
    """Takes a sound's samples in order and gives its windows; holds about one window and one portion of samples."""

    def __init__(self, grid: FrameGrid, window_frames: int, overlap_frames: int) -> None:
        """
        Args:
            window_frames: of a window.
            overlap_frames: at either side of a window, not kept.

        Raises:
            EncoderError: two overlaps leave nothing of a window.
        """
        if overlap_frames < 0 or window_frames <= 2 * overlap_frames:
            raise EncoderError(
                f"windows of {window_frames} frames that overlap by {overlap_frames}",
                rule="two overlaps are shorter than a window",
                where="windows of sound",
            )
        self._grid = grid
        self._length = window_frames
        self._overlap = overlap_frames
        self._held: Samples = np.zeros(0, np.float32)
        self._held_from = 0
        self._next = 0
        self._kept = 0

    def push(self, samples: Samples) -> Iterator[SoundWindow]:
        """The windows that are complete with `samples` and are not the last."""
        self._held = np.concatenate([self._held, samples])
        while self._num_frames() > self._next + self._length:
            own_end = self._next + self._length - self._overlap
            yield self._window(self._next, self._length, own_end)
            self._let_go(self._next)
            self._next += self._length - 2 * self._overlap

    def finish(self) -> Iterator[SoundWindow]:
        """The last window; none for a sound too short for one frame."""
        num_frames = self._num_frames()
        if num_frames > self._kept:
            start = max(0, num_frames - self._length)
            yield self._window(start, num_frames - start, num_frames)

    def _num_frames(self) -> int:
        """Frames of all that was pushed."""
        num_samples = self._held_from * self._grid.hop_samples + len(self._held)
        return self._grid.num_frames(num_samples) if num_samples >= self._grid.field_samples else 0

    def _window(self, start: int, num_frames: int, own_end: int) -> SoundWindow:
        first = (start - self._held_from) * self._grid.hop_samples
        samples = self._held[first : first + self._grid.num_samples(num_frames)].copy()
        own_start, self._kept = self._kept, own_end
        return SoundWindow(samples, start, num_frames, own_start, own_end)

    def _let_go(self, start: int) -> None:
        """Forgets what lies before frame `start`. A last window begins after the one before it."""
        self._held = self._held[(start - self._held_from) * self._grid.hop_samples :]
        self._held_from = start

"""How a shot's sound is cut into what a network reads in one go.

Time is counted in frames: the network's own output steps. Frame k begins k hops after the sound's first sample and sees
one receptive field of it. Every window begins on that grid and ends with its last frame's field, so windows together
give exactly the frames that the network would give over the whole sound, and each frame is owned by one window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FrameGrid:
    """When a network's output frames happen.

    hop_samples: from one frame's first sample to the next one's.
    field_samples: how many samples one frame sees.
    """

    hop_samples: int
    field_samples: int

    @classmethod
    def of_convolutions(cls, kernels: Sequence[int], strides: Sequence[int]) -> FrameGrid:
        """The grid of a stack of convolutions without padding."""
        hop, field = 1, 1
        for kernel, stride in zip(kernels, strides, strict=True):
            field += (kernel - 1) * hop
            hop *= stride
        return cls(hop, field)

    def num_frames(self, num_samples: int) -> int:
        """Frames that lie within `num_samples`; one at least, for shorter sound is extended to the field."""
        return max(1, (num_samples - self.field_samples) // self.hop_samples + 1)

    def num_samples(self, num_frames: int) -> int:
        """The samples that `num_frames` frames see together: no more, so nothing is read and then left out."""
        return self.field_samples + (num_frames - 1) * self.hop_samples


@dataclass(frozen=True, slots=True)
class Window:
    """Frames `[start, end)` are read in one go; frames `[own_start, own_end)` of them are pooled."""

    start: int
    end: int
    own_start: int
    own_end: int

    @property
    def num_frames(self) -> int:
        return self.end - self.start

    @property
    def num_own(self) -> int:
        return self.own_end - self.own_start


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one window hears: float32 [n] samples, and its own frames `[own_start, own_end)` counted from its first."""

    samples: NDArray[np.float32]
    own_start: int
    own_end: int


def cover(num_frames: int, lengths: Sequence[int]) -> list[Window]:
    """Windows of a few lengths over a shot, so that windows of many shots stand in one batch.

    As many of the longest that fit, then the shortest that holds what is left, shifted back to end with the shot; what
    two windows share is split in the middle, where both hear most around it. A shot shorter than every length is one
    window of its own length: nothing is padded. Our choice.

    Args:
        num_frames: of the shot, at least 1.
        lengths: in frames, ascending.
    """
    fitting = [length for length in lengths if length <= num_frames]
    if not fitting:
        return [Window(0, num_frames, 0, num_frames)]
    longest = fitting[-1]
    starts = [place * longest for place in range(num_frames // longest)]
    ends = [start + longest for start in starts]
    left = num_frames - ends[-1]
    if left:
        last = next(length for length in fitting if length >= left)
        starts.append(num_frames - last)
        ends.append(num_frames)
    borders = [0, *((end + start) // 2 for end, start in zip(ends[:-1], starts[1:], strict=True)), num_frames]
    return [Window(start, end, *own) for start, end, own in zip(starts, ends, pairwise(borders), strict=True)]


def equal_parts(num_frames: int, longest: int) -> list[Window]:
    """As few windows as hold a shot, as equal as can be: for a network that pads every window to one length itself."""
    count = math.ceil(num_frames / longest)
    borders = [place * num_frames // count for place in range(count + 1)]
    return [Window(start, end, start, end) for start, end in pairwise(borders)]


def widened(windows: Sequence[Window], before: int, num_frames: int, margin: int) -> list[Window]:
    """The windows, each hearing `margin` more frames on either side, as far as there is sound.

    Args:
        windows: over the shot, counted from its first frame.
        before: frames that are heard before the shot.
        num_frames: heard in all.

    Returns:
        Windows counted from the first frame that is heard; what they own is the same.
    """
    return [
        Window(
            max(0, before + window.start - margin),
            min(num_frames, before + window.end + margin),
            before + window.own_start,
            before + window.own_end,
        )
        for window in windows
    ]


def extended(samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Sound of at least `length` samples: shorter sound is mirrored at its end again and again; none is silence."""
    missing = length - len(samples)
    if missing <= 0:
        return samples
    return np.pad(samples, (0, missing), mode="symmetric") if len(samples) else np.zeros(length, np.float32)


def resampled(samples: NDArray[np.float32], rate_hz: int, wanted_hz: int) -> NDArray[np.float32]:
    """Samples at another rate, by a polyphase filter (scipy's, with its own low-pass); deterministic."""
    if rate_hz == wanted_hz or not len(samples):
        return samples
    from scipy.signal import resample_poly

    shared = math.gcd(rate_hz, wanted_hz)
    return np.asarray(resample_poly(samples, wanted_hz // shared, rate_hz // shared), np.float32)

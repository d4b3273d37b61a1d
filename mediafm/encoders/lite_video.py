"""lite-video: the look of a shot from its stored frames, by signal descriptors. No weights; our choice throughout.

Colour (of the whole picture, of its upper and its lower half), layout, texture and motion. Each family is averaged over
the shot's frames, put to a power below one so that a few strong bins do not own the cosine, brought to unit length and
weighted. No number is fitted on a catalogue: a shot's vector comes from that shot alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mediafm.config import Section
from mediafm.encoders import frame_descriptors as measure
from mediafm.encoders.encoder import Encoder, EncoderSpec, ShotFrames
from mediafm.encoders.frame_descriptors import Floats, WorkingPicture
from mediafm.encoders.joining import Weight, centred, join, signed_root
from mediafm.types import Modality

STEP_VERSION = 1
WIDTH = 768
WHOLE_BINS = (8, 6, 6)
HALF_BINS = (5, 5, 5)
"""Bins of lightness and of the two chroma axes."""
COLOUR_POWER = 0.25
"""Rare colours name a place better than its common ones: a power well below one half lets them speak."""
CELLS = (4, 4)
EDGE_CELLS = (2, 4)
FREQUENCY_SIDE = 4
STRENGTH_BINS = 8
MIDDLE_LIGHTNESS = 0.35
"""Subtracted from a cell's mean lightness, so that two ordinary pictures are not alike merely for being lit."""


class LiteVideoSettings(Section):
    """How much each family of descriptors counts in the cosine."""

    colour_weight: Weight = 1.0
    halves_weight: Weight = 0.7
    layout_weight: Weight = 0.25
    texture_weight: Weight = 0.25
    motion_weight: Weight = 0.15


class LiteVideo(Encoder[ShotFrames]):
    """768 numbers a shot, of frames of any size."""

    def __init__(self, settings: LiteVideoSettings | None = None) -> None:
        self.settings = settings or LiteVideoSettings()
        self.spec = EncoderSpec(
            name="lite-video",
            modality=Modality.VIDEO,
            width=WIDTH,
            step_version=STEP_VERSION,
            settings=self.settings.model_dump(mode="json"),
        )

    def _encode(self, batch: Sequence[ShotFrames]) -> NDArray[np.float32]:
        return np.stack([self._vector(shot) for shot in batch])

    def _vector(self, shot: ShotFrames) -> Floats:
        pictures = [measure.shrink(frame) for frame in shot.frames_rgb]
        whole, halves = colours(pictures)
        return join(
            (self.settings.colour_weight, whole),
            (self.settings.halves_weight, halves),
            (self.settings.layout_weight, layout(pictures)),
            (self.settings.texture_weight, edges(pictures)),
            (self.settings.texture_weight, patterns(pictures)),
            (self.settings.motion_weight, motion(pictures)),
        )


def colours(pictures: Sequence[WorkingPicture]) -> tuple[Floats, Floats]:
    """Colour histograms of the whole picture [8 * 6 * 6], and of its upper and lower half [2 * 5 * 5 * 5]."""
    middle = measure.WORKING_HEIGHT_PX // 2
    upper = np.sum([measure.colour_counts(picture.lab[:middle]) for picture in pictures], axis=0)
    lower = np.sum([measure.colour_counts(picture.lab[middle:]) for picture in pictures], axis=0)
    whole, above, below = (
        centred(measure.soften(counts, bins) ** COLOUR_POWER)
        for counts, bins in ((upper + lower, WHOLE_BINS), (upper, HALF_BINS), (lower, HALF_BINS))
    )
    return whole, np.concatenate([above, below])


def layout(pictures: Sequence[WorkingPicture]) -> Floats:
    """Colour and spread of lightness by cell, and the lowest spatial frequencies. [4 * 4 * 4 + 15]"""
    cells = _mean(pictures, lambda picture: measure.cell_colours(picture, *CELLS))
    cells[: CELLS[0] * CELLS[1] * 3 : 3] -= np.float32(MIDDLE_LIGHTNESS)
    frequencies = _mean(pictures, lambda picture: measure.low_frequencies(picture, FREQUENCY_SIDE))
    return signed_root(np.concatenate([cells, frequencies / np.float32(measure.FREQUENCY_GRID)]))


def edges(pictures: Sequence[WorkingPicture]) -> Floats:
    """Edge strength by orientation and cell, and the histogram of strengths. [2 * 4 * 8 + 8]"""
    orientations = _mean(pictures, lambda picture: measure.edge_orientations(picture, *EDGE_CELLS))
    strengths = _mean(pictures, lambda picture: measure.edge_strengths(picture, STRENGTH_BINS))
    return np.concatenate([np.sqrt(orientations), centred(np.sqrt(strengths))])


def patterns(pictures: Sequence[WorkingPicture]) -> Floats:
    """Histogram of local binary patterns. [59]"""
    return centred(np.sqrt(_mean(pictures, measure.local_patterns)))


def motion(pictures: Sequence[WorkingPicture]) -> Floats:
    """Change between the kept frames by cell, and the drift of colour and of unrest from first to last. [4 * 4 + 4]

    Zeros for a shot of one frame.
    """
    if len(pictures) < 2:
        return np.zeros(CELLS[0] * CELLS[1] + 4, np.float32)
    changes = np.mean([measure.cell_differences(before, after, *CELLS) for before, after in pairwise(pictures)], axis=0)
    first, last = measure.overall(pictures[0]), measure.overall(pictures[-1])
    return np.concatenate([np.sqrt(changes), signed_root(last - first)])


def _mean(pictures: Sequence[WorkingPicture], measured: Callable[[WorkingPicture], Floats]) -> Floats:
    """The mean over a shot's frames."""
    return np.asarray(np.mean([measured(picture) for picture in pictures], axis=0), np.float32)

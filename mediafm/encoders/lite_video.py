"""lite-video: the look of a shot from its stored frames, by signal descriptors. No weights; our choice throughout.

Each family of descriptors is averaged over the shot's frames, put to a power below one (so that a few strong bins do
not own the cosine), brought to unit length and weighted; the families are then joined. No number is fitted on a
catalogue: a shot's vector comes from that shot alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mediafm.config import Positive, Section
from mediafm.encoders import frame_descriptors as measure
from mediafm.encoders.encoder import Encoder, EncoderSpec, ShotFrames
from mediafm.encoders.frame_descriptors import Floats, WorkingPicture
from mediafm.types import Modality

STEP_VERSION = 1
WIDTH = 768
GRID = (4, 4)
MIDDLE_LIGHTNESS = 0.35
"""Subtracted from cell means of lightness, so that two ordinary pictures are not alike merely for being lit."""
MIN_FAMILY_NORM = 1e-3
"""Added to a family's length before dividing, so that a black frame's rounding noise is not blown up."""


class LiteVideoSettings(Section):
    """How much each family of descriptors counts in the cosine."""

    colour_weight: Positive = 1.0
    layout_weight: Positive = 0.5
    texture_weight: Positive = 0.4
    motion_weight: Positive = 0.15


class LiteVideo(Encoder[ShotFrames]):
    """768 numbers a shot: colour, layout, texture and motion of its frames."""

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
        families = (
            self.settings.colour_weight * _unit(_colour(pictures)),
            self.settings.layout_weight * _unit(_layout(pictures)),
            self.settings.texture_weight * _unit(_edges(pictures)),
            self.settings.texture_weight * _unit(_patterns(pictures)),
            self.settings.motion_weight * _unit(_motion(pictures)),
        )
        joined = np.concatenate(families)
        vector = np.zeros(WIDTH, np.float32)
        vector[: len(joined)] = joined
        return vector


def _colour(pictures: Sequence[WorkingPicture]) -> Floats:
    mean = np.mean([measure.colour_histogram(picture) for picture in pictures], axis=0)
    return _centred(mean**0.25)


def _layout(pictures: Sequence[WorkingPicture]) -> Floats:
    cells = np.mean([measure.cell_colours(picture, *GRID) for picture in pictures], axis=0)
    cells[0 : GRID[0] * GRID[1] * 3 : 3] -= MIDDLE_LIGHTNESS
    frequencies = np.mean([measure.low_frequencies(picture, 8) for picture in pictures], axis=0)
    return np.concatenate([_unit(_signed_root(cells)), 0.5 * _unit(_signed_root(frequencies))])


def _edges(pictures: Sequence[WorkingPicture]) -> Floats:
    mean = np.mean([measure.edge_orientations(picture, *GRID) for picture in pictures], axis=0)
    return np.asarray(np.sqrt(mean), np.float32)


def _patterns(pictures: Sequence[WorkingPicture]) -> Floats:
    mean = np.mean([measure.local_patterns(picture) for picture in pictures], axis=0)
    return _centred(np.sqrt(mean))


def _motion(pictures: Sequence[WorkingPicture]) -> Floats:
    if len(pictures) < 2:
        return np.zeros(GRID[0] * GRID[1], np.float32)
    changes = [measure.cell_differences(before, after, *GRID) for before, after in pairwise(pictures)]
    return np.asarray(np.sqrt(np.mean(changes, axis=0)), np.float32)


def _signed_root(values: Floats) -> Floats:
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)), np.float32)


def _centred(values: Floats) -> Floats:
    """Without the part that all bins share: histograms then spread around zero instead of along one direction."""
    return np.asarray(values - values.mean(), np.float32)


def _unit(values: Floats) -> Floats:
    return np.asarray(values / (np.linalg.norm(values) + MIN_FAMILY_NORM), np.float32)

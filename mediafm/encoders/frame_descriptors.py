"""What lite-video measures of one frame: colour, layout, edges and texture. Our choice throughout, from textbook parts.

A frame is first shrunk to a small working picture, so that the cost does not depend on the file and fine noise is gone.
Shapes: H, W of the working picture; C cells of a grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

WORKING_WIDTH_PX = 128
WORKING_HEIGHT_PX = 72
LIGHTNESS_BINS = 8
CHROMA_BINS = 6
CHROMA_RANGE = 100.0
"""Largest |a| or |b| of CIE Lab that is told apart."""
NUM_ORIENTATIONS = 8
NUM_LBP_CLASSES = 59
"""Uniform patterns of eight neighbours (58) and all others (1)."""


@dataclass(frozen=True, slots=True)
class WorkingPicture:
    """A frame shrunk to the working size: CIE Lab float32 [H, W, 3], L in 0..100, a and b about -100..100."""

    lab: Floats

    @property
    def lightness(self) -> Floats:
        """Float32 [H, W] in 0..1."""
        return self.lab[:, :, 0] / np.float32(100)


def shrink(frame_rgb: NDArray[np.uint8]) -> WorkingPicture:
    """The working picture of a frame, uint8 [height, width, 3]; proportions are not kept."""
    import cv2

    size = (WORKING_WIDTH_PX, WORKING_HEIGHT_PX)
    small = cv2.resize(np.ascontiguousarray(frame_rgb), size, interpolation=cv2.INTER_AREA)
    return WorkingPicture(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2Lab))


def colour_histogram(picture: WorkingPicture) -> Floats:
    """Joint histogram over lightness and both chroma axes, softened between bins; sums to 1. [8 * 6 * 6]

    Chroma is square-rooted first: most pixels of film are close to grey.
    """
    lab = picture.lab
    chroma = np.sign(lab[:, :, 1:]) * np.sqrt(np.minimum(np.abs(lab[:, :, 1:]), CHROMA_RANGE) / CHROMA_RANGE)
    places = np.stack(
        [
            picture.lightness * LIGHTNESS_BINS - 0.5,
            (chroma[:, :, 0] + 1) / 2 * CHROMA_BINS - 0.5,
            (chroma[:, :, 1] + 1) / 2 * CHROMA_BINS - 0.5,
        ],
        axis=-1,
    ).reshape(-1, 3)
    return _soft_histogram(places, (LIGHTNESS_BINS, CHROMA_BINS, CHROMA_BINS))


def cell_colours(picture: WorkingPicture, rows: int, columns: int) -> Floats:
    """Mean L, a, b and spread of L of each cell of a grid, all about 0..1. [rows * columns * 4]"""
    cells = _cells(picture.lab, rows, columns)
    means = cells.mean(axis=(1, 3)) / np.float32(100)
    spread = cells[:, :, :, :, 0].std(axis=(1, 3)) / np.float32(100)
    return np.concatenate([means.reshape(-1), spread.reshape(-1)])


def low_frequencies(picture: WorkingPicture, side: int) -> Floats:
    """The first side x side coefficients of the lightness's cosine transform, without the mean. [side² - 1]"""
    import cv2

    spectrum = cv2.dct(cv2.resize(picture.lightness, (64, 64), interpolation=cv2.INTER_AREA))
    return np.asarray(spectrum[:side, :side].reshape(-1)[1:], np.float32)


def edge_orientations(picture: WorkingPicture, rows: int, columns: int) -> Floats:
    """Gradient strength by orientation (undirected) in each cell of a grid. [rows * columns * 8]"""
    import cv2

    across = cv2.Sobel(picture.lightness, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(picture.lightness, cv2.CV_32F, 0, 1)
    place = (np.arctan2(down, across) / np.pi % 1.0) * NUM_ORIENTATIONS
    low = np.floor(place)
    share = (place - low).astype(np.float32)
    strength = np.hypot(across, down)
    planes = np.zeros((*strength.shape, NUM_ORIENTATIONS), np.float32)
    index = low.astype(np.int64) % NUM_ORIENTATIONS
    np.put_along_axis(planes, index[:, :, None], (strength * (1 - share))[:, :, None], axis=2)
    above = ((index + 1) % NUM_ORIENTATIONS)[:, :, None]
    np.put_along_axis(planes, above, (strength * share)[:, :, None], axis=2)
    return np.asarray(_cells(planes, rows, columns).mean(axis=(1, 3)), np.float32).reshape(-1)


def local_patterns(picture: WorkingPicture) -> Floats:
    """Histogram of uniform local binary patterns (Ojala et al. 2002), eight neighbours at radius 1; sums to 1. [59]"""
    grey = picture.lightness
    centre = grey[1:-1, 1:-1] + np.float32(0.01)
    codes = np.zeros(centre.shape, np.uint8)
    height, width = grey.shape
    for bit, (dy, dx) in enumerate(((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))):
        codes |= (grey[dy : dy + height - 2, dx : dx + width - 2] > centre).astype(np.uint8) << np.uint8(bit)
    counts = np.bincount(_lbp_classes()[codes.reshape(-1)], minlength=NUM_LBP_CLASSES)
    return (counts / codes.size).astype(np.float32)


def cell_differences(before: WorkingPicture, after: WorkingPicture, rows: int, columns: int) -> Floats:
    """Mean absolute change of lightness in each cell, 0..1. [rows * columns]"""
    change = np.abs(after.lightness - before.lightness)[:, :, None]
    return np.asarray(_cells(change, rows, columns).mean(axis=(1, 3)), np.float32).reshape(-1)


def _cells(planes: Floats, rows: int, columns: int) -> Floats:
    """[H, W, K] as [rows, h, columns, w, K]."""
    height, width, depth = planes.shape
    return planes.reshape(rows, height // rows, columns, width // columns, depth)


def _soft_histogram(places: Floats, shape: tuple[int, int, int]) -> Floats:
    """Each point's mass shared linearly between its neighbouring bins along each axis."""
    limits = np.asarray(shape, np.float32) - 1
    places = np.clip(places, 0, limits)
    low = np.minimum(places.astype(np.int64), np.asarray(shape) - 2)
    share = places - low
    found = np.zeros(int(np.prod(shape)), np.float64)
    for corner in range(8):
        bits = np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
        mass = np.where(bits, share, 1 - share).prod(axis=1)
        index = np.ravel_multi_index(tuple((low + bits).T), shape)
        found += np.bincount(index, weights=mass, minlength=len(found))
    return (found / len(places)).astype(np.float32)


@lru_cache(maxsize=1)
def _lbp_classes() -> NDArray[np.int64]:
    """For each of 256 codes its class: uniform ones (at most two changes around the circle) by themselves."""
    classes = np.full(256, NUM_LBP_CLASSES - 1, np.int64)
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    uniform = np.flatnonzero((bits != np.roll(bits, 1, axis=1)).sum(axis=1) <= 2)
    classes[uniform] = np.arange(len(uniform))
    return classes

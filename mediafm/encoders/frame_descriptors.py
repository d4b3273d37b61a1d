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
Counts = NDArray[np.int64]

WORKING_WIDTH_PX = 128
WORKING_HEIGHT_PX = 72
FINE_BINS = (40, 30, 30)
"""Fine bins of lightness and of the two chroma axes, before they are softened into the few that are kept."""
CHROMA_RANGE = np.float32(100)
"""Largest |a| or |b| of CIE Lab that is told apart."""
FREQUENCY_GRID = 32
"""The lightness is shrunk to a square of this side before its cosine transform."""
NUM_ORIENTATIONS = 8
STRONGEST_EDGE = 1.5
"""Root of the gradient's length at which the last bin of edge strengths begins to hold everything."""
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


def colour_counts(lab: Floats) -> Counts:
    """Pixels of [h, w, 3] by finely cut lightness and chroma axes. Counts add up over frames. [40, 30, 30]

    Chroma is square-rooted first: most pixels of film are close to grey.
    """
    chroma = np.clip(lab[:, :, 1:] / CHROMA_RANGE, -1, 1)
    chroma = np.sign(chroma) * np.sqrt(np.abs(chroma))
    places = np.concatenate([lab[:, :, :1] / 100, (chroma + 1) / 2], axis=-1) * np.asarray(FINE_BINS, np.float32)
    fine = np.clip(places.astype(np.int64), 0, np.asarray(FINE_BINS) - 1)
    index = (fine[:, :, 0] * FINE_BINS[1] + fine[:, :, 1]) * FINE_BINS[2] + fine[:, :, 2]
    return np.bincount(index.reshape(-1), minlength=FINE_BINS[0] * FINE_BINS[1] * FINE_BINS[2]).reshape(FINE_BINS)


def soften(counts: Counts, bins: tuple[int, int, int]) -> Floats:
    """The histogram in coarse bins, each pixel shared by the two nearest; sums to 1. [prod(bins)]"""
    shares = counts / counts.sum()
    lightness, first, second = (_sharing(fine, coarse) for fine, coarse in zip(FINE_BINS, bins, strict=True))
    # One axis after the other, by einsum: threads of BLAS cost more than they give at this size.
    shares = np.einsum("lf,fgh->lgh", lightness, shares)
    shares = np.einsum("ag,lgh->lah", first, shares)
    shares = np.einsum("bh,lah->lab", second, shares)
    return np.asarray(shares.reshape(-1), np.float32)


def cell_colours(picture: WorkingPicture, rows: int, columns: int) -> Floats:
    """Mean L, a, b and spread of L of each cell of a grid, all about 0..1. [rows * columns * 4]"""
    cells = _cells(picture.lab, rows, columns)
    means = cells.mean(axis=(1, 3)) / np.float32(100)
    spread = cells[:, :, :, :, 0].std(axis=(1, 3)) / np.float32(100)
    return np.concatenate([means.reshape(-1), spread.reshape(-1)])


def low_frequencies(picture: WorkingPicture, side: int) -> Floats:
    """The first side x side coefficients of the lightness's cosine transform, without the mean. [side² - 1]"""
    import cv2

    grid = (FREQUENCY_GRID, FREQUENCY_GRID)
    spectrum = cv2.dct(cv2.resize(picture.lightness, grid, interpolation=cv2.INTER_AREA))
    return np.asarray(spectrum[:side, :side].reshape(-1)[1:], np.float32)


def edge_orientations(picture: WorkingPicture, rows: int, columns: int) -> Floats:
    """Gradient strength by orientation (undirected) in each cell of a grid. [rows * columns * 8]"""
    across, down = _gradient(picture)
    place = (np.arctan2(down, across) / np.pi % 1.0) * NUM_ORIENTATIONS
    low = np.floor(place)
    strength = np.hypot(across, down)
    to_upper = strength * (place - low)
    lower = _cell_numbers(rows, columns) * NUM_ORIENTATIONS + low.astype(np.int64) % NUM_ORIENTATIONS
    upper = _cell_numbers(rows, columns) * NUM_ORIENTATIONS + (low.astype(np.int64) + 1) % NUM_ORIENTATIONS
    size = rows * columns * NUM_ORIENTATIONS
    sums = np.bincount(lower.reshape(-1), (strength - to_upper).reshape(-1), size)
    sums += np.bincount(upper.reshape(-1), to_upper.reshape(-1), size)
    return np.asarray(sums * (rows * columns / strength.size), np.float32)


def edge_strengths(picture: WorkingPicture, bins: int) -> Floats:
    """Histogram of the roots of the gradient's length: how busy, how sharp the picture is; sums to 1. [bins]"""
    strength = np.sqrt(np.hypot(*_gradient(picture))).reshape(-1)
    index = np.minimum((strength / STRONGEST_EDGE * bins).astype(np.int64), bins - 1)
    return (np.bincount(index, minlength=bins) / len(index)).astype(np.float32)


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


def overall(picture: WorkingPicture) -> Floats:
    """Mean L, a, b and the spread of L of the whole picture, all about 0..1. [4]"""
    return cell_colours(picture, 1, 1)


def _gradient(picture: WorkingPicture) -> tuple[Floats, Floats]:
    """Change of lightness across and down, each float32 [H, W] (Sobel)."""
    import cv2

    return (
        np.asarray(cv2.Sobel(picture.lightness, cv2.CV_32F, 1, 0), np.float32),
        np.asarray(cv2.Sobel(picture.lightness, cv2.CV_32F, 0, 1), np.float32),
    )


def _cells(planes: Floats, rows: int, columns: int) -> Floats:
    """[H, W, K] as [rows, h, columns, w, K]."""
    height, width, depth = planes.shape
    return planes.reshape(rows, height // rows, columns, width // columns, depth)


@lru_cache(maxsize=8)
def _cell_numbers(rows: int, columns: int) -> NDArray[np.int64]:
    """Which cell of a grid each pixel of the working picture lies in, int64 [H, W]."""
    down = np.arange(WORKING_HEIGHT_PX) * rows // WORKING_HEIGHT_PX
    across = np.arange(WORKING_WIDTH_PX) * columns // WORKING_WIDTH_PX
    return np.asarray(down[:, None] * columns + across, np.int64)


@lru_cache(maxsize=16)
def _sharing(num_fine: int, num_coarse: int) -> NDArray[np.float64]:
    """How much of each fine bin goes to each coarse one; columns sum to 1. [num_coarse, num_fine]"""
    places = np.clip((np.arange(num_fine) + 0.5) * num_coarse / num_fine - 0.5, 0, num_coarse - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(np.arange(num_coarse)[:, None] - places)), np.float64)


@lru_cache(maxsize=1)
def _lbp_classes() -> NDArray[np.int64]:
    """For each of 256 codes its class: uniform ones (at most two changes around the circle) by themselves."""
    classes = np.full(256, NUM_LBP_CLASSES - 1, np.int64)
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    uniform = np.flatnonzero((bits != np.roll(bits, 1, axis=1)).sum(axis=1) <= 2)
    classes[uniform] = np.arange(len(uniform))
    return classes

"""What the default detector looks at: the frames around a possible boundary, compared through their inner products.

A frame becomes a vector of 16x9 mean colours. From the inner products of the vectors in a sliding window follow, by
algebra alone, the distance of any two frames and how far a frame lies from the straight line between two others.

A dissolve from frame a to frame b moves along that line: x_t = (1 - s) x_a + s x_b, so its residual is small and its
share s grows evenly, while a pan, a zoom or an object leaves the line. (The production model of Hampapur, Jain and
Weymouth, "Production model based digital video segmentation", 1995; features and scales are our choice.)

Legend: C centres of one block, H scales, T frames between two ends (padded), W frames of the window, F features.
A centre is the first frame of a new shot; its ends at scale h are the frames h + 1 before it and h after it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indexes = NDArray[np.intp]

FRAME_PX = (64, 36)
"""Width and height of the frames that are looked at; others are brought to this size."""
GRID_PX = (16, 9)
"""Width and height of the grid of mean colours."""
SCALES = (2, 4, 6, 9, 12)
"""Half lengths in frames: a transition of 24 frames fits between the ends of the widest."""
REACH = 18
"""How many frames on each side of a centre are looked at."""
BLOCK = 4
"""Centres worked out together, so that numpy's overhead is paid once a block."""
WINDOW = 2 * REACH + BLOCK

NOISE = 1e-4
"""Added to squared distances of colours in [0, 1] before a logarithm or a division: about the grain of a film."""

FINE_NOISE = 3e-3
"""The same for absolute differences."""

STRUCTURE_FLOOR = 0.02
"""Added to 1 - correlation before a logarithm."""

_AT_SCALE = ("distance", "structure", "residual", "unevenness", "unrest_more", "unrest_less", "contrast", "light")
FEATURE_NAMES: tuple[str, ...] = (
    "step",
    "step_beside_max",
    "step_beside_mean",
    "step_over_3",
    "step_over_5",
    "step_structure",
    "fine_step",
    "fine_beside_max",
    "fine_beside_mean",
    "fine_over_3",
    "fine_over_5",
    "luma",
    "spread",
    *(f"{name}_{h}" for name in _AT_SCALE for h in SCALES),
)
"""Columns of the features, logarithms but for luma and spread (the centre's mean and deviation).

step: squared distance of the centre and the frame before it; step_beside_*: of the three such pairs on each side;
step_over_*: across 3 and 5 frames instead of 1, small where the picture returns, as after a flash.
fine_*: the same of the frames' pixels instead of the grid, and of mean absolute differences instead of squared ones.
structure: 1 - correlation of the ends, blind to light. residual: mean squared distance from the line between the ends;
unevenness: mean squared error of the share against an even ramp; both relative to the distance of the ends.
unrest: the change inside either side relative to that distance, the greater and the lesser one: large in a picture
that moves anyway. contrast, light: the centre's deviation and mean relative to the lesser end's, low inside a fade.
"""


@dataclass(frozen=True, slots=True)
class _Places:
    """Where in the window the frames of a block's centres stand. All but the last two are indexes."""

    centre_C: Indexes
    ends_CH: tuple[Indexes, Indexes]
    sides_CH: tuple[Indexes, Indexes]
    between_CHT: Indexes
    weight_HT: Floats
    even_share_HT: Floats


def frame_vector(pixels: NDArray[np.uint8]) -> Floats:
    """A frame as mean colours: uint8 [height, width, 3] to float32 [432]; a squared distance is a mean over them."""
    import cv2

    grid = cv2.resize(pixels, GRID_PX, interpolation=cv2.INTER_AREA).reshape(-1)
    return np.asarray(grid * np.float32(1.0 / (255.0 * np.sqrt(grid.size))), np.float32)


class _FineSteps:
    """The mean absolute difference of each frame to the frames 1, 3 and 5 before it."""

    LAGS = (1, 3, 5)

    def __init__(self) -> None:
        self._recent: deque[NDArray[np.uint8]] = deque(maxlen=max(self.LAGS))

    def push(self, pixels: NDArray[np.uint8]) -> list[float]:
        import cv2

        if pixels.shape != (FRAME_PX[1], FRAME_PX[0], 3):
            pixels = cv2.resize(pixels, FRAME_PX, interpolation=cv2.INTER_AREA)
        if not self._recent:
            self._recent.extend([pixels] * max(self.LAGS))
        scale = 1.0 / (255.0 * pixels.size)
        steps = [cv2.norm(pixels, self._recent[-lag], cv2.NORM_L1) * scale for lag in self.LAGS]
        self._recent.append(pixels)
        return steps


class TransitionFeatures:
    """A title's frames in, one row of features for each frame out, in order.

    The row of frame c is told by the push of frame c + REACH + BLOCK - 1 at the latest. Before its first frame and
    after its last one the title stands still.
    """

    def __init__(self) -> None:
        self._vectors = np.zeros((WINDOW, GRID_PX[0] * GRID_PX[1] * 3), np.float32)
        self._products = np.zeros((WINDOW, WINDOW), np.float32)
        self._means = np.zeros((WINDOW, 3), np.float32)
        self._fine = np.zeros((WINDOW, len(_FineSteps.LAGS)), np.float32)
        self._fine_steps = _FineSteps()
        self._places = _places()
        self._last: NDArray[np.uint8] | None = None
        self._num_waiting = 0
        self._num_taken = 0
        self._num_pushed = 0
        self._num_told = 0

    def push(self, pixels: NDArray[np.uint8]) -> Floats:
        """Takes the next frame, uint8 [height, width, 3]; returns float32 [C, F]: the next C rows, often none."""
        if self._last is None:
            vector = frame_vector(pixels)
            self._vectors[:] = vector
            self._products[:] = vector @ vector
            self._means[:] = _colour_means(vector[None])
        self._last = pixels
        self._num_pushed += 1
        return self._take(pixels)

    def flush(self) -> Floats:
        """The rows still due: float32 [C, F]."""
        rows = [_NO_ROWS]
        while self._last is not None and self._num_told < self._num_pushed:
            rows.append(self._take(self._last))
        return np.concatenate(rows)

    def _take(self, pixels: NDArray[np.uint8]) -> Floats:
        place = WINDOW - BLOCK + self._num_waiting
        self._vectors[place] = frame_vector(pixels)
        self._fine[place] = self._fine_steps.push(pixels)
        self._num_waiting += 1
        return self._tell() if self._num_waiting == BLOCK else _NO_ROWS

    def _tell(self) -> Floats:
        """Works out a full block: its first centre is the frame REACH + BLOCK - 1 before the window's last."""
        fresh = self._vectors[-BLOCK:] @ self._vectors.T
        self._products[-BLOCK:], self._products[:, -BLOCK:] = fresh, fresh.T
        self._means[-BLOCK:] = _colour_means(self._vectors[-BLOCK:])
        rows = _rows(_Window.of(self._products, self._means, self._fine), self._places)
        for kept in (self._vectors, self._means, self._fine):
            kept[:-BLOCK] = kept[BLOCK:]
        self._products[:-BLOCK, :-BLOCK] = self._products[BLOCK:, BLOCK:]
        self._num_waiting = 0
        return self._due(rows)

    def _due(self, rows: Floats) -> Floats:
        """Leaves out centres that stand before the title's first frame or after its last."""
        self._num_taken += BLOCK
        first = self._num_taken - REACH - BLOCK
        rows = rows[max(0, -first) : max(0, self._num_pushed - first)]
        self._num_told += len(rows)
        return rows


_NO_ROWS: Floats = np.zeros((0, len(FEATURE_NAMES)), np.float32)


def _places() -> _Places:
    scale_H = np.array(SCALES)
    margin_H = np.minimum(scale_H + 4, REACH - scale_H - 1)
    centre_C = REACH + np.arange(BLOCK)
    a_CH = centre_C[:, None] - 1 - scale_H
    b_CH = centre_C[:, None] + scale_H
    offset_HT = np.arange(2 * scale_H.max())
    is_between_HT = offset_HT < 2 * scale_H[:, None]
    return _Places(
        centre_C=centre_C,
        ends_CH=(a_CH, b_CH),
        sides_CH=(a_CH - margin_H, b_CH + margin_H),
        between_CHT=np.minimum(a_CH[..., None] + 1 + offset_HT, b_CH[..., None]),
        weight_HT=(is_between_HT / (2.0 * scale_H[:, None])).astype(np.float32),
        even_share_HT=((offset_HT + 1) / (2.0 * scale_H[:, None] + 1)).astype(np.float32),
    )


def _colour_means(vectors: Floats) -> Floats:
    """[N, 432] to [N, 3]: each frame's mean blue, green and red in [0, 1]."""
    num_values = vectors.shape[1]
    sums = vectors.reshape(len(vectors), -1, 3).sum(axis=1)
    return np.asarray(sums * np.float32(3.0 / np.sqrt(num_values)), np.float32)


@dataclass(frozen=True, slots=True)
class _Window:
    """The frames of the window, by their inner products and fine steps: all that features need to know of them."""

    products_WW: Floats
    norm_W: Floats
    mean_W3: Floats
    luma_W: Floats
    spread_W: Floats
    fine_W3: Floats

    @staticmethod
    def of(products_WW: Floats, mean_W3: Floats, fine_W3: Floats) -> _Window:
        norm_W = products_WW.diagonal()
        variance_W = np.maximum(norm_W - (mean_W3 * mean_W3).mean(axis=1), 0.0)
        return _Window(products_WW, norm_W, mean_W3, mean_W3.mean(axis=1), np.sqrt(variance_W), fine_W3)

    def distance(self, i: Indexes, j: Indexes) -> Floats:
        """Squared: the mean over the grid of the squared differences."""
        squared = self.norm_W[i] + self.norm_W[j] - 2 * self.products_WW[i, j]
        return np.asarray(np.maximum(squared, 0.0), np.float32)

    def structure(self, i: Indexes, j: Indexes) -> Floats:
        """log(1 - correlation) over the grid; each colour's mean is taken out."""
        covariance = self.products_WW[i, j] - (self.mean_W3[i] * self.mean_W3[j]).mean(axis=-1)
        unlike = np.maximum(1.0 - covariance / (self.spread_W[i] * self.spread_W[j] + NOISE), 0.0)
        return np.asarray(np.log(unlike + STRUCTURE_FLOOR), np.float32)


def _rows(window: _Window, places: _Places) -> Floats:
    at_scales = (
        *_ends(window, places),
        *_line(window, places),
        *_unrest(window, places),
        *_dip(window, places),
    )
    return np.concatenate([_steps(window, places.centre_C), *at_scales], axis=1)


def _steps(window: _Window, c: Indexes) -> Floats:
    """Neighbouring frames: float32 [C, 13]."""
    frames = np.arange(WINDOW)
    step_W = np.zeros(WINDOW, np.float32)
    step_W[1:] = window.distance(frames[:-1], frames[1:])
    fine_W = window.fine_W3[:, 0]
    beside = c[:, None] + np.array([-3, -2, -1, 1, 2, 3])
    coarse_C = [step_W[c], step_W[beside].max(axis=1), step_W[beside].mean(axis=1)]
    coarse_C += [window.distance(c - 2, c + 1), window.distance(c - 3, c + 2)]
    fine_C = [fine_W[c], fine_W[beside].max(axis=1), fine_W[beside].mean(axis=1)]
    fine_C += [window.fine_W3[c + 1, 1], window.fine_W3[c + 2, 2]]
    columns_C = [
        *np.log(np.stack(coarse_C) + NOISE),
        window.structure(c - 1, c),
        *np.log(np.stack(fine_C) + FINE_NOISE),
        window.luma_W[c],
        window.spread_W[c],
    ]
    return np.stack(columns_C, axis=1)


def _ends(window: _Window, places: _Places) -> tuple[Floats, Floats]:
    a, b = places.ends_CH
    return np.log(window.distance(a, b) + NOISE), window.structure(a, b)


def _line(window: _Window, places: _Places) -> tuple[Floats, Floats]:
    """How far the frames between the ends lie from the line between them, and how evenly they move along it."""
    a, b = places.ends_CH
    between = places.between_CHT
    apart_CH = window.distance(a, b)
    towards_CHT = (
        window.products_WW[between, b[..., None]]
        - window.products_WW[between, a[..., None]]
        - (window.products_WW[a, b] - window.norm_W[a])[..., None]
    )
    share_CHT = towards_CHT / (apart_CH + NOISE)[..., None]
    off_CHT = window.distance(between, a[..., None]) - share_CHT * (2 * towards_CHT - share_CHT * apart_CH[..., None])
    residual_CH = (np.maximum(off_CHT, 0.0) * places.weight_HT).sum(-1) / (apart_CH + NOISE)
    uneven_CH = (np.square(share_CHT - places.even_share_HT) * places.weight_HT).sum(-1)
    return np.log(residual_CH + 0.003), np.log(uneven_CH + 0.003)


def _unrest(window: _Window, places: _Places) -> tuple[Floats, Floats]:
    apart_CH = window.distance(*places.ends_CH)
    before_CH, after_CH = (
        np.log((window.distance(side, end) + NOISE) / (apart_CH + NOISE))
        for side, end in zip(places.sides_CH, places.ends_CH, strict=True)
    )
    return np.maximum(before_CH, after_CH), np.minimum(before_CH, after_CH)


def _dip(window: _Window, places: _Places) -> tuple[Floats, Floats]:
    """Contrast and light of the centre against those of its ends."""
    c = places.centre_C
    a, b = places.ends_CH

    def dip(values_W: Floats, floor: float) -> Floats:
        at_centre_C1 = np.minimum(values_W[c - 1], values_W[c])[:, None]
        return np.asarray(np.log((at_centre_C1 + floor) / (np.minimum(values_W[a], values_W[b]) + floor)), np.float32)

    return dip(window.spread_W, 0.01), dip(window.luma_W, 0.02)

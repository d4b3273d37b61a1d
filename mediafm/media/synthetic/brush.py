"""A brush for painted places: shapes in shares of the canvas, so that a place is drawn alike at any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mediafm.media.synthetic.characters import Colour

Picture = NDArray[np.uint8]
"""Blue, green, red, `[height, width, 3]`."""


@dataclass(frozen=True, kw_only=True)
class Brush:
    """A canvas, the numbers that make this title's place its own, and the lighting."""

    canvas: Picture
    rng: np.random.Generator
    lighting: str

    @property
    def width(self) -> int:
        return int(self.canvas.shape[1])

    @property
    def height(self) -> int:
        return int(self.canvas.shape[0])

    def sky(self, top: Colour, bottom: Colour, until: float = 1.0) -> None:
        """A vertical gradient from the top down to `until` of the height."""
        rows = max(1, int(self.height * until))
        share = np.linspace(0.0, 1.0, rows)[:, None, None]
        colours = np.asarray(top, np.float64) * (1 - share) + np.asarray(bottom, np.float64) * share
        self.canvas[:rows] = colours.astype(np.uint8)

    def ridge(self, base: float, roughness: float, colour: Colour, num_waves: int = 5) -> None:
        """A hill line at `base` of the height, filled to the bottom."""
        x = np.linspace(0.0, 1.0, 160)
        y = np.full_like(x, base)
        for wave in range(1, num_waves + 1):
            phase, strength = self.rng.random(2)
            y += roughness / wave * (strength + 0.3) * np.sin(2 * np.pi * (wave * x * 1.3 + phase))
        self.polygon([*zip(x, y, strict=True), (1.0, 1.0), (0.0, 1.0)], colour)

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        corners = np.asarray([(x * self.width, y * self.height) for x, y in points])
        cv2.fillPoly(self.canvas, [np.round(corners * 8).astype(np.int32)], colour, cv2.LINE_AA, shift=3)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour, flatness: float = 1.0) -> None:
        """An ellipse; `radius` is a share of the height, `flatness` its height over its width."""
        axes = (max(1, round(radius * self.height)), max(1, round(radius * flatness * self.height)))
        centre = (round(x * self.width), round(y * self.height))
        cv2.ellipse(self.canvas, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, thickness: float = 0.006) -> None:
        start, end = ((round(x * self.width), round(y * self.height)) for x, y in ((x0, y0), (x1, y1)))
        cv2.line(self.canvas, start, end, colour, max(1, round(thickness * self.height)), cv2.LINE_AA)

    def any_colour(self, darkest: int, lightest: int) -> Colour:
        """A colour of this title's place."""
        blue, green, red = (int(value) for value in self.rng.integers(darkest, lightest, 3))
        return blue, green, red

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))


def lighter(colour: Colour, by: int) -> Colour:
    """The colour with `by` added to each part; darker where it is negative."""
    blue, green, red = (min(255, max(0, part + by)) for part in colour)
    return blue, green, red

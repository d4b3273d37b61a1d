"""What a genre lays over the picture: stripes, bars, edges. Each draws into a look's shade and shine, in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from mediafm.media.synthetic.brush import Picture
from mediafm.media.synthetic.characters import Colour


def vignette(shade: Picture, strength: float) -> None:
    """Darkens the edges by up to `strength`."""
    height, width = shade.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot((x / width - 0.5) * 2, (y / height - 0.5) * 2) / np.sqrt(2)
    shade[:] = (shade * (1 - strength * np.clip(distance * 1.3, 0, 1) ** 2)[..., None]).astype(np.uint8)


def corner_light(shine: Picture, colour: Colour, reach: float) -> None:
    """A coloured light from the upper left corner; `reach` is a share of the picture."""
    height, width = shine.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    strength = np.clip(1 - np.hypot(x / width, y / height) / (0.4 + reach), 0, 1)[..., None]
    shine[:] = np.clip(shine + strength * np.asarray(colour), 0, 255).astype(np.uint8)


def _letterbox(shade: Picture, shine: Picture) -> None:
    bar = round(shade.shape[0] * 0.09)
    shade[:bar] = 0
    shade[-bar:] = 0


def _dark_edges(shade: Picture, shine: Picture) -> None:
    vignette(shade, 0.8)


def _blinds(shade: Picture, shine: Picture) -> None:
    height, width = shade.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    stripes = ((y / height + 0.35 * x / width) * 9) % 1.0 < 0.42
    shade[stripes] = (shade[stripes] * 0.62).astype(np.uint8)


def _grid(shade: Picture, shine: Picture) -> None:
    height, width = shade.shape[:2]
    shade[::3] = (shade[::3] * 0.72).astype(np.uint8)
    for step in range(1, 10):
        shine[:, step * width // 10] = (70, 50, 0)
    for step in range(1, 6):
        shine[step * height // 6] = (70, 50, 0)


def _speed_lines(shade: Picture, shine: Picture) -> None:
    height, width = shine.shape[:2]
    for ray in range(40):
        angle = 2 * np.pi * ray / 40 + 0.07 * (ray % 3)
        inner, outer = (0.78, 1.4) if ray % 2 else (0.88, 1.4)
        start, end = (
            (round(width / 2 * (1 + share * np.cos(angle))), round(height / 2 * (1 + share * np.sin(angle))))
            for share in (inner, outer)
        )
        cv2.line(shine, start, end, (190, 190, 190), max(1, width // 180), cv2.LINE_AA)


def _lower_third(shade: Picture, shine: Picture) -> None:
    height, width = shade.shape[:2]
    top, bottom, right = round(height * 0.8), round(height * 0.92), round(width * 0.42)
    shade[top:bottom, round(width * 0.05) : right] = 60
    shine[top:bottom, round(width * 0.05) : round(width * 0.065)] = (180, 180, 180)
    for row in (0.84, 0.88):
        line = round(height * row)
        shine[line - 1 : line + 1, round(width * 0.09) : round(width * (0.36 if row < 0.86 else 0.28))] = 170


def _bunting(shade: Picture, shine: Picture) -> None:
    height, width = shine.shape[:2]
    colours = ((40, 40, 230), (40, 210, 240), (70, 200, 70), (230, 140, 40), (200, 60, 200))
    for flag in range(12):
        left = flag * width // 12
        drop = round(height * (0.03 + 0.05 * np.sin(np.pi * (flag % 6 + 0.5) / 6)))
        corners = [(left, drop), (left + width // 13, drop), (left + width // 26, drop + height // 9)]
        cv2.fillPoly(shade, [np.asarray(corners, np.int32)], (0, 0, 0), cv2.LINE_AA)
        cv2.fillPoly(shine, [np.asarray(corners, np.int32)], colours[flag % 5], cv2.LINE_AA)


def _rosy_edges(shade: Picture, shine: Picture) -> None:
    height, width = shine.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot((x / width - 0.5) * 2, (y / height - 0.5) * 2) / np.sqrt(2)
    shine[:] = (np.clip(distance - 0.45, 0, 1)[..., None] * np.asarray((150, 90, 230))).astype(np.uint8)


def _torn_edges(shade: Picture, shine: Picture) -> None:
    corner_light(shine, (0, 70, 120), 0.5)


GENRE_OVERLAYS: Mapping[str, Callable[[Picture, Picture], None]] = {
    "action": _torn_edges,
    "anime": _speed_lines,
    "documentary": _lower_third,
    "drama": _letterbox,
    "horror": _dark_edges,
    "kids": _bunting,
    "romance": _rosy_edges,
    "scifi": _grid,
    "thriller": _blinds,
}

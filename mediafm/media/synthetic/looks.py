"""How genre and tone colour the picture: a colour matrix, a shade, a shine, and things in the air.

Shade and shine are pictures of the screen's size: what is seen is `picture * shade / 255 + shine`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mediafm.media.synthetic.characters import Colour
from mediafm.media.synthetic.places import Picture

REC601_WEIGHTS = (0.114, 0.587, 0.299)
"""Luma's share of blue, green and red."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one scene is graded.

    matrix: float32 `[3, 4]`, colours to colours, as `cv2.transform` takes it.
    shade, shine: uint8 `[height, width, 3]`.
    particles: kinds of `mediafm.media.synthetic.particles`.
    glow: share of a blurred copy that is mixed in, 0.0 for none.
    """

    matrix: NDArray[np.float32]
    shade: Picture
    shine: Picture
    particles: tuple[str, ...]
    glow: float


@dataclass(frozen=True, kw_only=True)
class Grade:
    """A genre's or a tone's colours. `tint` multiplies blue, green and red; `lift` is added."""

    saturation: float = 1.0
    contrast: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lift: Colour = (0, 0, 0)
    particles: tuple[str, ...] = ()


GENRE_GRADES: Mapping[str, Grade] = {
    "action": Grade(contrast=1.3, tint=(0.8, 0.95, 1.2), particles=("sparks",)),
    "anime": Grade(saturation=1.7, contrast=1.15, tint=(1.05, 1.0, 1.05)),
    "comedy": Grade(saturation=1.25, tint=(0.8, 1.05, 1.1), lift=(6, 14, 16)),
    "documentary": Grade(saturation=0.75, contrast=0.95, tint=(0.98, 1.02, 0.98)),
    "drama": Grade(saturation=0.8, contrast=0.9, tint=(0.8, 0.9, 1.0)),
    "fantasy": Grade(saturation=1.3, tint=(1.15, 0.85, 1.02), particles=("fireflies",)),
    "horror": Grade(saturation=0.35, contrast=1.1, tint=(0.6, 0.8, 0.72)),
    "kids": Grade(saturation=1.35, contrast=0.8, lift=(38, 36, 38), particles=("bubbles",)),
    "romance": Grade(saturation=1.05, contrast=0.9, tint=(0.98, 0.86, 1.12), lift=(14, 4, 22), particles=("hearts",)),
    "scifi": Grade(saturation=0.7, contrast=1.15, tint=(1.25, 1.08, 0.72)),
    "thriller": Grade(saturation=0.45, contrast=1.35, tint=(1.0, 0.85, 0.75)),
}

TONE_GRADES: Mapping[str, Grade] = {
    "tense": Grade(contrast=1.12, tint=(0.85, 0.85, 0.88)),
    "joyful": Grade(saturation=1.3, tint=(0.95, 1.08, 1.1), lift=(4, 10, 12), particles=("confetti",)),
    "melancholic": Grade(saturation=0.5, tint=(1.0, 0.86, 0.78), particles=("rain",)),
    "tender": Grade(tint=(0.92, 0.97, 1.06)),
    "comic": Grade(saturation=1.1),
    "dreamy": Grade(saturation=0.9, lift=(16, 12, 14), particles=("bokeh",)),
}

PLACE_PARTICLES: Mapping[str, str] = {
    "sea": "glints",
    "forest": "leaves",
    "desert": "dust",
    "snow": "flakes",
    "space": "glints",
    "meadow": "pollen",
    "cafe": "steam",
}


def build_look(genre: str, tones: Sequence[str], topics: Sequence[str], place: str, size: tuple[int, int]) -> Look:
    """The look of a scene from what its picture shows of genre, tone and topic; `size` is width and height in px."""
    width_px, height_px = size
    grades = [GENRE_GRADES[genre], *(TONE_GRADES[tone] for tone in tones if tone in TONE_GRADES)]
    matrix = np.eye(4)
    for grade in grades:
        matrix = _as_matrix(grade) @ matrix
    shade = np.full((height_px, width_px, 3), 255, np.uint8)
    shine = np.zeros_like(shade)
    _GENRE_OVERLAYS.get(genre, _leave)(shade, shine)
    if "tender" in tones:
        _corner_light(shine, (120, 90, 200), 0.3)
    if "tense" in tones:
        _vignette(shade, 0.35)
    if "beauty" in topics:
        _corner_light(shine, (150, 20, 200), 0.75)
    particles = dict.fromkeys(kind for grade in grades for kind in grade.particles)
    if place in PLACE_PARTICLES:
        particles[PLACE_PARTICLES[place]] = None
    return Look(
        matrix=matrix[:3].astype(np.float32),
        shade=shade,
        shine=shine,
        particles=tuple(particles),
        glow=0.5 if "dreamy" in tones else 0.0,
    )


def apply_look(picture: Picture, look: Look) -> Picture:
    """The graded picture, of the same shape."""
    if look.glow:
        small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        soft = cv2.resize(cv2.GaussianBlur(small, (0, 0), 3), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        picture = cv2.addWeighted(picture, 1 - look.glow, soft, look.glow, 8)  # type: ignore[assignment]
    graded = cv2.transform(picture, look.matrix)
    shaded = cv2.multiply(graded, look.shade, scale=1 / 255)
    return cv2.add(shaded, look.shine)  # type: ignore[return-value]


def _as_matrix(grade: Grade) -> NDArray[np.float64]:
    luma = np.outer(np.ones(3), REC601_WEIGHTS)
    colours = luma + grade.saturation * (np.eye(3) - luma)
    colours = np.asarray(grade.tint)[:, None] * grade.contrast * colours
    matrix = np.eye(4)
    matrix[:3, :3] = colours
    matrix[:3, 3] = np.asarray(grade.lift) + 110 * (1 - grade.contrast)
    return matrix


def _leave(shade: Picture, shine: Picture) -> None:
    """A genre without an overlay."""


def _vignette(shade: Picture, strength: float) -> None:
    height, width = shade.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot((x / width - 0.5) * 2, (y / height - 0.5) * 2) / np.sqrt(2)
    shade[:] = (shade * (1 - strength * np.clip(distance * 1.3, 0, 1) ** 2)[..., None]).astype(np.uint8)


def _corner_light(shine: Picture, colour: Colour, reach: float) -> None:
    height, width = shine.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    strength = np.clip(1 - np.hypot(x / width, y / height) / (0.4 + reach), 0, 1)[..., None]
    shine[:] = np.clip(shine + strength * np.asarray(colour), 0, 255).astype(np.uint8)


def _letterbox(shade: Picture, shine: Picture) -> None:
    bar = round(shade.shape[0] * 0.09)
    shade[:bar] = 0
    shade[-bar:] = 0


def _dark_edges(shade: Picture, shine: Picture) -> None:
    _vignette(shade, 0.95)


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
        ends = [
            (
                round(width / 2 + share * width / 2 * np.cos(angle)),
                round(height / 2 + share * height / 2 * np.sin(angle)),
            )
            for share in (inner, outer)
        ]
        cv2.line(shine, *ends, (190, 190, 190), max(1, width // 180), cv2.LINE_AA)


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
    _corner_light(shine, (0, 70, 120), 0.5)


_GENRE_OVERLAYS = {
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

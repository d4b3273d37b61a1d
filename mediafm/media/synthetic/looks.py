"""How genre and tone colour the picture: a colour matrix, a shade, a shine, and things in the air.

Shade and shine are pictures of the screen's size: what is seen is `picture * shade / 255 + shine`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mediafm.media.synthetic.brush import Picture
from mediafm.media.synthetic.characters import Colour
from mediafm.media.synthetic.latents import Evidence
from mediafm.media.synthetic.overlays import GENRE_OVERLAYS, corner_light, vignette

REC601_WEIGHTS = (0.114, 0.587, 0.299)
"""Luma's share of blue, green and red."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one scene is graded.

    matrix: float32 `[3, 4]`, colours to colours, as `cv2.transform` takes it.
    shade, shine: uint8 `[height, width, 3]`.
    particles: kinds of `mediafm.media.synthetic.particles`, and how much of each swarm is there.
    glow: share of a blurred copy that is mixed in, 0.0 for none.
    """

    matrix: NDArray[np.float32]
    shade: Picture
    shine: Picture
    particles: Mapping[str, float]
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
    "horror": Grade(saturation=0.35, contrast=1.1, tint=(0.66, 0.92, 0.8), lift=(2, 16, 8)),
    "kids": Grade(saturation=1.35, contrast=0.8, lift=(38, 36, 38), particles=("bubbles",)),
    "romance": Grade(saturation=1.05, contrast=0.9, tint=(0.98, 0.86, 1.12), lift=(14, 4, 22), particles=("hearts",)),
    "scifi": Grade(saturation=0.7, contrast=1.15, tint=(1.25, 1.08, 0.72)),
    "thriller": Grade(saturation=0.45, contrast=1.35, tint=(1.0, 0.85, 0.75)),
}

TONE_GRADES: Mapping[str, Grade] = {
    "tense": Grade(contrast=1.12, tint=(0.85, 0.85, 0.88)),
    "joyful": Grade(saturation=1.3, tint=(0.95, 1.08, 1.1), lift=(4, 10, 12), particles=("confetti",)),
    "melancholic": Grade(saturation=0.5, contrast=1.1, tint=(1.05, 0.9, 0.82), particles=("rain",)),
    "tender": Grade(tint=(0.92, 0.97, 1.06)),
    "comic": Grade(saturation=1.1),
    "dreamy": Grade(contrast=1.15, lift=(10, 8, 10), particles=("bokeh",)),
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


def build_look(evidence: Evidence, place: str, size: tuple[int, int]) -> Look:
    """The look of a scene from what its picture shows; `size` is width and height in px."""
    genre, tones, energy = evidence.look_genre, evidence.look_tones, evidence.look_energy
    width_px, height_px = size
    grades = [GENRE_GRADES[genre], *(TONE_GRADES[tone] for tone in tones if tone in TONE_GRADES)]
    grades.append(Grade(saturation=0.75 + 0.5 * energy, contrast=0.85 + 0.3 * energy))
    matrix = np.eye(4)
    for grade in grades:
        matrix = _as_matrix(grade) @ matrix
    shade = np.full((height_px, width_px, 3), 255, np.uint8)
    shine = np.zeros_like(shade)
    if genre in GENRE_OVERLAYS:
        GENRE_OVERLAYS[genre](shade, shine)
    if "tender" in tones:
        corner_light(shine, (60, 90, 170), 0.45)
    if "tense" in tones:
        vignette(shade, 0.35)
    if "beauty" in evidence.prop_topics:
        corner_light(shine, (70, 10, 95), 0.1)
    particles = dict.fromkeys((kind for grade in grades for kind in grade.particles), 1.0)
    if place in PLACE_PARTICLES:
        particles[PLACE_PARTICLES[place]] = 1.0
    particles["rush"] = energy
    return Look(
        matrix=matrix[:3].astype(np.float32),
        shade=shade,
        shine=shine,
        particles=particles,
        glow=0.4 if "dreamy" in tones else 0.0,
    )


def apply_look(picture: Picture, look: Look) -> Picture:
    """The graded picture, of the same shape."""
    if look.glow:
        small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        soft = cv2.resize(cv2.GaussianBlur(small, (0, 0), 3), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        picture = cv2.addWeighted(picture, 1 - look.glow, soft, look.glow, 8)
    shaded = cv2.multiply(cv2.transform(picture, look.matrix), look.shade, scale=1 / 255)
    return np.asarray(cv2.add(shaded, look.shine), np.uint8)


def _as_matrix(grade: Grade) -> NDArray[np.float64]:
    luma = np.outer(np.ones(3), REC601_WEIGHTS)
    colours = luma + grade.saturation * (np.eye(3) - luma)
    colours = np.asarray(grade.tint)[:, None] * grade.contrast * colours
    matrix = np.eye(4)
    matrix[:3, :3] = colours
    matrix[:3, 3] = np.asarray(grade.lift) + 110 * (1 - grade.contrast)
    return matrix

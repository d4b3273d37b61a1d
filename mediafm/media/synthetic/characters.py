"""Who acts: shapes with colours, faces made of shapes, and a voice."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from mediafm.media.synthetic.words import NAMES

BODY_SHAPES = ("bean", "box", "drop", "ball")
HAIR_STYLES = ("bun", "spikes", "cap", "ears", "mop")

Colour = tuple[int, int, int]
"""Blue, green, red; 0 to 255, as OpenCV has it."""


@dataclass(frozen=True, kw_only=True)
class Character:
    """How somebody looks and sounds, the same in every scene of a title and of its series.

    height: as a share of the picture's height in a wide shot.
    pitch_hz: of the voice.
    formant_scale: 1.0 is an adult of middle size; larger is a smaller throat.
    """

    name: str
    body_shape: str
    hair_style: str
    body_colour: Colour
    skin_colour: Colour
    hair_colour: Colour
    height: float
    pitch_hz: float
    formant_scale: float


def draw_cast(rng: np.random.Generator, size: int) -> tuple[Character, ...]:
    """`size` characters whose names, colours and voices lie apart."""
    names = rng.choice(len(NAMES), size, replace=False)
    first_hue = float(rng.random())
    pitches_hz = rng.permutation(np.geomspace(95.0, 290.0, size))
    shapes = rng.permutation(len(BODY_SHAPES))
    hairs = rng.permutation(len(HAIR_STYLES))
    return tuple(
        Character(
            name=NAMES[int(names[i])],
            body_shape=BODY_SHAPES[int(shapes[i % len(BODY_SHAPES)])],
            hair_style=HAIR_STYLES[int(hairs[i % len(HAIR_STYLES)])],
            body_colour=colour((first_hue + i / size) % 1.0, float(rng.uniform(0.55, 0.85)), 0.85),
            skin_colour=colour(float(rng.uniform(0.05, 0.09)), float(rng.uniform(0.3, 0.6)), rng.uniform(0.6, 0.98)),
            hair_colour=colour(float(rng.uniform(0.0, 0.13)), float(rng.uniform(0.2, 0.8)), rng.uniform(0.15, 0.8)),
            height=round(float(rng.uniform(0.40, 0.54)), 3),
            pitch_hz=round(float(pitches_hz[i]), 2),
            formant_scale=round(float(0.9 + 0.3 * (pitches_hz[i] - 95.0) / 195.0), 3),
        )
        for i in range(size)
    )


def colour(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue, saturation and value, each in [0, 1]."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, float(value))
    return round(255 * blue), round(255 * green), round(255 * red)

"""Things in the air, drawn over the picture: rain, snow, sparks, hearts. Their paths are functions of time alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mediafm.media.synthetic.brush import Picture
from mediafm.media.synthetic.characters import Colour

Floats: TypeAlias = NDArray[np.float64]

SUBPIXEL_BITS = 3
"""Coordinates are drawn in units of 2 ** -SUBPIXEL_BITS px, so that slow things move smoothly."""

SOFTNESS = 0.35
"""How much of a soft particle is seen before what is behind it."""


@dataclass(frozen=True, kw_only=True)
class Swarm:
    """One kind of particle.

    velocity: shares of the picture's width and height a second; each particle has its own share of it.
    radius: share of the picture's height. streak: a line of this many seconds of its own movement instead of a disc.
    lowest, highest: the band of the picture, as shares of its height, where the particles live.
    twinkle_hz: how often a particle goes dark, 0 for never. is_soft: one sees through it.
    """

    num: int
    velocity: tuple[float, float]
    radius: float
    colours: tuple[Colour, ...]
    streak: float = 0.0
    band: tuple[float, float] = (0.0, 1.0)
    twinkle_hz: float = 0.0
    is_heart: bool = False
    is_soft: bool = False


SWARMS: Mapping[str, Swarm] = {
    "rush": Swarm(num=28, velocity=(2.2, 0.0), radius=0.004, colours=((240, 240, 240),), streak=0.06),
    "sparks": Swarm(num=22, velocity=(0.9, -0.5), radius=0.006, colours=((60, 190, 255),), streak=0.07),
    "fireflies": Swarm(
        num=26, velocity=(0.03, -0.06), radius=0.011, colours=((160, 255, 255), (255, 220, 170)), twinkle_hz=1.1
    ),
    "bubbles": Swarm(num=12, velocity=(0.02, -0.16), radius=0.04, colours=((255, 240, 230),), is_soft=True),
    "hearts": Swarm(num=9, velocity=(0.02, -0.1), radius=0.024, colours=((150, 90, 250),), is_heart=True),
    "confetti": Swarm(
        num=26,
        velocity=(0.06, 0.35),
        radius=0.011,
        colours=((60, 60, 240), (60, 220, 250), (220, 150, 60), (90, 210, 90)),
    ),
    "rain": Swarm(num=60, velocity=(-0.12, 1.6), radius=0.003, colours=((215, 195, 175),), streak=0.05),
    "bokeh": Swarm(
        num=9, velocity=(0.03, -0.03), radius=0.07, colours=((235, 215, 255), (255, 240, 215)), is_soft=True
    ),
    "glints": Swarm(
        num=24, velocity=(0.0, 0.0), radius=0.005, colours=((255, 255, 255),), band=(0.35, 0.75), twinkle_hz=1.6
    ),
    "leaves": Swarm(num=9, velocity=(0.07, 0.14), radius=0.01, colours=((60, 150, 190), (50, 120, 210))),
    "dust": Swarm(
        num=18, velocity=(0.55, 0.01), radius=0.003, colours=((190, 215, 235),), streak=0.06, band=(0.5, 1.0)
    ),
    "flakes": Swarm(num=46, velocity=(0.05, 0.24), radius=0.008, colours=((255, 255, 255),)),
    "pollen": Swarm(num=14, velocity=(0.06, -0.03), radius=0.005, colours=((200, 250, 255),), band=(0.3, 1.0)),
    "steam": Swarm(
        num=7, velocity=(0.01, -0.12), radius=0.03, colours=((225, 225, 225),), band=(0.4, 0.8), is_soft=True
    ),
}

_HEART = np.asarray(
    [(0, 1), (-1, -0.1), (-0.8, -0.75), (-0.35, -0.8), (0, -0.35), (0.35, -0.8), (0.8, -0.75), (1, -0.1)]
)


def draw_particles(picture: Picture, kind: str, seed: int, time_seconds: float, share: float = 1.0) -> None:
    """Draws `share` of a swarm over `picture`, in place; the same seed and time give the same picture."""
    swarm = SWARMS[kind]
    start, pace, phase = _birth(kind, seed)
    moved = (start + pace * np.asarray(swarm.velocity) * time_seconds) % 1.0
    low, high = swarm.band
    height, width = picture.shape[:2]
    x = moved[:, 0] * width
    y = (low + moved[:, 1] * (high - low)) * height
    is_lit = (phase + swarm.twinkle_hz * time_seconds) % 1.0 < (0.6 if swarm.twinkle_hz else 2.0)
    tail = swarm.streak * np.asarray(swarm.velocity) * (width, height)
    radius = max(1.0, swarm.radius * height)
    target = picture.copy() if swarm.is_soft else picture
    for i in np.flatnonzero(is_lit[: round(share * swarm.num)]):
        colour = swarm.colours[int(i) % len(swarm.colours)]
        _draw_one(target, swarm, (float(x[i]), float(y[i])), (float(tail[0]), float(tail[1])), radius, colour)
    if swarm.is_soft:
        picture[:] = cv2.addWeighted(picture, 1 - SOFTNESS, target, SOFTNESS, 0)


@lru_cache(maxsize=64)
def _birth(kind: str, seed: int) -> tuple[Floats, Floats, Floats]:
    """Where each particle begins, its share of the swarm's velocity, and when it twinkles."""
    rng = np.random.default_rng([seed, *kind.encode()])
    num = SWARMS[kind].num
    return rng.random((num, 2)), rng.uniform(0.6, 1.4, (num, 1)), rng.random(num)


def _draw_one(
    picture: Picture,
    swarm: Swarm,
    centre: tuple[float, float],
    tail: tuple[float, float],
    radius_px: float,
    colour: Colour,
) -> None:
    scale = 1 << SUBPIXEL_BITS
    x, y = round(centre[0] * scale), round(centre[1] * scale)
    if swarm.streak:
        start = (round((centre[0] - tail[0]) * scale), round((centre[1] - tail[1]) * scale))
        cv2.line(picture, start, (x, y), colour, max(1, round(radius_px)), cv2.LINE_AA, SUBPIXEL_BITS)
    elif swarm.is_heart:
        corners = np.round((_HEART * radius_px + centre) * scale).astype(np.int32)
        cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA, SUBPIXEL_BITS)
    else:
        cv2.circle(picture, (x, y), round(radius_px * scale), colour, -1, cv2.LINE_AA, SUBPIXEL_BITS)

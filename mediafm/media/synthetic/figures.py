"""Sprites of characters and props: small pictures with premultiplied transparency, drawn once and moved about.

A sprite is blue, green, red, alpha, uint8, `[height, width, 4]`, colours already multiplied by alpha.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from mediafm.media.synthetic.characters import Character, Colour

Sprite = NDArray[np.uint8]

SPRITE_WIDTH_PX = 200
SPRITE_HEIGHT_PX = 320
HEAD_CENTRE = (100, 92)
HEAD_RADIUS_PX = 56

BEAUTY_COLOUR: Colour = (190, 20, 245)
"""What everybody wears where the topic is beauty."""


class Stencil:
    """Draws the same shape in colour and in alpha."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self.colours: NDArray[np.uint8] = np.zeros((height_px, width_px, 3), np.uint8)
        self.alpha: NDArray[np.uint8] = np.zeros((height_px, width_px), np.uint8)

    def ellipse(self, centre: tuple[int, int], axes: tuple[int, int], colour: Colour, angle_degrees: float = 0) -> None:
        cv2.ellipse(self.colours, centre, axes, angle_degrees, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(self.alpha, centre, axes, angle_degrees, 0, 360, 255, -1, cv2.LINE_AA)

    def polygon(self, points: list[tuple[int, int]], colour: Colour) -> None:
        corners = [np.asarray(points, np.int32)]
        cv2.fillPoly(self.colours, corners, colour, cv2.LINE_AA)
        cv2.fillPoly(self.alpha, corners, 255, cv2.LINE_AA)

    def line(self, points: list[tuple[int, int]], colour: Colour, thickness_px: int) -> None:
        corners = [np.asarray(points, np.int32)]
        cv2.polylines(self.colours, corners, False, colour, thickness_px, cv2.LINE_AA)
        cv2.polylines(self.alpha, corners, False, 255, thickness_px, cv2.LINE_AA)

    def finish(self) -> Sprite:
        share = self.alpha[..., None].astype(np.float32) / 255
        return np.dstack([(self.colours * share).astype(np.uint8), self.alpha])


def draw_character(
    character: Character, *, has_open_mouth: bool, has_open_eyes: bool, mood: int, wears_beauty: bool = False
) -> Sprite:
    """A whole figure with its feet at the lower edge. `mood` bends the mouth: 1 smiles, -1 is sad, 0 neither."""
    stencil = Stencil(SPRITE_WIDTH_PX, SPRITE_HEIGHT_PX)
    body = BEAUTY_COLOUR if wears_beauty else character.body_colour
    dark: Colour = (body[0] // 2, body[1] // 2, body[2] // 2)
    for x in (78, 122):
        stencil.line([(x, 270), (x, 306)], dark, 18)
        stencil.ellipse((x + 5, 309), (19, 9), (35, 35, 45))
    _body(stencil, character.body_shape, body)
    for x, hand in ((44, 28), (156, 172)):
        stencil.line([(x + (10 if x < 100 else -10), 178), (hand, 236)], dark, 15)
        stencil.ellipse((hand, 240), (11, 11), character.skin_colour)
    if character.hair_style in ("mop", "bun"):
        _hair(stencil, character)
    stencil.ellipse(HEAD_CENTRE, (HEAD_RADIUS_PX, HEAD_RADIUS_PX + 4), character.skin_colour)
    _face(stencil, character, has_open_mouth, has_open_eyes, mood)
    if character.hair_style not in ("mop", "bun"):
        _hair(stencil, character)
    else:
        fringe = [(46, 78), (60, 44), (100, 32), (140, 44), (154, 78), (128, 58), (100, 62), (70, 58)]
        stencil.polygon(fringe, character.hair_colour)
    return stencil.finish()


def _body(stencil: Stencil, shape: str, colour: Colour) -> None:
    light: Colour = tuple(min(255, v + 35) for v in colour)  # type: ignore[assignment]
    if shape == "bean":
        stencil.ellipse((100, 215), (58, 78), colour)
        stencil.ellipse((100, 240), (34, 40), light)
    elif shape == "box":
        stencil.polygon([(46, 150), (154, 150), (160, 284), (40, 284)], colour)
        stencil.polygon([(46, 205), (154, 205), (156, 224), (44, 224)], light)
    elif shape == "drop":
        stencil.polygon([(84, 138), (116, 138), (172, 286), (28, 286)], colour)
        stencil.polygon([(92, 150), (108, 150), (120, 286), (80, 286)], light)
    else:
        stencil.ellipse((100, 218), (72, 70), colour)
        for y in (190, 216, 242):
            stencil.ellipse((100, y), (6, 6), light)


def _hair(stencil: Stencil, character: Character) -> None:
    colour = character.hair_colour
    if character.hair_style == "bun":
        stencil.ellipse((100, 24), (24, 22), colour)
        stencil.ellipse((100, 80), (62, 58), colour)
    elif character.hair_style == "mop":
        stencil.ellipse((100, 98), (70, 74), colour)
    elif character.hair_style == "spikes":
        peaks = [(44, 80)]
        for i in range(6):
            peaks += [(46 + 18 * i, 14 + 6 * abs(i - 2)), (56 + 18 * i, 54)]
        stencil.polygon([*peaks, (156, 80), (100, 52)], colour)
    elif character.hair_style == "cap":
        stencil.ellipse((100, 58), (58, 32), colour)
        stencil.polygon([(96, 58), (178, 60), (178, 70), (96, 74)], colour)
    else:
        for x in (62, 138):
            stencil.ellipse((x, 22), (15, 34), colour, 12 if x > 100 else -12)
            stencil.ellipse((x, 26), (8, 22), (170, 160, 240), 12 if x > 100 else -12)
        stencil.ellipse((100, 46), (34, 14), colour)


def _face(stencil: Stencil, character: Character, has_open_mouth: bool, has_open_eyes: bool, mood: int) -> None:
    ink: Colour = (40, 30, 35)
    for side, x in ((-1, 78), (1, 122)):
        if has_open_eyes:
            stencil.ellipse((x, 90), (13, 15), (250, 250, 250))
            stencil.ellipse((x + 2, 92), (6, 8), ink)
        else:
            stencil.line([(x - 11, 92), (x, 97), (x + 11, 92)], ink, 4)
        stencil.line([(x - 12, 70 - 5 * mood * side), (x + 12, 70 + 5 * mood * side)], character.hair_colour, 5)
    shade: Colour = tuple(int(v * 0.82) for v in character.skin_colour)  # type: ignore[assignment]
    stencil.ellipse((102, 106), (8, 6), shade)
    if has_open_mouth:
        stencil.ellipse((100, 126), (17, 13), (50, 30, 120))
        stencil.ellipse((100, 132), (10, 5), (120, 110, 230))
    else:
        stencil.line([(82, 126 - 5 * mood), (100, 126 + 4 * mood), (118, 126 - 5 * mood)], ink, 5)


def draw_prop(topic: str) -> Sprite:
    """A thing 200 x 160 px that stands for an advertiser's topic."""
    stencil = Stencil(200, 160)
    _PROPS[topic](stencil)
    return stencil.finish()


def _suitcase(stencil: Stencil) -> None:
    stencil.line([(75, 50), (75, 25), (125, 25), (125, 50)], (40, 50, 60), 9)
    stencil.polygon([(25, 48), (175, 48), (175, 155), (25, 155)], (50, 105, 185))
    for x in (55, 145):
        stencil.line([(x, 48), (x, 155)], (35, 65, 110), 10)
    stencil.ellipse((100, 100), (22, 22), (220, 200, 60))


def _fruit_bowl(stencil: Stencil) -> None:
    for x, y, colour in ((70, 70, (50, 50, 220)), (105, 55, (60, 200, 240)), (135, 72, (60, 180, 90))):
        stencil.ellipse((x, y), (28, 28), colour)
    stencil.polygon([(20, 85), (180, 85), (145, 152), (55, 152)], (220, 225, 235))
    stencil.line([(28, 98), (172, 98)], (200, 130, 80), 7)


def _car(stencil: Stencil) -> None:
    stencil.polygon([(45, 70), (70, 30), (135, 30), (160, 70)], (210, 190, 150))
    stencil.polygon([(5, 70), (195, 70), (195, 128), (5, 128)], (40, 40, 215))
    stencil.line([(102, 32), (102, 70)], (40, 40, 215), 8)
    for x in (48, 152):
        stencil.ellipse((x, 130), (25, 25), (35, 35, 35))
        stencil.ellipse((x, 130), (11, 11), (200, 200, 200))
    stencil.ellipse((188, 90), (8, 8), (150, 245, 255))


def _laptop(stencil: Stencil) -> None:
    stencil.polygon([(40, 10), (160, 10), (168, 118), (32, 118)], (70, 60, 60))
    stencil.polygon([(50, 20), (150, 20), (156, 108), (44, 108)], (255, 225, 90))
    for row in range(4):
        stencil.line([(60, 38 + 17 * row), (100 + 12 * (row % 3), 38 + 17 * row)], (255, 255, 255), 6)
    stencil.polygon([(15, 120), (185, 120), (195, 150), (5, 150)], (165, 160, 155))


def _ball(stencil: Stencil) -> None:
    stencil.ellipse((100, 88), (68, 68), (245, 245, 245))
    for x, y in ((100, 88), (52, 62), (148, 62), (70, 136), (130, 136)):
        stencil.ellipse((x, y), (17, 15), (40, 40, 40))


def _perfume(stencil: Stencil) -> None:
    stencil.polygon([(60, 60), (140, 60), (158, 152), (42, 152)], BEAUTY_COLOUR)
    stencil.polygon([(80, 28), (120, 28), (120, 60), (80, 60)], (70, 200, 245))
    stencil.ellipse((100, 20), (20, 14), (70, 200, 245))
    stencil.line([(72, 80), (66, 136)], (235, 170, 255), 8)


_PROPS: Mapping[str, Callable[[Stencil], None]] = {
    "travel": _suitcase,
    "food": _fruit_bowl,
    "cars": _car,
    "technology": _laptop,
    "sport": _ball,
    "beauty": _perfume,
}

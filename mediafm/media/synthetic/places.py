"""Where scenes happen: ten places, painted larger than the picture so that a camera can move.

A place looks the same in every scene of a title that comes back to it, but for the lighting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mediafm.media.synthetic.brush import Brush, Picture, lighter
from mediafm.media.synthetic.characters import Colour

LIGHT_GAINS: Mapping[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "dusk": (0.72, 0.74, 1.02),
    "night": (0.62, 0.44, 0.36),
}
"""What the lighting leaves of blue, green and red."""


def draw_place(place: str, lighting: str, rng: np.random.Generator, width_px: int, height_px: int) -> Picture:
    """The place as a painting of `width_px` x `height_px`. The same generator state gives the same place."""
    brush = Brush(canvas=np.zeros((height_px, width_px, 3), np.uint8), rng=rng, lighting=lighting)
    _PAINTERS[place](brush)
    warmth = rng.uniform(0.9, 1.1, 3)
    lit = brush.canvas * (np.asarray(LIGHT_GAINS[lighting]) * warmth)
    grain = rng.normal(0.0, 2.5, (height_px, width_px, 1))
    canvas = np.clip(lit + grain, 0, 255).astype(np.uint8)
    _LIGHTS.get(place, _no_lights)(Brush(canvas=canvas, rng=rng, lighting=lighting))
    return canvas


def _sea(brush: Brush) -> None:
    brush.sky((235, 190, 120), (245, 230, 205), 0.5)
    _sun(brush, 0.2, 0.07, (190, 245, 255))
    _clouds(brush, 5, 0.3)
    brush.box(0.0, 0.46, 1.0, 1.0, (170, 110, 30))
    for row in range(26):
        y = 0.47 + 0.3 * (row / 26) ** 1.3
        x = brush.uniform(0.0, 0.9)
        brush.line(x, y, x + brush.uniform(0.04, 0.12) * (0.4 + row / 20), y, (215, 175, 100), 0.004 + 0.0002 * row)
    boat = brush.uniform(0.15, 0.8)
    brush.polygon([(boat, 0.47), (boat + 0.12, 0.47), (boat + 0.1, 0.51), (boat + 0.02, 0.51)], (40, 50, 110))
    brush.polygon([(boat + 0.055, 0.3), (boat + 0.055, 0.46), (boat + 0.115, 0.46)], (240, 245, 250))
    brush.ridge(0.8, 0.02, (150, 205, 235), 3)


def _forest(brush: Brush) -> None:
    brush.sky((215, 225, 190), (190, 225, 200), 0.7)
    for depth, shade in enumerate(((130, 165, 120), (90, 135, 80), (50, 100, 50))):
        brush.ridge(0.62 + 0.1 * depth, 0.03, shade)
        for _ in range(13 - 3 * depth):
            x, size = brush.uniform(0.0, 1.0), brush.uniform(0.7, 1.2) * (0.2 + 0.13 * depth)
            _pine(brush, x, 0.68 + 0.09 * depth, size, shade)
    brush.ridge(0.86, 0.015, (45, 90, 75), 3)
    for _ in range(14):
        x = brush.uniform(0.0, 1.0)
        brush.disc(x, brush.uniform(0.88, 0.97), 0.014, (60, 60, 200), 0.6)


def _pine(brush: Brush, x: float, foot: float, size: float, shade: Colour) -> None:
    brush.box(x - 0.006, foot - 0.1 * size, x + 0.006, foot, (45, 70, 95))
    for level in range(3):
        bottom, reach = foot - size * (0.12 + 0.26 * level), size * (0.17 - 0.04 * level)
        dark = lighter(shade, -22)
        brush.polygon([(x - reach, bottom), (x, bottom - 0.4 * size), (x + reach, bottom)], dark)


def _city(brush: Brush) -> None:
    brush.sky((230, 200, 150), (225, 220, 215), 0.8)
    for depth, shade in enumerate(((190, 180, 170), (150, 140, 130), (105, 95, 90))):
        x = -0.03
        while x < 1.0:
            width = brush.uniform(0.06, 0.13)
            brush.box(x, brush.uniform(0.1, 0.42) + 0.1 * depth, x + width - 0.008, 0.84, shade)
            x += width
    brush.box(0.0, 0.82, 1.0, 1.0, (85, 80, 80))
    brush.box(0.0, 0.82, 1.0, 0.845, (150, 150, 150))
    for mark in range(8):
        brush.box(mark / 8, 0.93, mark / 8 + 0.06, 0.942, (200, 225, 225))


def _city_lights(brush: Brush) -> None:
    """Windows and lamps; they shine at dusk and at night."""
    share = {"day": 0.12, "dusk": 0.45, "night": 0.6}[brush.lighting]
    glow: Colour = (120, 225, 255) if brush.lighting != "day" else (235, 225, 205)
    for row in range(9):
        for column in range(44):
            if brush.rng.random() < share:
                x, y = (column + 0.5) / 44, 0.42 + 0.042 * row
                brush.box(x - 0.0045, y - 0.01, x + 0.0045, y + 0.01, glow)
    if brush.lighting != "day":
        for lamp in range(5):
            brush.line(0.1 + 0.2 * lamp, 0.6, 0.1 + 0.2 * lamp, 0.84, (60, 60, 60))
            brush.disc(0.1 + 0.2 * lamp, 0.6, 0.022, (190, 240, 255))


def _room(brush: Brush) -> None:
    wall = brush.any_colour(120, 220)
    brush.canvas[:] = wall
    for stripe in range(0, 24, 2):
        brush.box(stripe / 24, 0.0, (stripe + 1) / 24, 0.76, lighter(wall, 12))
    brush.box(0.0, 0.76, 1.0, 1.0, (70, 105, 150))
    for board in range(9):
        brush.line(board / 9 + 0.02, 0.76, board / 9 - 0.06, 1.0, (50, 80, 120), 0.004)
    left = brush.uniform(0.1, 0.5)
    brush.box(left - 0.01, 0.13, left + 0.24, 0.55, (225, 235, 240))
    brush.box(left, 0.15, left + 0.23, 0.53, (240, 215, 165))
    brush.line(left + 0.115, 0.15, left + 0.115, 0.53, (225, 235, 240), 0.012)
    shelf = (left + 0.42) % 0.75
    brush.box(shelf, 0.2, shelf + 0.2, 0.76, (40, 65, 100))
    for row in range(3):
        for book in range(9):
            colour = brush.any_colour(50, 230)
            x, y = shelf + 0.015 + 0.019 * book, 0.36 + 0.17 * row
            brush.box(x, y - brush.uniform(0.08, 0.13), x + 0.015, y, colour)
    brush.disc(0.5, 0.92, 0.3, (90, 70, 160), 0.18)


def _room_lights(brush: Brush) -> None:
    if brush.lighting != "day":
        x = brush.uniform(0.2, 0.8)
        brush.line(x, 0.0, x, 0.12, (40, 40, 40))
        brush.disc(x, 0.14, 0.05, (170, 235, 255), 0.7)


def _desert(brush: Brush) -> None:
    brush.sky((220, 180, 130), (180, 220, 250), 0.7)
    _sun(brush, 0.17, 0.085, (150, 235, 255))
    for depth, shade in enumerate(((135, 185, 230), (105, 160, 220), (80, 135, 205))):
        brush.ridge(0.5 + 0.13 * depth, 0.05, shade, 3)
    for _ in range(4):
        x, foot, size = brush.uniform(0.05, 0.95), brush.uniform(0.68, 0.8), brush.uniform(0.14, 0.24)
        brush.line(x, foot, x, foot - size, (70, 130, 70), 0.035)
        for side in (-1, 1):
            reach = x + side * 0.032
            brush.line(x, foot - 0.4 * size, reach, foot - 0.45 * size, (70, 130, 70), 0.024)
            brush.line(reach, foot - 0.45 * size, reach, foot - 0.75 * size, (70, 130, 70), 0.024)


def _snow(brush: Brush) -> None:
    brush.sky((225, 205, 180), (245, 240, 232), 0.7)
    brush.ridge(0.45, 0.12, (225, 205, 190), 6)
    brush.ridge(0.66, 0.04, (238, 228, 220))
    for _ in range(9):
        x, size = brush.uniform(0.0, 1.0), brush.uniform(0.14, 0.26)
        _pine(brush, x, 0.74, size, (175, 165, 150))
        brush.polygon(
            [(x - 0.03 * size / 0.2, 0.66), (x, 0.735 - 0.9 * size), (x + 0.03 * size / 0.2, 0.66)], (250, 250, 250)
        )
    brush.ridge(0.78, 0.02, (252, 248, 244), 3)
    hut = brush.uniform(0.1, 0.75)
    brush.disc(hut + 0.08, 0.8, 0.14, (235, 215, 195), 0.85)
    brush.disc(hut + 0.08, 0.82, 0.045, (140, 110, 90), 1.2)
    brush.box(hut - 0.05, 0.82, hut + 0.2, 0.96, (252, 248, 244))


def _mountain(brush: Brush) -> None:
    brush.sky((210, 160, 95), (235, 215, 180), 0.8)
    _clouds(brush, 4, 0.25)
    for depth, shade in enumerate(((190, 150, 130), (150, 115, 100), (110, 90, 80))):
        for _ in range(4 - depth):
            x, peak, half = brush.uniform(0.0, 1.0), brush.uniform(0.12, 0.3) + 0.13 * depth, brush.uniform(0.16, 0.28)
            brush.polygon([(x - half, 0.85), (x, peak), (x + half, 0.85)], shade)
            snow = 0.26
            brush.polygon(
                [
                    (x - half * snow, peak + (0.85 - peak) * snow),
                    (x, peak),
                    (x + half * snow, peak + (0.85 - peak) * snow),
                    (x + half * snow * 0.3, peak + (0.85 - peak) * snow * 0.75),
                    (x - half * snow * 0.2, peak + (0.85 - peak) * snow * 1.15),
                ],
                (250, 245, 240),
            )
    brush.ridge(0.8, 0.03, (80, 125, 105))
    for _ in range(12):
        brush.disc(brush.uniform(0, 1), brush.uniform(0.84, 0.98), brush.uniform(0.012, 0.035), (120, 120, 125), 0.7)


def _cafe(brush: Brush) -> None:
    brush.canvas[:] = (110, 150, 190)
    for row in range(7):
        for column in range(14):
            offset = 0.5 * (row % 2)
            left = (column + offset) / 13 - 0.08
            shade = int(brush.rng.integers(-12, 12))
            brush.box(left, row * 0.11, left + 0.07, row * 0.11 + 0.1, (85 + shade, 110 + shade, 175 + shade))
    for stripe in range(14):
        colour: Colour = (235, 240, 245) if stripe % 2 else (70, 60, 190)
        left, right = stripe / 14, (stripe + 1) / 14
        edge = [(right, 0.15), ((left + right) / 2, 0.2), (left, 0.15)]
        brush.polygon([(left, 0.0), (right, 0.0), *edge], colour)
    board = brush.uniform(0.08, 0.65)
    brush.box(board, 0.28, board + 0.25, 0.55, (45, 60, 50))
    for row in range(4):
        brush.line(
            board + 0.03, 0.33 + 0.06 * row, board + brush.uniform(0.12, 0.22), 0.33 + 0.06 * row, (220, 230, 225)
        )
    brush.box(0.0, 0.75, 1.0, 1.0, (95, 120, 140))
    for tile in range(16):
        brush.box(tile / 16, 0.8 + 0.09 * (tile % 2), tile / 16 + 0.0625, 0.89 + 0.09 * (tile % 2), (130, 155, 175))
    for table in (brush.uniform(0.02, 0.2), brush.uniform(0.8, 0.95)):
        brush.line(table, 0.66, table, 0.84, (50, 50, 60), 0.02)
        brush.disc(table, 0.66, 0.1, (60, 85, 120), 0.25)


def _space(brush: Brush) -> None:
    brush.sky((60, 25, 20), (95, 40, 60), 1.0)
    for _ in range(170):
        shine = int(brush.rng.integers(120, 255))
        brush.disc(brush.uniform(0, 1), brush.uniform(0, 0.8), brush.uniform(0.001, 0.006), (shine, shine, shine))
    x, tone = brush.uniform(0.2, 0.8), brush.any_colour(90, 240)
    brush.disc(x, 0.3, 0.2, tone)
    brush.disc(x + 0.02, 0.27, 0.155, lighter(tone, 25))
    brush.disc(x, 0.31, 0.34, (200, 210, 220), 0.05)
    brush.ridge(0.8, 0.03, (125, 110, 120))
    for _ in range(9):
        crater = (brush.uniform(0, 1), brush.uniform(0.84, 0.98))
        brush.disc(*crater, brush.uniform(0.02, 0.05), (100, 85, 95), 0.35)
    dome = brush.uniform(0.05, 0.7)
    brush.disc(dome + 0.1, 0.8, 0.16, (210, 190, 150))
    brush.box(dome - 0.05, 0.8, dome + 0.25, 0.84, (150, 140, 140))


def _meadow(brush: Brush) -> None:
    brush.sky((245, 195, 125), (245, 235, 215), 0.7)
    _clouds(brush, 5, 0.35)
    brush.ridge(0.55, 0.04, (120, 190, 140))
    mill = brush.uniform(0.12, 0.85)
    brush.polygon(
        [(mill - 0.035, 0.62), (mill - 0.02, 0.36), (mill + 0.02, 0.36), (mill + 0.035, 0.62)], (200, 215, 230)
    )
    for blade in range(4):
        angle = np.pi / 5 + blade * np.pi / 2
        brush.line(mill, 0.37, mill + 0.075 * np.cos(angle), 0.37 + 0.13 * np.sin(angle), (90, 110, 150), 0.016)
    brush.ridge(0.68, 0.03, (90, 175, 115))
    brush.ridge(0.8, 0.02, (70, 155, 95), 3)
    for _ in range(60):
        petal = ((80, 80, 235), (120, 225, 250), (235, 235, 240), (215, 120, 190))[int(brush.rng.integers(4))]
        brush.disc(brush.uniform(0, 1), brush.uniform(0.8, 0.99), brush.uniform(0.006, 0.013), petal)
    for post in range(15):
        brush.box(post / 15, 0.66, post / 15 + 0.01, 0.76, (120, 150, 175))
    brush.box(0.0, 0.685, 1.0, 0.7, (130, 160, 185))


def _sun(brush: Brush, y: float, radius: float, colour: Colour) -> None:
    x = brush.uniform(0.15, 0.85)
    if brush.lighting != "night":
        brush.disc(x, y, radius, colour)


def _clouds(brush: Brush, num_clouds: int, lowest: float) -> None:
    for _ in range(num_clouds):
        x, y = brush.uniform(0.0, 1.0), brush.uniform(0.06, lowest)
        for puff in range(4):
            brush.disc(
                x + 0.03 * puff, y + brush.uniform(-0.015, 0.015), brush.uniform(0.03, 0.05), (250, 248, 246), 0.7
            )


def _night_sky(brush: Brush) -> None:
    if brush.lighting == "night":
        for _ in range(45):
            brush.disc(brush.uniform(0, 1), brush.uniform(0, 0.4), brush.uniform(0.002, 0.005), (235, 235, 235))
        brush.disc(brush.uniform(0.1, 0.9), 0.13, 0.05, (225, 245, 250))


def _no_lights(brush: Brush) -> None:
    """Rooms of their own light have none to add."""


_PAINTERS: Mapping[str, Callable[[Brush], None]] = {
    "sea": _sea,
    "forest": _forest,
    "city": _city,
    "room": _room,
    "desert": _desert,
    "snow": _snow,
    "mountain": _mountain,
    "cafe": _cafe,
    "space": _space,
    "meadow": _meadow,
}

_LIGHTS: Mapping[str, Callable[[Brush], None]] = {
    "city": _city_lights,
    "room": _room_lights,
    "cafe": _room_lights,
    **dict.fromkeys(("sea", "forest", "desert", "snow", "mountain", "meadow"), _night_sky),
}

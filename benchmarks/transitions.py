"""Small videos with known shot transitions, made from a seed: procedural spans, disturbances that are no cuts, joins.

Frames are uint8 [N, height, width, 3]. Joins follow the convention of `mediafm.shots.score.Transition`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mediafm.shots.score import Transition

Frames = NDArray[np.uint8]

DISTURBANCES = (
    "none",
    "none",
    "pan",
    "zoom",
    "shake",
    "flash",
    "black",
    "light",
    "light",
    "explosion",
    "object",
    "logo",
)
KINDS = ("cut", "dissolve", "fade")


@dataclass(frozen=True)
class Joined:
    """A video of several spans, and where they meet."""

    frames: Frames
    transitions: tuple[Transition, ...]


@dataclass(frozen=True)
class Place:
    """A made-up place that takes return to: a ground to film, how its light is, and where the camera stands first."""

    ground: Frames
    gain: float
    camera: NDArray[np.float64]
    scale: float


def procedural_place(rng: np.random.Generator, width_px: int, height_px: int) -> Place:
    """A ground three frames wide and high: noise of several sizes, boxes and discs, in a palette of its own."""
    width, height = 3 * width_px, 3 * height_px
    ground = np.zeros((height, width, 3), np.float32)
    for cells in (2, 4, 9, 20, 60):
        noise = rng.normal(0, 1, (cells, cells, 3)).astype(np.float32) * 0.4
        tone = rng.normal(0, 1, (cells, cells, 1)).astype(np.float32)
        ground += cv2.resize(noise + tone, (width, height), interpolation=cv2.INTER_CUBIC) * float(cells) ** -0.4
    ground = rng.uniform(20, 235, 3) + rng.uniform(8, 60) * ground
    for _ in range(rng.integers(0, 40)):
        colour = tuple(float(v) for v in rng.uniform(0, 255, 3))
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        w, h = int(rng.integers(2, width_px)), int(rng.integers(2, height_px))
        if rng.random() < 0.5:
            cv2.rectangle(ground, (x, y), (x + w, y + h), colour, -1)
        else:
            cv2.ellipse(ground, (x, y), (w // 2, h // 2), float(rng.uniform(0, 180)), 0, 360, colour, -1)
    camera = rng.uniform([0.8 * width_px, 0.8 * height_px], [2.2 * width_px, 2.2 * height_px])
    gain, scale = float(rng.uniform(0.15, 1.1)), float(rng.uniform(0.5, 1.4))
    return Place(np.clip(ground, 0, 255).astype(np.uint8), gain, camera, scale)


def procedural_span(
    rng: np.random.Generator, num_frames: int, width_px: int, height_px: int, place: Place | None = None
) -> Frames:
    """One take of a place (a new one if None): another camera near the first, drifting; things that move; grain.

    One take in five is drawn "on twos": every frame stands twice, as in cartoons.
    """
    place = place or procedural_place(rng, width_px, height_px)
    far = rng.choice([0.4, 1.0, 1.5])
    centre = place.camera + rng.normal(0, far, 2) * [0.5 * width_px, 0.5 * height_px]
    speed = rng.normal(0, rng.choice([0.0, 0.1, 0.4, 1.5]), 2) * [1.0, 0.4]
    zoom, first_scale = rng.normal(0, rng.choice([0.0, 0.002, 0.006])), place.scale * np.exp(rng.normal(0, 0.6 * far))
    things = [_thing(rng, width_px, height_px) for _ in range(rng.integers(0, 5))]
    frames = np.empty((num_frames, height_px, width_px, 3), np.uint8)
    for t in range(num_frames):
        scale = first_scale * np.exp(-zoom * t)
        frame = _window(place.ground, centre + speed * (t - num_frames / 2), scale, width_px, height_px)
        for colour, start, velocity, radius in things:
            x, y = start + velocity * t
            cv2.ellipse(frame, (int(x % width_px), int(y % height_px)), radius, 0, 0, 360, colour, -1, cv2.LINE_AA)
        frames[t] = frame
    if rng.random() < 0.2:
        frames = frames[np.arange(num_frames) // 2 * 2]
    return _grain(rng, frames, place.gain)


def _thing(
    rng: np.random.Generator, width: int, height: int
) -> tuple[tuple[int, ...], NDArray[np.float64], NDArray[np.float64], tuple[int, int]]:
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    radius = (int(rng.integers(2, width // 4)), int(rng.integers(2, height // 3)))
    return colour, rng.uniform(0, width, 2), rng.normal(0, rng.choice([0.2, 1.0, 2.5]), 2), radius


def _window(canvas: Frames, centre: NDArray[np.float64], scale: float, width: int, height: int) -> Frames:
    matrix = np.array(
        [[scale, 0, centre[0] - scale * width / 2], [0, scale, centre[1] - scale * height / 2]], np.float32
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(canvas, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT))


def _grain(rng: np.random.Generator, frames: Frames, gain: float) -> Frames:
    noise = rng.normal(0, rng.uniform(0, 2.0), frames.shape).astype(np.float32)
    return np.clip(frames * np.float32(gain) + noise, 0, 255).astype(np.uint8)


def disturbed(rng: np.random.Generator, span: Frames, kind: str | None = None) -> Frames:
    """The same take with something in it that is no cut; `kind` is one of `DISTURBANCES`, drawn if None."""
    kind = kind or str(rng.choice(DISTURBANCES))
    frames = span.copy()
    at = int(rng.integers(2, max(3, len(frames) - 8)))
    if kind in {"pan", "zoom", "shake"}:
        return _camera(rng, frames, kind)
    if kind == "flash":
        length = int(rng.integers(1, 4))
        frames[at : at + length] = 255 - (255 - frames[at : at + length]) // int(rng.integers(3, 12))
    elif kind == "black":
        frames[at : at + int(rng.integers(1, 3))] //= 24
    elif kind == "light":
        frames = _light(rng, frames, at)
    elif kind == "explosion":
        frames = _explosion(rng, frames, at)
    elif kind == "object":
        frames = _passing(rng, frames, at)
    elif kind == "logo":
        frames = _logo(rng, frames, at)
    return frames


def _logo(rng: np.random.Generator, frames: Frames, at: int) -> Frames:
    """Up to four small boxes that appear at once and stay a while; every other time on a picture that stands still."""
    height, width = frames.shape[1:3]
    if rng.random() < 0.5:
        frames[:] = frames[0]
    until = at + int(rng.integers(10, 60))
    for _ in range(rng.integers(1, 4)):
        w, h = int(rng.integers(3, width // 5)), int(rng.integers(2, height // 6))
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        frames[at:until, y : y + h, x : x + w] = rng.choice([0, 255, int(rng.integers(0, 256))])
    return frames


def _light(rng: np.random.Generator, frames: Frames, at: int) -> Frames:
    """Light that goes up or down, at once or over up to 40 frames, with a gain and a haze of its own."""
    share = np.interp(np.arange(len(frames)), [at, at + rng.integers(1, 41)], rng.permutation([0.0, 1.0]))
    gain = 1 + share * (np.exp(rng.normal(0, 0.7)) - 1)
    haze = share * max(0.0, rng.normal(0, 40))
    return np.clip(frames * gain[:, None, None, None] + haze[:, None, None, None], 0, 255).astype(np.uint8)


def _camera(rng: np.random.Generator, frames: Frames, kind: str) -> Frames:
    n, height, width = frames.shape[:3]
    steps = np.zeros((n, 2))
    zoom = np.ones(n)
    if kind == "pan":
        steps += np.arange(n)[:, None] * rng.normal(0, [1.2, 0.3])
    elif kind == "shake":
        steps += rng.normal(0, rng.uniform(0.3, 2.5), (n, 2))
    else:
        zoom = np.exp(np.arange(n) * rng.choice([-1, 1]) * rng.uniform(0.002, 0.02))
    moved = np.empty_like(frames)
    for t in range(n):
        scale = 0.8 * zoom[t]
        moved[t] = _window(frames[t], np.array([width, height]) / 2 + steps[t], scale, width, height)
    return moved


def _explosion(rng: np.random.Generator, frames: Frames, at: int) -> Frames:
    n, height, width = frames.shape[:3]
    centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
    life = int(rng.integers(6, 20))
    for t in range(at, min(n, at + life)):
        blob = np.zeros((height, width), np.float32)
        cv2.circle(blob, centre, int(2 + (t - at) * width / life), 1.0, -1)
        glow = cv2.GaussianBlur(blob, (0, 0), width / 16)[..., None] * (1 - (t - at) / life)
        frames[t] = (frames[t] * (1 - glow) + np.array([120, 210, 255]) * glow).astype(np.uint8)
    return frames


def _passing(rng: np.random.Generator, frames: Frames, at: int) -> Frames:
    """Something large that crosses the picture in front of the camera."""
    n, height, width = frames.shape[:3]
    size, speed = rng.uniform(0.4, 1.2) * width, rng.uniform(0.08, 0.3) * width
    colour = rng.integers(0, 256, 3)
    for t in range(at, n):
        left = -size + speed * (t - at)
        a, b = int(np.clip(left, 0, width)), int(np.clip(left + size, 0, width))
        frames[t, height // 6 :, a:b] = colour + (frames[t, height // 6 :, a:b] // 8)
    return frames


def joined(rng: np.random.Generator, spans: Sequence[Frames], kinds: Sequence[str] = KINDS) -> Joined:
    """The spans one after another, each met by a transition of a kind drawn from `kinds`.

    A dissolve takes 8 to 24 frames from both its spans; a fade 8 to 16 out, as many in, 0 to 4 frames
    of black between, now and then up to 50.
    Spans too short for what was drawn are joined by a cut.
    """
    pieces: list[Frames] = []
    transitions: list[Transition] = []
    done = 0
    rest = spans[0]
    for new in spans[1:]:
        kind = str(rng.choice(kinds))
        length = int(rng.integers(4, 13)) * 2 if kind == "dissolve" else int(rng.integers(8, 17))
        if kind != "cut" and min(len(rest), len(new)) < length + 4:
            kind = "cut"
        keep = len(rest) - (0 if kind == "cut" else length)
        pieces.append(rest[:keep])
        done += keep
        bridge = _bridge(rng, kind, rest[keep:], new)
        pieces.append(bridge)
        transitions.append(Transition(done, done + len(bridge), kind))
        done += len(bridge)
        rest = new if kind == "cut" else new[length:]
    pieces.append(rest)
    return Joined(np.concatenate(pieces), tuple(transitions))


def _bridge(rng: np.random.Generator, kind: str, out: Frames, new: Frames) -> Frames:
    if kind == "cut":
        return new[:0]
    length = len(out)
    share = ((np.arange(length) + 1) / (length + 1)).astype(np.float32)[:, None, None, None]
    if kind == "dissolve":
        return np.rint(out * (1 - share) + new[:length] * share).astype(np.uint8)
    num_black = int(rng.integers(0, 5)) if rng.random() < 0.7 else int(rng.integers(5, 50))
    black = np.zeros((num_black, *out.shape[1:]), np.uint8)
    fade_out, fade_in = np.rint(out * (1 - share)).astype(np.uint8), np.rint(new[:length] * share).astype(np.uint8)
    return np.concatenate([fade_out, black, fade_in])


def procedural(seed: int, num_spans: int, kinds: Sequence[str] = KINDS, size_px: tuple[int, int] = (64, 36)) -> Joined:
    """A video of `num_spans` made-up takes, disturbed and joined; every other take is of the place before it."""
    rng = np.random.default_rng(seed)
    spans = []
    place = procedural_place(rng, *size_px)
    for _ in range(num_spans):
        if rng.random() < 0.5:
            place = procedural_place(rng, *size_px)
        spans.append(disturbed(rng, procedural_span(rng, int(rng.integers(28, 120)), *size_px, place)))
    return joined(rng, spans, kinds)

"""From a title's script to its frames: a camera over painted places, sprites that act, looks, transitions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mediafm.media.synthetic.brush import Picture
from mediafm.media.synthetic.figures import Sprite
from mediafm.media.synthetic.looks import apply_look
from mediafm.media.synthetic.particles import draw_particles
from mediafm.media.synthetic.script import TitleScript
from mediafm.media.synthetic.shooting import (
    FLOOR_Y,
    PROP_HEIGHT,
    PROP_STEP_X,
    PROP_X,
    ShotScript,
    Transition,
    View,
    stage_positions,
)
from mediafm.media.synthetic.stage import Stage, build_stage

Affine: TypeAlias = NDArray[np.float64]
"""Maps pixels of one picture to another's, `[2, 3]`, as `cv2.warpAffine` takes it."""

SYLLABLES_HZ = 5.5
OPEN_MOUTH_SHARE = 0.55
BLINK_EVERY_SECONDS, BLINK_SECONDS = 2.6, 0.14
SHAKE_X_RADIANS, SHAKE_Y_RADIANS = 17.0, 23.0
"""How fast a hand-held camera shakes, in radians a second."""


def paint_title(script: TitleScript) -> Iterator[tuple[int, Picture]]:
    """Frame number and picture, in order. At most three scenes' stages are held in memory."""
    stages: dict[int, Stage] = {}
    gradual = {transition.middle_frame: transition for transition in script.transitions if transition.kind != "cut"}
    for shot in script.shots:
        arriving, leaving = gradual.get(shot.start_frame), gradual.get(shot.end_frame)
        stages = {index: stage for index, stage in stages.items() if index >= shot.scene_index - 1}
        for index in (shot.scene_index, *((shot.scene_index + 1,) if leaving else ())):
            if index not in stages:
                stages[index] = build_stage(script, script.scenes[index])
        for frame in range(shot.start_frame, shot.end_frame):
            picture = paint_frame(script, stages[shot.scene_index], shot, frame)
            if arriving is not None and frame < arriving.end_frame:
                picture = _blend(script, stages, arriving, picture, script.shots[shot.index - 1], frame)
            elif leaving is not None and frame >= leaving.start_frame:
                picture = _blend(script, stages, leaving, picture, script.shots[shot.index + 1], frame)
            yield frame, picture


def paint_frame(script: TitleScript, stage: Stage, shot: ShotScript, frame: int) -> Picture:
    """One frame of one shot; also defined outside the shot's own frames, as dissolves need."""
    seconds = frame / script.settings.frames_per_second
    scene = stage.scene
    to_screen = _camera(_view_at(shot, frame, seconds), stage)
    plate = stage.plates[shot.is_reverse, shot.kind in ("single", "insert")]
    warped = cv2.warpAffine(plate, to_screen, stage.frame_size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    picture = np.asarray(warped, np.uint8)
    if shot.kind != "single":
        _draw_props(picture, stage, to_screen, seconds)
    if shot.kind != "insert":
        for index in scene.cast_indices:
            if shot.subject in (None, index):
                _draw_actor(picture, script, stage, to_screen, index, seconds)
    for kind, share in stage.look.particles.items():
        draw_particles(picture, kind, scene.index, seconds, share)
    return apply_look(picture, stage.look)


def _draw_props(picture: Picture, stage: Stage, to_screen: Affine, seconds: float) -> None:
    for number, prop in enumerate(stage.props):
        is_ball = stage.scene.evidence.prop_topics[number] == "sport"
        bounce = 0.06 * abs(math.sin(4 * seconds)) if is_ball else 0.0
        foot = (PROP_X - PROP_STEP_X * number, FLOOR_Y - bounce)
        _place_sprite(picture, prop, to_screen, stage, foot, PROP_HEIGHT, 0.0)


def _draw_actor(
    picture: Picture, script: TitleScript, stage: Stage, to_screen: Affine, index: int, seconds: float
) -> None:
    """Who speaks moves the mouth, all blink; the livelier the scene, the more they bob and sway."""
    scene, evidence = stage.scene, stage.scene.evidence
    is_speaking = any(
        line.speaker == index and line.start_seconds <= seconds < line.end_seconds for line in script.lines
    )
    has_open_mouth = is_speaking and (seconds * SYLLABLES_HZ) % 1.0 < OPEN_MOUTH_SHARE
    has_open_eyes = (seconds + 0.7 * index) % BLINK_EVERY_SECONDS > BLINK_SECONDS
    beat = 2 * math.pi * (0.5 + 1.6 * evidence.look_energy) * seconds + index
    lift = 0.004 + 0.02 * evidence.look_energy + (0.05 if "comic" in evidence.look_tones else 0.0)
    sway_degrees = (0.5 + 4.0 * evidence.look_energy) * math.sin(0.7 * beat)
    x = stage_positions(len(scene.cast_indices))[scene.cast_indices.index(index)]
    foot = (x, FLOOR_Y - lift * abs(math.sin(beat)))
    sprite = stage.actors[index][has_open_mouth, has_open_eyes]
    _place_sprite(picture, sprite, to_screen, stage, foot, stage.heights[index], sway_degrees)


def _place_sprite(
    picture: Picture,
    sprite: Sprite,
    to_screen: Affine,
    stage: Stage,
    foot: tuple[float, float],
    height: float,
    sway_degrees: float,
) -> None:
    """Blends in a sprite whose lower middle stands at `foot`; `foot` and `height` are shares of the place."""
    plate_width, plate_height = stage.plate_size
    scale, turn = height * plate_height / sprite.shape[0], math.radians(sway_degrees)
    cos, sin = scale * math.cos(turn), scale * math.sin(turn)
    foot_x, foot_y = sprite.shape[1] / 2, sprite.shape[0]
    on_plate = np.array(
        [
            [cos, -sin, foot[0] * plate_width - cos * foot_x + sin * foot_y],
            [sin, cos, foot[1] * plate_height - sin * foot_x - cos * foot_y],
            [0.0, 0.0, 1.0],
        ]
    )
    affine: Affine = to_screen @ on_plate
    left, top, right, bottom = _bounds(affine, sprite, picture)
    if right - left < 2 or bottom - top < 2:
        return
    affine = affine - np.array([[0, 0, left], [0, 0, top]])
    moved = np.asarray(cv2.warpAffine(sprite, affine, (right - left, bottom - top), flags=cv2.INTER_LINEAR), np.uint8)
    region = picture[top:bottom, left:right]
    behind = cv2.cvtColor(255 - moved[..., 3], cv2.COLOR_GRAY2BGR)
    region[:] = cv2.add(cv2.multiply(region, behind, scale=1 / 255), moved[..., :3])


def _bounds(affine: Affine, sprite: Sprite, picture: Picture) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the moved sprite, within the picture."""
    height, width = sprite.shape[:2]
    corners = affine @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    low, high = np.floor(corners.min(axis=1)), np.ceil(corners.max(axis=1))
    return (
        max(0, int(low[0])),
        max(0, int(low[1])),
        min(picture.shape[1], int(high[0])),
        min(picture.shape[0], int(high[1])),
    )


def _view_at(shot: ShotScript, frame: int, seconds: float) -> View:
    share = (frame - shot.start_frame + 0.5) / (shot.end_frame - shot.start_frame)
    before, after = shot.view_from, shot.view_to
    reach = shot.shake * before.width
    return View(
        centre_x=before.centre_x
        + share * (after.centre_x - before.centre_x)
        + reach * math.sin(SHAKE_X_RADIANS * seconds),
        centre_y=before.centre_y
        + share * (after.centre_y - before.centre_y)
        + reach * math.sin(SHAKE_Y_RADIANS * seconds + 1.0),
        width=before.width + share * (after.width - before.width),
    )


def _camera(view: View, stage: Stage) -> Affine:
    """From the place's pixels to the screen's; the view is kept inside the place."""
    plate_width, plate_height = stage.plate_size
    width = min(view.width, 1.0)
    centre_x = min(max(view.centre_x, width / 2), 1 - width / 2)
    centre_y = min(max(view.centre_y, width / 2), 1 - width / 2)
    scale = stage.frame_size[0] / (width * plate_width)
    return np.array(
        [
            [scale, 0.0, stage.frame_size[0] / 2 - scale * centre_x * plate_width],
            [0.0, scale, stage.frame_size[1] / 2 - scale * centre_y * plate_height],
        ]
    )


def _blend(
    script: TitleScript,
    stages: dict[int, Stage],
    transition: Transition,
    picture: Picture,
    other: ShotScript,
    frame: int,
) -> Picture:
    """The picture within a dissolve or a fade; `other` is the shot on the far side of the boundary."""
    length_frames = transition.end_frame - transition.start_frame
    share_after = (frame - transition.start_frame + 1) / (length_frames + 1)
    if transition.kind == "fade":
        return np.asarray(cv2.convertScaleAbs(picture, alpha=abs(2 * share_after - 1)), np.uint8)
    opposite = paint_frame(script, stages[other.scene_index], other, frame)
    own_share = 1 - share_after if frame < transition.middle_frame else share_after
    return np.asarray(cv2.addWeighted(picture, own_share, opposite, 1 - own_share, 0), np.uint8)

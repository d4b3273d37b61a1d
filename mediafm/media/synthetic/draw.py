"""From a title's script to its frames: a camera over painted places, sprites that act, looks, transitions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from mediafm.media.synthetic.figures import (
    SPRITE_HEIGHT_PX,
    SPRITE_WIDTH_PX,
    Sprite,
    draw_character,
    draw_prop,
)
from mediafm.media.synthetic.latents import Scene
from mediafm.media.synthetic.looks import apply_look, build_look
from mediafm.media.synthetic.particles import draw_particles
from mediafm.media.synthetic.places import LIGHT_GAINS, Picture, draw_place
from mediafm.media.synthetic.script import (
    FLOOR_Y,
    PROP_X,
    ShotScript,
    TitleScript,
    Transition,
    View,
    stage_positions,
    title_rng,
)

PLACE_SCALE = 1.6
"""How much larger a painted place is than the picture."""

SYLLABLES_HZ = 5.5
BLINK_SECONDS = 0.14


class Stage:
    """One scene, ready to be filmed: the place from both sides, sharp and blurred, the actors and the look."""

    def __init__(self, script: TitleScript, scene: Scene) -> None:
        settings = script.settings
        width, height = round(settings.width_px * PLACE_SCALE), round(settings.height_px * PLACE_SCALE)
        owner = script.index if script.series is None else -1
        rng = title_rng(script.seed, script.index if owner >= 0 else script.index // 8, f"place {scene.place}")
        front = draw_place(scene.place, scene.lighting, rng, width, height)
        blurred = cv2.GaussianBlur(front, (0, 0), height / 130)
        self.scene = scene
        self.frame_size = (settings.width_px, settings.height_px)
        self.plates: dict[tuple[bool, bool], Picture] = {
            (False, False): front,
            (False, True): blurred,
            (True, False): front[:, ::-1].copy(),
            (True, True): blurred[:, ::-1].copy(),
        }
        evidence = scene.evidence
        self.look = build_look(
            evidence.look_genre, evidence.look_tones, evidence.prop_topics, scene.place, self.frame_size
        )
        self.actors = {index: _sprites(script, scene, index) for index in scene.cast_indices}
        self.heights = {index: script.cast[index].height for index in scene.cast_indices}
        self.props = [_lit(draw_prop(topic), scene.lighting) for topic in evidence.prop_topics]


def paint_title(script: TitleScript) -> Iterator[tuple[int, Picture]]:
    """Frame number and picture (blue, green, red), in order. At most two scenes are held in memory."""
    stages: dict[int, Stage] = {}
    fades = {transition.middle_frame: transition for transition in script.transitions if transition.kind != "cut"}
    for shot in script.shots:
        arriving, leaving = fades.get(shot.start_frame), fades.get(shot.end_frame)
        for needed in (shot.scene_index, *((shot.scene_index + 1,) if leaving else ())):
            if needed not in stages:
                stages = {index: stage for index, stage in stages.items() if index >= shot.scene_index - 1}
                stages[needed] = Stage(script, script.scenes[needed])
        neighbours = (script.shots[shot.index - 1] if shot.index else None, _next_shot(script, shot))
        for frame in range(shot.start_frame, shot.end_frame):
            picture = paint_frame(script, stages[shot.scene_index], shot, frame)
            for transition, other in ((arriving, neighbours[0]), (leaving, neighbours[1])):
                if (
                    transition is not None
                    and other is not None
                    and transition.start_frame <= frame < transition.end_frame
                ):
                    picture = _blend(script, stages, transition, picture, other, frame)
            yield frame, picture


def paint_frame(script: TitleScript, stage: Stage, shot: ShotScript, frame: int) -> Picture:
    """One frame of one shot; also defined outside the shot's own frames, as dissolves need."""
    seconds = frame / script.settings.frames_per_second
    scene = stage.scene
    view = _view_at(shot, frame, seconds)
    to_screen = _camera(view, stage.frame_size, stage.plates[False, False].shape)
    plate = stage.plates[shot.is_reverse, shot.kind in ("single", "insert")]
    picture = cv2.warpAffine(
        plate, to_screen, stage.frame_size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    for position, prop in enumerate(stage.props if shot.kind != "single" else ()):
        x, height = PROP_X - 0.11 * position, 0.2
        bounce = 0.06 * abs(math.sin(4 * seconds)) if "sport" in scene.evidence.prop_topics else 0.0
        _place_sprite(picture, prop, to_screen, stage, x, FLOOR_Y - bounce, height, 0.0)
    for position, index in enumerate(scene.cast_indices):
        if shot.subject in (None, index) and shot.kind != "insert":
            _draw_actor(picture, script, stage, to_screen, index, position, seconds)
    for kind in stage.look.particles:
        draw_particles(picture, kind, scene.index, seconds)
    return apply_look(picture, stage.look)


def _draw_actor(
    picture: Picture,
    script: TitleScript,
    stage: Stage,
    to_screen: np.ndarray,
    index: int,
    position: int,
    seconds: float,
) -> None:
    scene = stage.scene
    is_speaking = any(
        line.speaker == index and line.start_seconds <= seconds < line.end_seconds for line in script.lines
    )
    has_open_mouth = is_speaking and (seconds * SYLLABLES_HZ) % 1.0 < 0.55
    has_open_eyes = (seconds + 0.7 * index) % 2.6 > BLINK_SECONDS
    energy = scene.evidence.look_energy
    beat = 2 * math.pi * (0.5 + 1.6 * energy) * seconds + index
    lift = 0.004 + 0.02 * energy + (0.05 if "comic" in scene.evidence.look_tones else 0.0)
    sway = (0.5 + 4.0 * energy) * math.sin(0.7 * beat)
    x = stage_positions(len(scene.cast_indices))[position]
    floor = FLOOR_Y - lift * abs(math.sin(beat))
    sprite = stage.actors[index][has_open_mouth, has_open_eyes]
    _place_sprite(picture, sprite, to_screen, stage, x, floor, stage.heights[index], sway)


def _place_sprite(
    picture: Picture,
    sprite: Sprite,
    to_screen: np.ndarray,
    stage: Stage,
    x: float,
    floor_y: float,
    height: float,
    sway_degrees: float,
) -> None:
    """Blends a sprite whose lower middle stands at (x, floor_y) of the place; `height` is a share of the place's."""
    plate_height, plate_width = stage.plates[False, False].shape[:2]
    scale = height * plate_height / sprite.shape[0]
    turn = math.radians(sway_degrees)
    cos, sin = scale * math.cos(turn), scale * math.sin(turn)
    foot_x, foot_y = sprite.shape[1] / 2, sprite.shape[0]
    on_plate = np.array(
        [
            [cos, -sin, x * plate_width - cos * foot_x + sin * foot_y],
            [sin, cos, floor_y * plate_height - sin * foot_x - cos * foot_y],
            [0.0, 0.0, 1.0],
        ]
    )
    affine = to_screen @ on_plate
    left, top, right, bottom = _bounds(affine, sprite, picture)
    if right - left < 2 or bottom - top < 2:
        return
    affine = affine - np.array([[0, 0, left], [0, 0, top]])
    moved = cv2.warpAffine(sprite, affine, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    region = picture[top:bottom, left:right]
    behind = cv2.cvtColor(255 - moved[..., 3], cv2.COLOR_GRAY2BGR)
    region[:] = cv2.add(cv2.multiply(region, behind, scale=1 / 255), moved[..., :3])


def _bounds(affine: np.ndarray, sprite: Sprite, picture: Picture) -> tuple[int, int, int, int]:
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
    shake_x = shot.shake * math.sin(17.0 * seconds) * before.width
    shake_y = shot.shake * math.sin(23.0 * seconds + 1.0) * before.width
    return View(
        centre_x=before.centre_x + share * (after.centre_x - before.centre_x) + shake_x,
        centre_y=before.centre_y + share * (after.centre_y - before.centre_y) + shake_y,
        width=before.width + share * (after.width - before.width),
    )


def _camera(view: View, frame_size: tuple[int, int], plate_shape: tuple[int, ...]) -> np.ndarray:
    """The affine map `[2, 3]` from the place's pixels to the screen's; the view is kept inside the place."""
    width = min(view.width, 1.0)
    centre_x = min(max(view.centre_x, width / 2), 1 - width / 2)
    centre_y = min(max(view.centre_y, width / 2), 1 - width / 2)
    scale = frame_size[0] / (width * plate_shape[1])
    return np.array(
        [
            [scale, 0.0, frame_size[0] / 2 - scale * centre_x * plate_shape[1]],
            [0.0, scale, frame_size[1] / 2 - scale * centre_y * plate_shape[0]],
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
    """The picture within a dissolve or a fade; `picture` belongs to the side of the boundary that `frame` is on."""
    length = transition.end_frame - transition.start_frame
    share_after = (frame - transition.start_frame + 1) / (length + 1)
    is_before = frame < transition.middle_frame
    if transition.kind == "fade":
        strength = abs(2 * share_after - 1)
        return cv2.convertScaleAbs(picture, alpha=strength)  # type: ignore[return-value]
    opposite = paint_frame(script, stages[other.scene_index], other, frame)
    own_share = 1 - share_after if is_before else share_after
    return cv2.addWeighted(picture, own_share, opposite, 1 - own_share, 0)  # type: ignore[return-value]


def _next_shot(script: TitleScript, shot: ShotScript) -> ShotScript | None:
    return script.shots[shot.index + 1] if shot.index + 1 < len(script.shots) else None


def _sprites(script: TitleScript, scene: Scene, index: int) -> dict[tuple[bool, bool], Sprite]:
    tones = scene.evidence.look_tones
    mood = 1 if {"joyful", "comic", "tender"} & set(tones) else -1 if {"melancholic", "tense"} & set(tones) else 0
    return {
        (has_open_mouth, has_open_eyes): _lit(
            draw_character(
                script.cast[index],
                has_open_mouth=has_open_mouth,
                has_open_eyes=has_open_eyes,
                mood=mood,
                wears_beauty="beauty" in scene.evidence.prop_topics,
            ),
            scene.lighting,
        )
        for has_open_mouth in (False, True)
        for has_open_eyes in (False, True)
    }


def _lit(sprite: Sprite, lighting: str) -> Sprite:
    """The sprite under half of the place's lighting, so that faces stay readable at night."""
    gains = (np.asarray((*LIGHT_GAINS[lighting], 1.0)) + 1.0) / 2
    return np.clip(sprite * gains, 0, sprite[..., 3:]).astype(np.uint8)


assert SPRITE_WIDTH_PX < SPRITE_HEIGHT_PX

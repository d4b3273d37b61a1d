"""One scene, ready to be filmed: the place from both sides, sharp and blurred, the actors, the props and the look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from mediafm.media.synthetic.brush import Picture
from mediafm.media.synthetic.figures import Sprite, draw_character, draw_prop
from mediafm.media.synthetic.latents import Scene
from mediafm.media.synthetic.looks import Look, build_look
from mediafm.media.synthetic.places import LIGHT_GAINS, draw_place
from mediafm.media.synthetic.script import TitleScript

PLACE_SCALE = 1.6
"""How much larger a painted place is than the picture."""
BLUR_SHARE = 1 / 130
"""Of the place's height: the blur behind a face."""
OTHER_SIDE_GAINS = (0.65, 1.15)
"""The other side of a place is the place mirrored, in other light: blue, green and red times a number in between."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What all shots of a scene share.

    plates: the place by (is seen from the other side, is blurred).
    actors: by index into the cast, then by (mouth is open, eyes are open). heights: shares of the place's height.
    """

    scene: Scene
    frame_size: tuple[int, int]
    plates: Mapping[tuple[bool, bool], Picture]
    actors: Mapping[int, Mapping[tuple[bool, bool], Sprite]]
    heights: Mapping[int, float]
    props: tuple[Sprite, ...]
    look: Look

    @property
    def plate_size(self) -> tuple[int, int]:
        """Width and height of the place in px."""
        height, width = self.plates[False, False].shape[:2]
        return width, height


def build_stage(script: TitleScript, scene: Scene) -> Stage:
    """The stage of one scene. A place comes back as it was, but for the lighting, in a whole series."""
    settings, evidence = script.settings, scene.evidence
    frame_size = (settings.width_px, settings.height_px)
    width, height = (round(PLACE_SCALE * side) for side in frame_size)
    front = draw_place(scene.place, scene.lighting, script.world_rng(f"place {scene.place}"), width, height)
    gains = script.world_rng(f"other side {scene.place}").uniform(*OTHER_SIDE_GAINS, 3)
    back = np.clip(front[:, ::-1] * gains, 0, 255).astype(np.uint8)
    return Stage(
        scene=scene,
        frame_size=frame_size,
        plates={
            (False, False): front,
            (False, True): _blurred(front),
            (True, False): back,
            (True, True): _blurred(back),
        },
        actors={index: _sprites(script, scene, index) for index in scene.cast_indices},
        heights={index: script.cast[index].height for index in scene.cast_indices},
        props=tuple(_lit(draw_prop(topic), scene.lighting) for topic in evidence.prop_topics),
        look=build_look(evidence, scene.place, frame_size),
    )


def _blurred(plate: Picture) -> Picture:
    return np.asarray(cv2.GaussianBlur(plate, (0, 0), plate.shape[0] * BLUR_SHARE), np.uint8)


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
    return np.minimum(sprite * gains, sprite[..., 3:]).astype(np.uint8)

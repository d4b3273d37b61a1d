"""From a script to vectors: what holds for the whole catalogue (the `World`), and how a shot is rendered.

All that a modality shows of a shot is added up in a latent space, bent by tanh and mapped to the modality's width. What
means the same in all titles (scene types, roles, shot sizes) are fixed codes; what is particular to a title (looks of
scenes, faces, voices, style) is drawn anew for each title and goes through fixed maps of lower rank.

Legend: N shots, D latent width, W width of a modality's vectors, S scenes and C characters of a title.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.data.scenes_script import Flags, Indexes, Script
from mediafm.data.scenes_settings import SceneSettings
from mediafm.types import Modality

Floats = NDArray[np.float64]
_BEND = 0.5
"""Latents are multiplied with this before tanh: several components add up, and full strength would clip them."""


@dataclass(frozen=True, eq=False, kw_only=True)
class World:
    """What all titles of a catalogue share; every latent component has a variance of about 1 per coordinate.

    type_codes: Modality -> [scene types, D]. role_codes: [roles, D], of text. size_codes: [sizes, D], of video.
    look_map, sound_map: [look width, D]. face_map, voice_map: [person width, D].
    style_maps: Modality -> [style width, D].
    out_maps: Modality -> [D, W].
    """

    type_codes: dict[Modality, Floats]
    role_codes: Floats
    size_codes: Floats
    look_map: Floats
    sound_map: Floats
    face_map: Floats
    voice_map: Floats
    style_maps: dict[Modality, Floats]
    out_maps: dict[Modality, Floats]


def draw_world(settings: SceneSettings, rng: np.random.Generator) -> World:
    """The codes and maps of a catalogue."""
    D = settings.latent_dim

    def mapped(width: int) -> Floats:
        return np.asarray(rng.normal(size=(width, D)) / np.sqrt(width))

    return World(
        type_codes={modality: rng.normal(size=(settings.num_scene_types, D)) for modality in Modality},
        role_codes=rng.normal(size=(settings.num_roles, D)),
        size_codes=rng.normal(size=(settings.num_sizes, D)),
        look_map=mapped(settings.look_dim),
        sound_map=mapped(settings.look_dim),
        face_map=mapped(settings.person_dim),
        voice_map=mapped(settings.person_dim),
        style_maps={modality: mapped(settings.style_dim) for modality in Modality},
        out_maps={modality: rng.normal(size=(D, settings.width)) / np.sqrt(D) for modality in Modality},
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Rendered:
    """vectors: Modality -> float32 [N, W], drawn also for absent ones. metadata: float32 [W], unit, of the style."""

    vectors: dict[Modality, NDArray[np.float32]]
    metadata: NDArray[np.float32]


def render(settings: SceneSettings, world: World, script: Script, rng: np.random.Generator) -> Rendered:
    """Vectors of a title."""
    style = settings.style * rng.normal(size=settings.style_dim)
    shown = {
        Modality.VIDEO: _video(settings, world, script, rng),
        Modality.AUDIO: _audio(settings, world, script, rng),
        Modality.TEXT: _text(settings, world, script, rng),
    }
    vectors = {}
    for modality, latent_ND in shown.items():
        noise_ND = settings.noise * rng.normal(size=latent_ND.shape)
        latent_ND = latent_ND + style @ world.style_maps[modality] + noise_ND
        vectors[modality] = (np.tanh(_BEND * latent_ND) @ world.out_maps[modality]).astype(np.float32)
    metadata = np.tanh(_BEND * style @ world.style_maps[Modality.TEXT]) @ world.out_maps[Modality.TEXT]
    length = max(float(np.linalg.norm(metadata)), 1e-12)
    return Rendered(vectors=vectors, metadata=(metadata / length).astype(np.float32))


def _video(settings: SceneSettings, world: World, script: Script, rng: np.random.Generator) -> Floats:
    looks = rng.normal(size=(len(script.type_of_scene), settings.look_dim)) @ world.look_map
    faces = rng.normal(size=(len(script.role_of_character), settings.person_dim)) @ world.face_map
    told = world.type_codes[Modality.VIDEO][script.type_of_scene[script.scene]]
    scene = settings.look * looks[script.scene] + settings.cue * told * script.is_establishing[:, None]
    face = settings.appearance * _of(faces, np.where(script.is_hidden, -1, script.character))
    content = _distracted(scene + face, script.is_insert, settings.distractor, rng)
    return np.asarray(content + settings.size * world.size_codes[script.size])


def _audio(settings: SceneSettings, world: World, script: Script, rng: np.random.Generator) -> Floats:
    sounds = rng.normal(size=(len(script.type_of_scene), settings.look_dim)) @ world.sound_map
    voices = rng.normal(size=(len(script.role_of_character), settings.person_dim)) @ world.voice_map
    told = world.type_codes[Modality.AUDIO][script.type_of_scene[script.scene]]
    scene = settings.sound * sounds[script.scene] + settings.cue * told * script.is_ambience[:, None]
    return _distracted(scene + settings.voice * _of(voices, script.speaker), script.is_music, settings.distractor, rng)


def _text(settings: SceneSettings, world: World, script: Script, rng: np.random.Generator) -> Floats:
    told = world.type_codes[Modality.TEXT][script.type_of_scene[script.scene]]
    roles = _of(world.role_codes[script.role_of_character], script.character)
    content = settings.cue * told * script.is_type_text[:, None] + settings.role * roles * script.is_role_text[:, None]
    # Chatter may stand beside what the text tells, as a long caption would.
    chatter = settings.distractor * rng.normal(size=content.shape)
    return np.asarray(content + chatter * script.is_chatter[:, None])


def _of(rows: Floats, number: Indexes) -> Floats:
    """rows[number], zeros where the number is -1."""
    return np.asarray(rows[number] * (number >= 0)[:, None])


def _distracted(content: Floats, is_distractor: Flags, strength: float, rng: np.random.Generator) -> Floats:
    """Content, replaced where a distractor stands in its place."""
    return np.where(is_distractor[:, None], strength * rng.normal(size=content.shape), content)

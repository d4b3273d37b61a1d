"""The script of a title: who and what each shot shows, hears and tells, before any vector is drawn.

Legend: N shots, S scenes of the title, C characters of the title.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.data.scenes_settings import SceneSettings

Indexes = NDArray[np.int64]
Flags = NDArray[np.bool_]

WIDE = 0
"""The shot size of an establishing shot."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Script:
    """What happens, [N] each unless told otherwise; -1 stands for nobody.

    type_of_scene: int64 [S]. role_of_character: int64 [C], distinct.
    scene, character, speaker, size: int64. The character is on screen; the speaker is heard.
    is_establishing: the picture tells the scene type. is_ambience: the sound does. is_type_text: the text does.
    is_role_text: the text tells the character's role.
    is_hidden: the character is on screen but not to be recognised by the picture.
    is_insert, is_music, is_chatter: picture, sound, text have strong content that tells nothing.
    is_present: bool [N, 3], a True in each row.
    """

    type_of_scene: Indexes
    role_of_character: Indexes
    scene: Indexes
    character: Indexes
    speaker: Indexes
    size: Indexes
    is_establishing: Flags
    is_ambience: Flags
    is_type_text: Flags
    is_role_text: Flags
    is_hidden: Flags
    is_insert: Flags
    is_music: Flags
    is_chatter: Flags
    is_present: Flags


def draw_num_shots(settings: SceneSettings, rng: np.random.Generator) -> int:
    """N. The first number that a title draws, so that it is known without drawing the rest."""
    return int(rng.integers(settings.min_shots, settings.max_shots + 1))


def draw_script(settings: SceneSettings, num_shots: int, rng: np.random.Generator) -> Script:
    """The script of a title of that many shots."""
    num_scenes = int(rng.integers(settings.min_scenes, settings.max_scenes + 1))
    num_characters = int(rng.integers(settings.min_characters, settings.max_characters + 1))
    type_of_scene = rng.integers(settings.num_scene_types, size=num_scenes)
    scene, begins_plain = _segments(settings, num_scenes, num_shots, rng)

    def chance(share: float) -> Flags:
        return np.asarray(rng.random(num_shots) < share)

    is_establishing = begins_plain & chance(settings.establishing_share)
    is_insert = chance(settings.insert_share) & ~is_establishing
    has_character = chance(settings.on_screen_share) & ~is_insert & ~is_establishing
    in_scene = _people(settings, num_scenes, num_characters, rng)
    character = np.where(has_character, _pick(in_scene, scene, rng), -1)
    is_heard = np.where(has_character, chance(settings.speaking_share), chance(settings.off_screen_share))
    speaker = np.where(is_heard, np.where(has_character, character, _pick(in_scene, scene, rng)), -1)
    is_type_text = chance(settings.type_text_share)
    is_role_text = has_character & chance(settings.role_text_share)
    size = np.where(is_establishing, WIDE, rng.integers(settings.num_sizes, size=num_shots))
    is_present = np.asarray(rng.random((num_shots, 3)) >= np.array(settings.absent_shares))
    is_present[:, 2] |= is_type_text | is_role_text
    is_present[~is_present.any(axis=1), 0] = True
    return Script(
        type_of_scene=type_of_scene,
        role_of_character=rng.permutation(settings.num_roles)[:num_characters],
        scene=scene,
        character=character,
        speaker=speaker,
        size=size,
        is_establishing=is_establishing,
        is_ambience=chance(settings.ambience_share),
        is_type_text=is_type_text,
        is_role_text=is_role_text,
        is_hidden=has_character & chance(settings.hidden_share),
        is_insert=is_insert,
        is_music=chance(settings.music_share),
        is_chatter=chance(settings.chatter_share),
        is_present=is_present,
    )


def _segments(
    settings: SceneSettings, num_scenes: int, num_shots: int, rng: np.random.Generator
) -> tuple[Indexes, Flags]:
    """The scene of each shot, and which shots begin a plain segment."""
    scene: list[int] = []
    begins_plain = np.zeros(num_shots, np.bool_)
    while len(scene) < num_shots:
        last = scene[-1] if scene else -1
        first = _other_than(last, num_scenes, rng)
        second = _other_than(first, num_scenes, rng)
        if rng.random() < settings.cross_cut_share:
            for turn in range(int(rng.integers(4, 9))):
                run = int(rng.integers(1, settings.max_cut_run_shots + 1))
                scene += [second if turn % 2 else first] * run
        else:
            begins_plain[len(scene)] = True
            scene += [first] * int(rng.integers(2, settings.max_run_shots + 1))
    return np.array(scene[:num_shots], np.int64), begins_plain


def _other_than(scene: int, num_scenes: int, rng: np.random.Generator) -> int:
    return int(rng.choice([each for each in range(num_scenes) if each != scene]))


def _people(settings: SceneSettings, num_scenes: int, num_characters: int, rng: np.random.Generator) -> list[list[int]]:
    """The cast of each scene: one character or more."""
    most = min(settings.max_cast, num_characters)
    return [rng.permutation(num_characters)[: int(rng.integers(1, most + 1))].tolist() for _ in range(num_scenes)]


def _pick(in_scene: list[list[int]], scene: Indexes, rng: np.random.Generator) -> Indexes:
    """Somebody of the scene's cast for each shot."""
    draw = rng.random(len(scene))
    return np.array(
        [in_scene[each][int(place * len(in_scene[each]))] for each, place in zip(scene, draw, strict=True)], np.int64
    )

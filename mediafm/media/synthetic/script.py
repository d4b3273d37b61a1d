"""A title before it is drawn: who, where, which shots joined how, who says what when. Pure of pictures and sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mediafm.media.synthetic.characters import Character, draw_cast
from mediafm.media.synthetic.dialogue import Line, draw_lines
from mediafm.media.synthetic.latents import PLACES, Scene, draw_scenes
from mediafm.media.synthetic.roles import ROLES, Role
from mediafm.media.synthetic.settings import SampleSettings
from mediafm.media.synthetic.shooting import ShotScript, Transition, draw_shots
from mediafm.media.synthetic.words import TITLE_FIRST, TITLE_SECOND, pick

CAST_SIZE = 4
NUM_PLACES = 4
SERIES_STRIDE = 89
"""Has no divisor in common with the number of pairs of words, so that the walk comes by all of them."""
SILENT_SHARE = 1 / 3
"""Of the scenes of a title that has silences."""


@dataclass(frozen=True, kw_only=True)
class TitleScript:
    """All that is known of a title before it is drawn."""

    index: int
    seed: int
    title_id: str
    name: str
    role: Role
    series: str | None
    season: int | None
    episode: int | None
    settings: SampleSettings
    cast: tuple[Character, ...]
    places: tuple[str, ...]
    scenes: tuple[Scene, ...]
    shots: tuple[ShotScript, ...]
    transitions: tuple[Transition, ...]
    lines: tuple[Line, ...]
    silent_scenes: tuple[int, ...]

    @property
    def num_frames(self) -> int:
        return self.shots[-1].end_frame

    @property
    def file_name(self) -> str:
        return self.title_id + self.role.container

    def scene_frames(self, scene_index: int) -> tuple[int, int]:
        """First frame of a scene, and the first one after it."""
        own = [shot for shot in self.shots if shot.scene_index == scene_index]
        return own[0].start_frame, own[-1].end_frame

    def world_rng(self, purpose: str) -> np.random.Generator:
        """The generator of what a title shares with the other episodes of its series: places, cast, names."""
        return _world_rng(self.index, self.seed, self.role, purpose)

    def rng(self, purpose: str) -> np.random.Generator:
        """The generator of one purpose of this title alone."""
        return _rng(self.seed, self.index, purpose)


def write_script(index: int, seed: int, settings: SampleSettings) -> TitleScript:
    """Title number `index` of the catalogue of `seed`; the same whatever the number of titles."""
    role = ROLES[index % len(ROLES)]
    world = _world_rng(index, seed, role, "world")
    name = _series_name(seed, index) if role.is_episode else f"{pick(world, TITLE_FIRST)} {pick(world, TITLE_SECOND)}"
    cast = draw_cast(world, CAST_SIZE)
    places = tuple(PLACES[int(i)] for i in world.choice(len(PLACES), NUM_PLACES, replace=False))
    rng = _rng(seed, index, "script")
    scenes = draw_scenes(rng, num_scenes=settings.num_scenes, places=places, cast_size=CAST_SIZE)
    shots, transitions = draw_shots(rng, scenes, cast, settings)
    num_silent = max(1, round(SILENT_SHARE * len(scenes))) if role.has_silences else 0
    return TitleScript(
        index=index,
        seed=seed,
        title_id=f"{name.replace(' ', '_')}_{index:03d}",
        name=name.title(),
        role=role,
        series=name.title() if role.is_episode else None,
        season=1 if role.is_episode else None,
        episode=_episode(index) if role.is_episode else None,
        settings=settings,
        cast=cast,
        places=places,
        scenes=scenes,
        shots=shots,
        transitions=transitions,
        lines=draw_lines(rng, scenes, shots, cast, settings.frames_per_second),
        silent_scenes=tuple(sorted(int(i) for i in rng.choice(len(scenes), num_silent, replace=False))),
    )


def _series_name(seed: int, index: int) -> str:
    """No two series of a catalogue share a name, because a series is one group: a walk through all pairs of words."""
    num_names = len(TITLE_FIRST) * len(TITLE_SECOND)
    number = index // len(ROLES)
    place = (int(_rng(seed, 0, "series names").integers(num_names)) + number * SERIES_STRIDE) % num_names
    name = f"{TITLE_FIRST[place // len(TITLE_SECOND)]} {TITLE_SECOND[place % len(TITLE_SECOND)]}"
    return name if number < num_names else f"{name} {1 + number // num_names}"


def _episode(index: int) -> int:
    return 1 + sum(role.is_episode for role in ROLES[: index % len(ROLES)])


def _world_rng(index: int, seed: int, role: Role, purpose: str) -> np.random.Generator:
    if role.is_episode:
        return _rng(seed, index // len(ROLES), f"series {purpose}")
    return _rng(seed, index, f"title {purpose}")


def _rng(seed: int, index: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, index, *purpose.encode()])

"""Pictures: cuts jump, dissolves mix, fades go through black; places and people look the same when they come back."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from mediafm.media.synthetic.brush import Picture
from mediafm.media.synthetic.characters import draw_cast
from mediafm.media.synthetic.draw import paint_frame, paint_title
from mediafm.media.synthetic.figures import SPRITE_HEIGHT_PX, draw_character, draw_prop
from mediafm.media.synthetic.latents import GENRES, LIGHTINGS, PLACES, TONES, TOPICS, Evidence
from mediafm.media.synthetic.looks import apply_look, build_look
from mediafm.media.synthetic.particles import SWARMS, draw_particles
from mediafm.media.synthetic.places import draw_place
from mediafm.media.synthetic.script import TitleScript, write_script
from mediafm.media.synthetic.settings import TINY
from mediafm.media.synthetic.stage import build_stage

PICTURES = replace(TINY, num_scenes=6, dissolve_share=0.5, fade_share=0.4, width_px=96, height_px=54)


@lru_cache
def painted() -> tuple[TitleScript, tuple[Picture, ...]]:
    script = write_script(0, 4, PICTURES)
    numbered = list(paint_title(script))
    assert [number for number, _ in numbered] == list(range(script.num_frames))
    return script, tuple(picture for _, picture in numbered)


def step(pictures: tuple[Picture, ...], frame: int) -> float:
    """Mean absolute difference of a frame from the one before."""
    return float(np.abs(pictures[frame].astype(int) - pictures[frame - 1].astype(int)).mean())


def test_pictures_are_of_the_size_that_the_settings_ask_for() -> None:
    _, pictures = painted()
    assert {picture.shape for picture in pictures} == {(54, 96, 3)}
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}


def test_the_title_holds_every_kind_of_transition() -> None:
    script, _ = painted()
    assert {transition.kind for transition in script.transitions} == {"cut", "dissolve", "fade"}


def test_a_cut_is_a_jump() -> None:
    script, pictures = painted()
    cuts = [transition.start_frame for transition in script.transitions if transition.kind == "cut"]
    calm = [step(pictures, shot.end_frame - 6) for shot in script.shots]
    assert np.median([step(pictures, cut) for cut in cuts]) > 3 * np.median(calm)


def test_a_fade_goes_through_black() -> None:
    script, pictures = painted()
    for transition in script.transitions:
        if transition.kind == "fade":
            assert pictures[transition.middle_frame].mean() < 0.3 * pictures[transition.end_frame].mean()
            assert pictures[transition.middle_frame - 1].mean() < 0.3 * pictures[transition.start_frame - 1].mean()


def test_a_dissolve_is_a_mixture_of_both_shots_and_jumps_nowhere() -> None:
    script, pictures = painted()
    dissolves = [transition for transition in script.transitions if transition.kind == "dissolve"]
    for transition in dissolves:
        frame = transition.middle_frame
        after = next(shot for shot in script.shots if shot.start_frame == frame)
        shots = (script.shots[after.index - 1], after)
        one, other = (
            paint_frame(script, build_stage(script, script.scenes[shot.scene_index]), shot, frame).astype(int)
            for shot in shots
        )
        share = (frame - transition.start_frame + 1) / (transition.end_frame - transition.start_frame + 1)
        assert np.abs(pictures[frame] - ((1 - share) * one + share * other)).max() <= 1.5
        whole = np.abs(one - other).mean()
        steps = [step(pictures, f) for f in range(transition.start_frame, transition.end_frame + 1)]
        assert max(steps) < 0.75 * whole


def test_painting_twice_gives_the_same_pictures() -> None:
    script, pictures = painted()
    again = [picture for (_, picture), _ in zip(paint_title(script), range(12), strict=False)]
    assert all(np.array_equal(one, other) for one, other in zip(again, pictures, strict=False))


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_itself_in_any_light_and_like_no_other(place: str) -> None:
    def paint(name: str, lighting: str, seed: int = 0) -> Picture:
        return draw_place(name, lighting, np.random.default_rng(seed), 160, 90)

    day, dusk, night = (paint(place, lighting) for lighting in LIGHTINGS)
    assert np.array_equal(day, paint(place, "day"))
    assert not np.array_equal(day, paint(place, "day", seed=1))
    assert night.mean() < dusk.mean() < day.mean()
    others = [paint(other, "day") for other in PLACES if other != place]
    assert min(np.abs(day.astype(int) - other.astype(int)).mean() for other in others) > 10


def test_a_sprite_never_shines_where_it_is_not() -> None:
    character = draw_cast(np.random.default_rng(0), 1)[0]
    for sprite in (
        draw_character(character, has_open_mouth=True, has_open_eyes=False, mood=1),
        *(draw_prop(topic) for topic in TOPICS if topic != "finance"),
    ):
        assert (sprite[..., :3] <= sprite[..., 3:]).all()
        assert sprite[..., 3].max() == 255
        assert (sprite[:2, :2, 3] == 0).all()


def test_mouth_and_eyes_move_and_only_they() -> None:
    character = draw_cast(np.random.default_rng(1), 1)[0]
    still = draw_character(character, has_open_mouth=False, has_open_eyes=True, mood=0).astype(int)
    speaking = draw_character(character, has_open_mouth=True, has_open_eyes=True, mood=0).astype(int)
    blinking = draw_character(character, has_open_mouth=False, has_open_eyes=False, mood=0).astype(int)
    for changed in (speaking, blinking):
        rows = np.flatnonzero(np.abs(changed - still).sum(axis=(1, 2)))
        assert 60 < rows.min() < rows.max() < SPRITE_HEIGHT_PX // 2


def showing(genre: str = "drama", tones: tuple[str, ...] = (), energy: float = 0.5) -> Evidence:
    """What a picture shows; the rest is as anywhere."""
    some = write_script(0, 0, TINY).scenes[0].evidence
    return replace(some, look_genre=genre, look_tones=tones, look_energy=energy, prop_topics=())


@pytest.mark.parametrize("genre", GENRES)
def test_each_genre_grades_a_grey_picture_in_its_own_way(genre: str) -> None:
    grey = np.full((54, 96, 3), 128, np.uint8)
    graded = {name: apply_look(grey, build_look(showing(name), "room", (96, 54))).astype(int) for name in GENRES}
    others = [np.abs(graded[genre] - graded[name]).mean() for name in GENRES if name != genre]
    assert min(others) > 3


def test_what_is_only_heard_or_known_from_neighbours_leaves_the_picture_alone() -> None:
    plain = build_look(showing(), "room", (96, 54))
    for tone in ("eerie", "relieved"):
        assert tone in TONES
        look = build_look(showing(tones=(tone,)), "room", (96, 54))
        assert np.array_equal(look.matrix, plain.matrix)
        assert np.array_equal(look.shine, plain.shine)
        assert look.particles == plain.particles


def test_energy_is_seen() -> None:
    calm, wild = (build_look(showing(energy=energy), "room", (96, 54)) for energy in (0.1, 0.9))
    assert calm.particles["rush"] < wild.particles["rush"]
    assert np.abs(wild.matrix[:, :3]).sum() > np.abs(calm.matrix[:, :3]).sum()


@pytest.mark.parametrize("kind", SWARMS)
def test_particles_move_with_time_and_repeat(kind: str) -> None:
    def draw(seconds: float) -> Picture:
        picture = np.full((90, 160, 3), 90, np.uint8)
        draw_particles(picture, kind, 3, seconds)
        return picture

    assert np.array_equal(draw(1.0), draw(1.0))
    assert not np.array_equal(draw(1.0), draw(1.5))

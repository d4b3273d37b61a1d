"""A title's script: shots that tile it, transitions where shots meet, lines in order, the same for any catalogue."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.media.synthetic.roles import ROLES
from mediafm.media.synthetic.script import TitleScript, write_script
from mediafm.media.synthetic.settings import TINY, SampleSettings

GOLDEN_SHA256 = "1265ef28db6d2fd97bcae869ab45926be010175a9eeec06ce5515cb375056602"
"""Of the scripts of titles 0 to 7 of seed 1 with the default settings. If it moves, raise SAMPLE_VERSION."""

scripts = st.builds(
    write_script, st.integers(0, 500), st.integers(0, 2**31), st.sampled_from([TINY, SampleSettings(num_scenes=3)])
)


@given(script=scripts)
@settings(max_examples=30, deadline=None)
def test_shots_tile_the_title(script: TitleScript) -> None:
    assert script.shots[0].start_frame == 0
    assert [shot.index for shot in script.shots] == list(range(len(script.shots)))
    for before, after in pairwise(script.shots):
        assert before.end_frame == after.start_frame
        assert after.scene_index - before.scene_index in (0, 1)
    assert script.scene_frames(0)[0] == 0
    assert script.scene_frames(len(script.scenes) - 1)[1] == script.num_frames


@given(script=scripts)
@settings(max_examples=30, deadline=None)
def test_every_boundary_has_its_transition_and_gradual_ones_stand_between_scenes(script: TitleScript) -> None:
    assert [t.middle_frame for t in script.transitions] == [shot.start_frame for shot in script.shots[1:]]
    for transition, (before, after) in zip(script.transitions, pairwise(script.shots), strict=True):
        length = transition.end_frame - transition.start_frame
        if transition.kind == "cut":
            assert length == 0
        else:
            assert script.settings.min_transition_frames <= length <= script.settings.max_transition_frames
            assert before.scene_index != after.scene_index
            assert before.start_frame < transition.start_frame
            assert transition.end_frame < after.end_frame


@given(script=scripts)
@settings(max_examples=30, deadline=None)
def test_lines_are_ordered_apart_and_inside_the_title(script: TitleScript) -> None:
    for line in script.lines:
        assert 0 <= line.start_seconds < line.end_seconds
        assert line.end_seconds <= round(script.num_frames / script.settings.frames_per_second, 3)
        assert line.text.strip() == line.text != ""
        assert line.text[0].isupper() or line.text.startswith("[")
    for before, after in pairwise(script.lines):
        assert before.end_seconds < after.start_seconds


def test_some_shots_have_no_text_and_some_lines_cross_a_cut() -> None:
    all_scripts = [write_script(index, 0, SampleSettings()) for index in range(4)]
    num_shots = sum(len(script.shots) for script in all_scripts)
    num_lines = sum(len(script.lines) for script in all_scripts)
    crossing = [
        line
        for script in all_scripts
        for line in script.lines
        for shot in script.shots[1:]
        if line.start_seconds < shot.start_frame / 24 < line.end_seconds
    ]
    assert 0.6 * num_shots < num_lines < 0.9 * num_shots
    assert len(crossing) >= 4


def test_a_title_does_not_depend_on_how_many_there_are_but_on_its_number_and_seed() -> None:
    assert write_script(3, 7, TINY) == write_script(3, 7, TINY)
    assert write_script(3, 7, TINY) != write_script(3, 8, TINY)
    assert write_script(3, 7, TINY).scenes != write_script(4, 7, TINY).scenes


def test_the_first_eight_titles_have_every_role() -> None:
    names = [write_script(index, 0, TINY).role.name for index in range(8)]
    assert names == [role.name for role in ROLES]
    assert sum(role.container == ".mkv" for role in ROLES) == 1
    assert sum(not role.has_sound for role in ROLES) == 1


def test_episodes_share_their_world_and_nothing_else() -> None:
    first, second, other = (write_script(index, 0, TINY) for index in (2, 3, 10))
    assert first.series == second.series != other.series
    assert (first.episode, second.episode, first.season) == (1, 2, 1)
    assert first.cast == second.cast
    assert first.places == second.places
    assert first.scenes != second.scenes
    assert first.world_rng("place sea").random() == second.world_rng("place sea").random()
    assert first.rng("sound 0").random() != second.rng("sound 0").random()


def test_no_two_titles_share_an_id_and_no_two_series_a_name() -> None:
    tiny = SampleSettings(num_scenes=1)
    all_scripts = [write_script(index, 1, tiny) for index in range(400)]
    assert len({script.title_id for script in all_scripts}) == 400
    series = [script.series for script in all_scripts if script.series]
    assert len(set(series)) == len(series) // 2 == 50


def test_the_silences_lie_in_one_title_and_leave_most_scenes_their_sound() -> None:
    silent = [len(write_script(index, 0, SampleSettings()).silent_scenes) for index in range(8)]
    assert silent == [0, 0, 0, 0, 0, 3, 0, 0]


def test_scripts_are_as_they_were() -> None:
    written = [asdict(write_script(index, 1, SampleSettings())) for index in range(8)]
    assert hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest() == GOLDEN_SHA256

"""Sound: as long as its scene, louder with energy, each place, instrument and voice in its own band."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mediafm.media.synthetic.dialogue import Line
from mediafm.media.synthetic.latents import GENRES, PLACES
from mediafm.media.synthetic.music import TIMBRES, play_music
from mediafm.media.synthetic.script import TitleScript, write_script
from mediafm.media.synthetic.settings import TINY
from mediafm.media.synthetic.sound import AMBIENCES, scene_sound
from mediafm.media.synthetic.synth import Waves, clap, mix_in, note, slide, thump
from mediafm.media.synthetic.voices import add_voice

RATE_HZ = 16_000
SCRIPT = write_script(0, 2, TINY)


def peak_hz(waves: Waves) -> float:
    return float(np.fft.rfftfreq(waves.size, 1 / RATE_HZ)[np.abs(np.fft.rfft(waves)).argmax()])


def level(waves: Waves) -> float:
    return float(np.sqrt(np.mean(np.square(waves))))


def with_scene(script: TitleScript, **evidence: object) -> TitleScript:
    scene = replace(script.scenes[0], evidence=replace(script.scenes[0].evidence, **evidence))  # type: ignore[arg-type]
    return replace(script, scenes=(scene, *script.scenes[1:]))


def test_a_scene_sounds_as_long_as_it_lasts() -> None:
    samples = [scene_sound(SCRIPT, scene) for scene in SCRIPT.scenes]
    total = sum(item.size for item in samples)
    assert total == round(SCRIPT.num_frames / TINY.frames_per_second * RATE_HZ)
    for item in samples:
        assert item.dtype == np.float32
        assert np.abs(item).max() < 1.0
        assert level(item) > 0.01
        assert abs(item[0]) < 1e-3


def test_sound_is_the_same_twice_and_silent_where_the_script_says() -> None:
    assert np.array_equal(scene_sound(SCRIPT, SCRIPT.scenes[1]), scene_sound(SCRIPT, SCRIPT.scenes[1]))
    silent = replace(SCRIPT, silent_scenes=(1,))
    assert not scene_sound(silent, SCRIPT.scenes[1]).any()
    assert scene_sound(silent, SCRIPT.scenes[0]).any()


def test_energy_is_loud() -> None:
    calm, wild = (with_scene(SCRIPT, sound_energy=energy) for energy in (0.05, 0.95))
    assert level(scene_sound(wild, wild.scenes[0])) > 1.5 * level(scene_sound(calm, calm.scenes[0]))


def test_a_dreamy_scene_sounds_like_any_other_and_an_eerie_one_does_not() -> None:
    eerie = with_scene(SCRIPT, sound_tones=("eerie",))
    plain = with_scene(SCRIPT, sound_tones=())
    assert not np.allclose(scene_sound(eerie, eerie.scenes[0]), scene_sound(plain, plain.scenes[0]))
    assert "dreamy" not in SCRIPT.scenes[0].evidence.sound_tones


def test_every_place_and_genre_has_its_sound() -> None:
    assert set(AMBIENCES) == set(PLACES)
    assert set(TIMBRES) == set(GENRES)


@pytest.mark.parametrize("genre", GENRES)
def test_no_two_instruments_have_the_same_spectrum(genre: str) -> None:
    def spectrum(name: str) -> Waves:
        evidence = replace(SCRIPT.scenes[0].evidence, sound_genre=name, sound_tones=(), sound_energy=0.5)
        music = play_music(np.random.default_rng(0), evidence, 220.0, 2 * RATE_HZ, RATE_HZ)
        bands = np.abs(np.fft.rfft(music))[: 32 * 400].reshape(32, 400).sum(axis=1)
        return np.asarray(bands / np.linalg.norm(bands))

    own = spectrum(genre)
    assert max(float(own @ spectrum(other)) for other in GENRES if other != genre) < 0.999


def test_a_note_has_its_pitch_and_drops_harmonics_that_the_rate_cannot_hold() -> None:
    assert peak_hz(note(440.0, (1.0, 0.3), 1.0, RATE_HZ, decay_seconds=1.0)) == pytest.approx(440.0, abs=2)
    assert not note(7_900.0, (1.0,), 0.1, RATE_HZ, decay_seconds=1.0).any()


def test_short_sounds_end() -> None:
    for sound in (slide(220.0, RATE_HZ), thump(RATE_HZ), clap(np.random.default_rng(0), RATE_HZ)):
        assert level(sound[-200:]) < 0.2 * level(sound)


def test_mixing_in_loses_what_passes_the_end() -> None:
    mix = np.zeros(10)
    mix_in(mix, np.ones(4), 8)
    mix_in(mix, np.ones(4), 10)
    assert mix.tolist() == [0.0] * 8 + [1.0, 1.0]


def test_a_voice_has_its_speakers_pitch_and_sounds_only_while_the_line_lasts() -> None:
    line = Line(start_seconds=10.5, end_seconds=11.5, text="Look.", speaker=0)
    for character in SCRIPT.cast:
        mix = np.zeros(2 * RATE_HZ)
        add_voice(mix, line, (character,), 10.0, RATE_HZ, np.random.default_rng(0))
        assert not mix[: RATE_HZ // 2].any()
        assert not mix[round(1.75 * RATE_HZ) :].any()
        spectrum = np.abs(np.fft.rfft(mix[RATE_HZ // 2 : round(1.5 * RATE_HZ)]))
        lowest = np.flatnonzero(spectrum > 0.15 * spectrum.max())[0]
        assert 0.8 * character.pitch_hz < lowest < 1.3 * character.pitch_hz


def test_a_described_sound_has_no_voice() -> None:
    mix = np.zeros(RATE_HZ)
    line = Line(start_seconds=0.0, end_seconds=1.0, text="[waves breaking]", speaker=None)
    add_voice(mix, line, SCRIPT.cast, 0.0, RATE_HZ, np.random.default_rng(0))
    assert not mix.any()

"""A scene's sound: the place's ambience, music by genre, tone and energy, babbling voices, things that sound.

Samples are mono float32 in [-1, 1], one dimension. Nothing here is speech; a voice is recognised by pitch and formants.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediafm.media.synthetic.characters import Character
from mediafm.media.synthetic.latents import Scene
from mediafm.media.synthetic.script import Line, TitleScript, title_rng

Samples = NDArray[np.float32]

CUT_FADE_SECONDS = 0.03
"""Scenes are faded in and out this long, so that a cut does not click."""


@dataclass(frozen=True, kw_only=True)
class Ambience:
    """Noise in a band, that swells: `low_hz` to `high_hz`, `swell_hz` times a second by `swell` of its level."""

    low_hz: float
    high_hz: float
    level: float
    swell_hz: float = 0.0
    swell: float = 0.0
    hum_hz: float = 0.0
    chirp_hz: float = 0.0


AMBIENCES: Mapping[str, Ambience] = {
    "sea": Ambience(low_hz=200, high_hz=2600, level=0.10, swell_hz=0.35, swell=0.9),
    "forest": Ambience(low_hz=900, high_hz=4200, level=0.025, swell_hz=0.2, swell=0.4, chirp_hz=3100.0),
    "city": Ambience(low_hz=60, high_hz=700, level=0.10, swell_hz=0.5, swell=0.5, hum_hz=88.0),
    "room": Ambience(low_hz=80, high_hz=350, level=0.012, hum_hz=50.0),
    "desert": Ambience(low_hz=250, high_hz=900, level=0.06, swell_hz=0.25, swell=0.8),
    "snow": Ambience(low_hz=1200, high_hz=5200, level=0.06, swell_hz=0.4, swell=0.7),
    "mountain": Ambience(low_hz=400, high_hz=1500, level=0.05, swell_hz=0.15, swell=0.6),
    "cafe": Ambience(low_hz=300, high_hz=1800, level=0.06, swell_hz=3.1, swell=0.4, chirp_hz=2300.0),
    "space": Ambience(low_hz=40, high_hz=160, level=0.08, hum_hz=62.0),
    "meadow": Ambience(low_hz=2500, high_hz=6500, level=0.02, swell_hz=7.0, swell=0.7, chirp_hz=4300.0),
}


@dataclass(frozen=True, kw_only=True)
class Timbre:
    """How a genre's instrument sounds: strengths of its partials, how long a note lasts, how far up it plays."""

    partials: tuple[float, ...]
    decay_seconds: float
    octave: float
    has_beat: bool = False
    vibrato_hz: float = 0.0


TIMBRES: Mapping[str, Timbre] = {
    "action": Timbre(partials=(1, 0.8, 0.7, 0.6, 0.5, 0.4), decay_seconds=0.15, octave=-1, has_beat=True),
    "anime": Timbre(partials=(1, 0.0, 0.7, 0.0, 0.5, 0.0, 0.4), decay_seconds=0.18, octave=1, has_beat=True),
    "comedy": Timbre(partials=(1, 0.1, 0.5), decay_seconds=0.09, octave=1),
    "documentary": Timbre(partials=(1, 0.3), decay_seconds=1.2, octave=0),
    "drama": Timbre(partials=(1, 0.6, 0.4, 0.3), decay_seconds=1.6, octave=-0.5, vibrato_hz=5.0),
    "fantasy": Timbre(partials=(1, 0.0, 0.0, 0.4, 0.0, 0.2), decay_seconds=0.9, octave=1.5),
    "horror": Timbre(partials=(1, 0.9, 0.2, 0.8, 0.1, 0.7), decay_seconds=1.8, octave=-2),
    "kids": Timbre(partials=(1, 0.02, 0.3), decay_seconds=0.35, octave=2),
    "romance": Timbre(partials=(1, 0.4, 0.15), decay_seconds=1.1, octave=0.5, vibrato_hz=4.0),
    "scifi": Timbre(partials=(1, 0.5, 0.33, 0.25, 0.2, 0.16, 0.14), decay_seconds=0.5, octave=0, vibrato_hz=9.0),
    "thriller": Timbre(partials=(1, 0.7, 0.2), decay_seconds=0.1, octave=-1.5, has_beat=True),
}

MAJOR, MINOR, CLUSTER = (0, 4, 7, 12), (0, 3, 7, 12), (0, 1, 6, 7)
"""Chords, in semitones."""

VOWELS_HZ = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))
"""First three formants of five vowels of men (Peterson and Barney 1952, table II)."""


def title_sound(script: TitleScript, scene: Scene) -> Samples:
    """The sound of one scene, exactly as long as its frames (rounded to samples at both ends)."""
    settings = script.settings
    start_frame, end_frame = script.scene_frames(scene.index)
    rate = settings.sample_rate_hz
    first = round(start_frame / settings.frames_per_second * rate)
    last = round(end_frame / settings.frames_per_second * rate)
    if scene.index in script.silent_scenes:
        return np.zeros(last - first, np.float32)
    mix = np.zeros(last - first, np.float64)
    rng = title_rng(script.seed, script.index, f"sound {scene.index}")
    key_hz = float(title_rng(script.seed, script.index, "key").uniform(196.0, 262.0))
    mix += _ambience(rng, AMBIENCES[scene.place], mix.size, rate)
    mix += _music(rng, scene, key_hz, mix.size, rate)
    mix += _topic_sounds(rng, scene, mix.size, rate)
    for line in script.lines:
        _add_voice(mix, line, script.cast, first / rate, rate, script.seed)
    loudness = 0.55 + 0.5 * scene.evidence.sound_energy
    return (np.tanh(mix * loudness * _edges(mix.size, rate)) * 0.95).astype(np.float32)


def _edges(num_samples: int, rate: int) -> NDArray[np.float64]:
    ramp = np.minimum(1.0, np.arange(num_samples) / (CUT_FADE_SECONDS * rate))
    return ramp * ramp[::-1]


def _ambience(rng: np.random.Generator, ambience: Ambience, num_samples: int, rate: int) -> NDArray[np.float64]:
    seconds = np.arange(num_samples) / rate
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequency_hz = np.fft.rfftfreq(num_samples, 1 / rate)
    slope = 1 / (1 + (ambience.low_hz / np.maximum(frequency_hz, 1.0)) ** 4 + (frequency_hz / ambience.high_hz) ** 4)
    noise = np.fft.irfft(spectrum * slope, num_samples)
    noise *= ambience.level / max(float(np.sqrt(np.mean(noise**2))), 1e-9)
    phase = 2 * np.pi * rng.random()
    noise *= 1 - ambience.swell * 0.5 * (1 + np.cos(2 * np.pi * ambience.swell_hz * seconds + phase))
    if ambience.hum_hz:
        noise += 0.04 * np.sin(2 * np.pi * ambience.hum_hz * seconds)
    for _ in range(round(num_samples / rate * 1.2) if ambience.chirp_hz else 0):
        pitch_hz = ambience.chirp_hz * rng.uniform(0.85, 1.2)
        chirp = _note(pitch_hz, (1.0,), 0.12, rate, decay_seconds=0.04, vibrato_hz=22.0)
        _add(noise, chirp * 0.05, int(rng.integers(num_samples)))
    return noise


def _music(rng: np.random.Generator, scene: Scene, key_hz: float, num_samples: int, rate: int) -> NDArray[np.float64]:
    evidence = scene.evidence
    tones, timbre = evidence.sound_tones, TIMBRES[evidence.sound_genre]
    music = np.zeros(num_samples)
    chord = CLUSTER if "tense" in tones else MINOR if "melancholic" in tones else MAJOR
    step_seconds = 0.62 - 0.45 * evidence.sound_energy
    if "joyful" in tones:
        step_seconds *= 0.7
    if "melancholic" in tones:
        step_seconds *= 1.5
    base_hz = key_hz * 2**timbre.octave
    for step in range(math.ceil(num_samples / rate / step_seconds)):
        root = (0, 0, 5, 7)[(step // 4) % 4]
        semitones = root + chord[step % 4]
        note = _note(
            base_hz * 2 ** (semitones / 12),
            timbre.partials,
            min(2.0, 3 * timbre.decay_seconds),
            rate,
            decay_seconds=timbre.decay_seconds,
            vibrato_hz=timbre.vibrato_hz,
        )
        at = round(step * step_seconds * rate)
        _add(music, note * 0.13, at)
        if timbre.has_beat:
            _add(music, _thump(rng, rate) * 0.25, at)
    for tone in tones:
        music += _tone_sound(rng, tone, key_hz, num_samples, rate)
    return music


def _tone_sound(rng: np.random.Generator, tone: str, key_hz: float, num_samples: int, rate: int) -> NDArray[np.float64]:
    seconds = np.arange(num_samples) / rate
    layer = np.zeros(num_samples)
    if tone == "tense":
        pulse = np.maximum(0.0, np.sin(2 * np.pi * 5.0 * seconds)) ** 4
        return 0.14 * pulse * np.sin(2 * np.pi * key_hz / 4 * seconds)
    if tone == "melancholic":
        for semitones in MINOR[:3]:
            layer += 0.05 * np.sin(2 * np.pi * key_hz * 2 ** (semitones / 12) * seconds)
        return layer
    if tone == "eerie":
        whistle_hz = key_hz * 2 ** (30 / 12) * (1 + 0.02 * np.sin(2 * np.pi * 0.7 * seconds))
        for interval in (1.0, 2 ** (6 / 12)):
            layer += 0.05 * np.sin(2 * np.pi * np.cumsum(whistle_hz * interval) / rate)
        return layer * (0.6 + 0.4 * np.sin(2 * np.pi * 6.5 * seconds))
    every_seconds, build = {
        "joyful": (0.5, lambda: _thump(rng, rate, is_clap=True) * 0.15),
        "tender": (0.9, lambda: _note(key_hz * 8, (1.0, 0.0, 0.3), 1.2, rate, decay_seconds=0.6) * 0.09),
        "comic": (1.3, lambda: _slide(key_hz, rate) * 0.16),
    }[tone]
    for step in range(math.ceil(num_samples / rate / every_seconds)):
        _add(layer, build(), round((step + 0.25) * every_seconds * rate))
    return layer


def _topic_sounds(rng: np.random.Generator, scene: Scene, num_samples: int, rate: int) -> NDArray[np.float64]:
    seconds = np.arange(num_samples) / rate
    layer = np.zeros(num_samples)
    topics = scene.evidence.sound_topics
    if "cars" in topics:
        revs_hz = 70 + 25 * np.sin(2 * np.pi * 0.4 * seconds)
        turns = np.cumsum(revs_hz) / rate
        layer += 0.1 * (2 * (turns % 1.0) - 1)
    beats: Sequence[tuple[str, float, NDArray[np.float64]]] = (
        ("technology", 0.45, _note(1760.0, (1.0, 0.0, 0.5), 0.09, rate, decay_seconds=0.2) * 0.12),
        ("sport", 0.3, _thump(rng, rate, is_clap=True) * 0.2),
        ("food", 0.8, _note(3500.0, (1.0, 0.6), 0.25, rate, decay_seconds=0.06) * 0.12),
    )
    for topic, every_seconds, sound in beats:
        if topic in topics:
            for step in range(math.ceil(num_samples / rate / every_seconds)):
                _add(layer, sound, round((step + rng.random() * 0.4) * every_seconds * rate))
    return layer


def _add_voice(
    mix: NDArray[np.float64], line: Line, cast: Sequence[Character], start_seconds: float, rate: int, seed: int
) -> None:
    """Adds the part of a line that falls into `mix`, which begins at `start_seconds`; a syllable every sixth second."""
    end_seconds = start_seconds + mix.size / rate
    if line.speaker is None or line.end_seconds <= start_seconds or line.start_seconds >= end_seconds:
        return
    speaker = cast[line.speaker]
    rng = np.random.default_rng([seed, *line.text.encode()])
    at_seconds = line.start_seconds
    while at_seconds < line.end_seconds - 0.1:
        length_seconds = float(rng.uniform(0.11, 0.2))
        vowel = VOWELS_HZ[int(rng.integers(len(VOWELS_HZ)))]
        pitch_hz = speaker.pitch_hz * float(rng.uniform(0.9, 1.18))
        at = round((at_seconds - start_seconds) * rate)
        if 0 <= at < mix.size:
            _add(mix, _syllable(pitch_hz, vowel, speaker.formant_scale, length_seconds, rate) * 0.3, at)
        at_seconds += length_seconds + float(rng.choice((0.02, 0.12)))


def _syllable(
    pitch_hz: float, vowel_hz: tuple[int, ...], formant_scale: float, length_seconds: float, rate: int
) -> NDArray[np.float64]:
    seconds = np.arange(round(length_seconds * rate)) / rate
    harmonics_hz = np.arange(pitch_hz, min(4200.0, 0.45 * rate), pitch_hz)
    strength = np.zeros_like(harmonics_hz)
    for rank, formant_hz in enumerate(vowel_hz):
        strength += 0.6**rank * np.exp(-(((harmonics_hz - formant_hz * formant_scale) / (90 + 60 * rank)) ** 2))
    strength += 0.15 / np.arange(1, harmonics_hz.size + 1)
    heard = strength > 0.02
    glide = 2 * np.pi * seconds * (1 - 0.04 * seconds / length_seconds)
    waves = np.sin(np.outer(harmonics_hz[heard], glide))
    return (strength[heard] @ waves) * np.sin(np.pi * seconds / length_seconds) ** 0.7


def _note(
    pitch_hz: float,
    partials: Sequence[float],
    length_seconds: float,
    rate: int,
    *,
    decay_seconds: float,
    vibrato_hz: float = 0.0,
) -> NDArray[np.float64]:
    seconds = np.arange(round(length_seconds * rate)) / rate
    phase = 2 * np.pi * pitch_hz * seconds
    if vibrato_hz:
        phase = phase + 0.008 * pitch_hz / vibrato_hz * np.sin(2 * np.pi * vibrato_hz * seconds)
    tone = np.zeros_like(seconds)
    for number, strength in enumerate(partials, start=1):
        if strength and number * pitch_hz < 0.45 * rate:
            tone += strength * np.sin(number * phase)
    attack = np.minimum(1.0, seconds / 0.012)
    release = np.minimum(1.0, (length_seconds - seconds) / 0.02)
    return tone * attack * release * np.exp(-seconds / decay_seconds)


def _slide(pitch_hz: float, rate: int) -> NDArray[np.float64]:
    seconds = np.arange(round(0.35 * rate)) / rate
    sweep_hz = pitch_hz * 2 * 2 ** (1.6 * np.sin(np.pi * seconds / 0.35))
    return np.sin(2 * np.pi * np.cumsum(sweep_hz) / rate) * np.sin(np.pi * seconds / 0.35)


def _thump(rng: np.random.Generator, rate: int, *, is_clap: bool = False) -> NDArray[np.float64]:
    seconds = np.arange(round(0.14 * rate)) / rate
    if is_clap:
        return np.diff(rng.standard_normal(seconds.size + 1)) * np.exp(-seconds / 0.02)
    return np.sin(2 * np.pi * (55 * seconds + 2.2 * np.exp(-seconds / 0.02))) * np.exp(-seconds / 0.05)


def _add(mix: NDArray[np.float64], sound: NDArray[np.float64], at: int) -> None:
    end = min(mix.size, at + sound.size)
    if end > at >= 0:
        mix[at:end] += sound[: end - at]

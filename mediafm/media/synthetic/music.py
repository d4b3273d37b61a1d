"""Music: the genre chooses the instrument, the tone the chord and a layer of its own, energy the tempo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mediafm.media.synthetic.latents import Evidence
from mediafm.media.synthetic.synth import Waves, clap, mix_in, note, seconds_of, slide, thump


@dataclass(frozen=True, kw_only=True)
class Timbre:
    """How a genre's instrument sounds.

    partials: strengths of the harmonics. decay_seconds: how long a note lasts.
    octave: how far above the title's key it plays. has_beat: drums beside it.
    """

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
ROOTS = (0, 0, 5, 7)
"""Of the chords, four notes each, in semitones above the key."""
SLOWEST_STEP_SECONDS, FASTEST_STEP_SECONDS = 0.62, 0.17
"""From one note to the next at energy 0 and 1."""
SLOWEST_TICKS_HZ, FASTEST_TICKS_HZ = 1.0, 9.0
"""Of a rattle that grows quicker and louder with energy."""
MAX_NOTE_SECONDS = 2.0


def play_music(rng: np.random.Generator, evidence: Evidence, key_hz: float, num_samples: int, rate_hz: int) -> Waves:
    """The music of one scene by what its sound shows of genre, tones and energy."""
    tones, timbre = evidence.sound_tones, TIMBRES[evidence.sound_genre]
    music = np.zeros(num_samples)
    chord = CLUSTER if "tense" in tones else MINOR if "melancholic" in tones else MAJOR
    pace = (0.7 if "joyful" in tones else 1.0) * (1.5 if "melancholic" in tones else 1.0)
    slowdown = SLOWEST_STEP_SECONDS - FASTEST_STEP_SECONDS
    step_samples = round((SLOWEST_STEP_SECONDS - slowdown * evidence.sound_energy) * pace * rate_hz)
    played: dict[int, Waves] = {}
    for step, at in enumerate(range(0, num_samples, step_samples)):
        semitones = ROOTS[(step // len(chord)) % len(ROOTS)] + chord[step % len(chord)]
        if semitones not in played:
            played[semitones] = _play(timbre, key_hz * 2 ** (timbre.octave + semitones / 12), rate_hz)
        mix_in(music, played[semitones] * 0.13, at)
        if timbre.has_beat:
            mix_in(music, thump(rate_hz) * 0.25, at)
    tick_samples = round(rate_hz / (SLOWEST_TICKS_HZ + (FASTEST_TICKS_HZ - SLOWEST_TICKS_HZ) * evidence.sound_energy))
    for at in range(0, num_samples, tick_samples):
        mix_in(music, clap(rng, rate_hz) * 0.1 * evidence.sound_energy, at)
    for tone in tones:
        music += _tone_layer(rng, tone, key_hz, num_samples, rate_hz)
    return music


def _play(timbre: Timbre, pitch_hz: float, rate_hz: int) -> Waves:
    return note(
        pitch_hz,
        timbre.partials,
        min(MAX_NOTE_SECONDS, 3 * timbre.decay_seconds),
        rate_hz,
        decay_seconds=timbre.decay_seconds,
        vibrato_hz=timbre.vibrato_hz,
    )


def _tone_layer(rng: np.random.Generator, tone: str, key_hz: float, num_samples: int, rate_hz: int) -> Waves:
    seconds = seconds_of(num_samples, rate_hz)
    layer = np.zeros(num_samples)
    if tone == "tense":
        pulse = np.maximum(0.0, np.sin(2 * np.pi * 5.0 * seconds)) ** 4
        layer += 0.14 * pulse * np.sin(2 * np.pi * key_hz / 4 * seconds)
    elif tone == "melancholic":
        for semitones in MINOR[:3]:
            layer += 0.05 * np.sin(2 * np.pi * key_hz * 2 ** (semitones / 12) * seconds)
    elif tone == "eerie":
        whistle_hz = key_hz * 2 ** (30 / 12) * (1 + 0.02 * np.sin(2 * np.pi * 0.7 * seconds))
        for interval in (1.0, 2 ** (6 / 12)):
            layer += 0.05 * np.sin(2 * np.pi * np.cumsum(whistle_hz * interval) / rate_hz)
        layer *= 0.6 + 0.4 * np.sin(2 * np.pi * 6.5 * seconds)
    else:
        _add_strokes(layer, rng, tone, key_hz, rate_hz)
    return layer


def _add_strokes(layer: Waves, rng: np.random.Generator, tone: str, key_hz: float, rate_hz: int) -> None:
    if tone == "joyful":
        for at in range(round(0.12 * rate_hz), layer.size, round(0.5 * rate_hz)):
            mix_in(layer, clap(rng, rate_hz) * 0.15, at)
    elif tone == "tender":
        bell = note(key_hz * 8, (1.0, 0.0, 0.3), 1.2, rate_hz, decay_seconds=0.6) * 0.09
        for at in range(round(0.22 * rate_hz), layer.size, round(0.9 * rate_hz)):
            mix_in(layer, bell, at)
    elif tone == "comic":
        whistle = slide(key_hz, rate_hz) * 0.16
        for at in range(round(0.3 * rate_hz), layer.size, round(1.3 * rate_hz)):
            mix_in(layer, whistle, at)

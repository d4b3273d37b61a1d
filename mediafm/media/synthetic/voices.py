"""Voices: babble that nobody understands, but whose pitch and formants tell who speaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mediafm.media.synthetic.characters import Character
from mediafm.media.synthetic.dialogue import Line
from mediafm.media.synthetic.synth import HIGHEST_SHARE, Waves, mix_in, seconds_of

VOWELS_HZ = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))
"""First three formants of five vowels of men (Peterson and Barney 1952, table II)."""
FORMANT_WIDTHS_HZ = (90, 150, 210)
MAX_VOICE_HZ = 4200.0
VOICE_LEVEL = 0.3
SHORTEST_SYLLABLE_SECONDS, LONGEST_SYLLABLE_SECONDS = 0.11, 0.2
PAUSES_SECONDS = (0.02, 0.12)


def add_voice(
    mix: Waves, line: Line, cast: Sequence[Character], start_seconds: float, rate_hz: int, rng: np.random.Generator
) -> None:
    """Adds what of a line falls into `mix`, which begins at `start_seconds`: syllable after syllable, in place."""
    end_seconds = start_seconds + mix.size / rate_hz
    if line.speaker is None or line.end_seconds <= start_seconds or line.start_seconds >= end_seconds:
        return
    speaker = cast[line.speaker]
    at_seconds = line.start_seconds
    while at_seconds < line.end_seconds - SHORTEST_SYLLABLE_SECONDS:
        length_seconds = float(rng.uniform(SHORTEST_SYLLABLE_SECONDS, LONGEST_SYLLABLE_SECONDS))
        vowel_hz = VOWELS_HZ[int(rng.integers(len(VOWELS_HZ)))]
        pitch_hz = speaker.pitch_hz * float(rng.uniform(0.9, 1.18))
        at = round((at_seconds - start_seconds) * rate_hz)
        if 0 <= at < mix.size:
            sound = _syllable(pitch_hz, vowel_hz, speaker.formant_scale, length_seconds, rate_hz)
            mix_in(mix, sound * VOICE_LEVEL, at)
        at_seconds += length_seconds + PAUSES_SECONDS[int(rng.integers(len(PAUSES_SECONDS)))]


def _syllable(
    pitch_hz: float, vowel_hz: tuple[int, ...], formant_scale: float, length_seconds: float, rate_hz: int
) -> Waves:
    """Harmonics of a falling pitch, each as strong as the vowel's formants make it."""
    seconds = seconds_of(round(length_seconds * rate_hz), rate_hz)
    harmonics_hz = np.arange(pitch_hz, min(MAX_VOICE_HZ, HIGHEST_SHARE * rate_hz), pitch_hz)
    strength = 0.15 / np.arange(1, harmonics_hz.size + 1)
    for rank, (formant_hz, width_hz) in enumerate(zip(vowel_hz, FORMANT_WIDTHS_HZ, strict=True)):
        strength += 0.6**rank * np.exp(-(((harmonics_hz - formant_hz * formant_scale) / width_hz) ** 2))
    is_heard = strength > 0.02
    phase = 2 * np.pi * seconds * (1 - 0.04 * seconds / length_seconds)
    waves = np.sin(np.outer(harmonics_hz[is_heard], phase))
    return np.asarray((strength[is_heard] @ waves) * np.sin(np.pi * seconds / length_seconds) ** 0.7, np.float64)

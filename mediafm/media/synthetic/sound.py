"""A scene's sound: the place's ambience, music, babbling voices, things that sound.

Samples are mono float32 in [-1, 1], one dimension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mediafm.media.synthetic.latents import Scene
from mediafm.media.synthetic.music import play_music
from mediafm.media.synthetic.script import TitleScript
from mediafm.media.synthetic.synth import Waves, clap, mix_in, note, seconds_of
from mediafm.media.synthetic.voices import add_voice

Samples: TypeAlias = NDArray[np.float32]

CUT_FADE_SECONDS = 0.03
"""Scenes are faded in and out this long, so that a cut does not click."""
LOWEST_KEY_HZ, HIGHEST_KEY_HZ = 196.0, 262.0
"""Each title's music has its own key."""
SOFTEST_GAIN, LOUDEST_GAIN = 0.5, 1.1
"""At energy 0 and 1."""
CHIRPS_HZ = 1.2
"""How many birds, crickets or clinking cups a second, where there are any."""


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


def scene_sound(script: TitleScript, scene: Scene) -> Samples:
    """The sound of one scene, exactly as long as its frames (both ends rounded to samples); zeros in a silent one."""
    settings = script.settings
    rate_hz = settings.sample_rate_hz
    first, last = (round(frame / settings.frames_per_second * rate_hz) for frame in script.scene_frames(scene.index))
    if scene.index in script.silent_scenes:
        return np.zeros(last - first, np.float32)
    rng = script.rng(f"sound {scene.index}")
    key_hz = float(script.rng("key").uniform(LOWEST_KEY_HZ, HIGHEST_KEY_HZ))
    mix = _ambience(rng, AMBIENCES[scene.place], last - first, rate_hz)
    mix += play_music(rng, scene.evidence, key_hz, mix.size, rate_hz)
    mix += _topic_sounds(rng, scene.evidence.sound_topics, mix.size, rate_hz)
    for number, line in enumerate(script.lines):
        add_voice(mix, line, script.cast, first / rate_hz, rate_hz, script.rng(f"line {number}"))
    loudness = SOFTEST_GAIN + (LOUDEST_GAIN - SOFTEST_GAIN) * scene.evidence.sound_energy
    return (np.tanh(mix * loudness * _edges(mix.size, rate_hz)) * 0.95).astype(np.float32)


def _edges(num_samples: int, rate_hz: int) -> Waves:
    ramp = np.minimum(1.0, seconds_of(num_samples, rate_hz) / CUT_FADE_SECONDS)
    return ramp * ramp[::-1]


def _ambience(rng: np.random.Generator, ambience: Ambience, num_samples: int, rate_hz: int) -> Waves:
    seconds = seconds_of(num_samples, rate_hz)
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequency_hz = np.fft.rfftfreq(num_samples, 1 / rate_hz)
    band = 1 / (1 + (ambience.low_hz / np.maximum(frequency_hz, 1.0)) ** 4 + (frequency_hz / ambience.high_hz) ** 4)
    noise = np.asarray(np.fft.irfft(spectrum * band, num_samples), np.float64)
    noise *= ambience.level / max(float(np.sqrt(np.mean(noise**2))), 1e-9)
    phase = 2 * np.pi * float(rng.random())
    noise *= 1 - ambience.swell * 0.5 * (1 + np.cos(2 * np.pi * ambience.swell_hz * seconds + phase))
    if ambience.hum_hz:
        noise += 0.04 * np.sin(2 * np.pi * ambience.hum_hz * seconds)
    for _ in range(round(num_samples / rate_hz * CHIRPS_HZ) if ambience.chirp_hz else 0):
        pitch_hz = ambience.chirp_hz * float(rng.uniform(0.85, 1.2))
        chirp = note(pitch_hz, (1.0,), 0.12, rate_hz, decay_seconds=0.04, vibrato_hz=22.0)
        mix_in(noise, chirp * 0.05, int(rng.integers(num_samples)))
    return noise


def _topic_sounds(rng: np.random.Generator, topics: Sequence[str], num_samples: int, rate_hz: int) -> Waves:
    layer = np.zeros(num_samples)
    if "cars" in topics:
        revs_hz = 70 + 25 * np.sin(2 * np.pi * 0.4 * seconds_of(num_samples, rate_hz))
        layer += 0.1 * (2 * (np.cumsum(revs_hz) / rate_hz % 1.0) - 1)
    strokes: Sequence[tuple[str, float, Waves]] = (
        ("technology", 0.45, note(1760.0, (1.0, 0.0, 0.5), 0.09, rate_hz, decay_seconds=0.2) * 0.12),
        ("sport", 0.3, clap(rng, rate_hz) * 0.2),
        ("food", 0.8, note(3500.0, (1.0, 0.6), 0.25, rate_hz, decay_seconds=0.06) * 0.12),
    )
    for topic, every_seconds, sound in strokes:
        if topic in topics:
            for at in range(0, num_samples, round(every_seconds * rate_hz)):
                mix_in(layer, sound, at + int(rng.integers(round(0.4 * every_seconds * rate_hz))))
    return layer

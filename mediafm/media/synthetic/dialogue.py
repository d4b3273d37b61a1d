"""Who says what and when: the title's timed text, also heard as babbling voices and seen as moving mouths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mediafm.media.synthetic.characters import Character
from mediafm.media.synthetic.latents import Scene
from mediafm.media.synthetic.shooting import ShotScript
from mediafm.media.synthetic.words import (
    GENRE_WORDS,
    PLACE_WORDS,
    SOUND_CUES,
    TONE_WORDS,
    TOPIC_WORDS,
    pick,
    spoken_line,
)

TEXT_SHARE = 0.8
"""How many shots carry a line; the others have no timed text."""
SOUND_CUE_SHARE = 0.3
"""How many lines of wide shots describe a sound instead ([waves breaking])."""
EARLY_SHARE, LATE_SHARE = 0.12, 0.15
"""How many lines begin before their shot, or end after it."""
WORDS_PER_LINE = 2


@dataclass(frozen=True, kw_only=True)
class Line:
    """A cue: who says it (an index into the cast; None for a described sound), when, and what."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: int | None


def draw_lines(
    rng: np.random.Generator,
    scenes: Sequence[Scene],
    shots: Sequence[ShotScript],
    cast: Sequence[Character],
    frames_per_second: int,
) -> tuple[Line, ...]:
    """The lines of a title in order; no two overlap, none ends after the last frame."""
    lines: list[Line] = []
    for shot in shots:
        if rng.random() >= TEXT_SHARE:
            continue
        scene = scenes[shot.scene_index]
        is_sound = shot.kind == "wide" and rng.random() < SOUND_CUE_SHARE
        speaker = None if is_sound else _speaker(rng, shot, scene)
        text = SOUND_CUES[scene.place] if speaker is None else _say(rng, scene, speaker, cast)
        start_seconds, end_seconds = _when(rng, shot, text, frames_per_second)
        if lines:
            start_seconds = max(start_seconds, lines[-1].end_seconds + 0.02)
        if end_seconds - start_seconds >= 0.3:
            lines.append(
                Line(
                    start_seconds=round(start_seconds, 3), end_seconds=round(end_seconds, 3), text=text, speaker=speaker
                )
            )
    last = round(shots[-1].end_frame / frames_per_second, 3)
    return tuple(line if line.end_seconds <= last else replace(line, end_seconds=last) for line in lines)


def _when(rng: np.random.Generator, shot: ShotScript, text: str, frames_per_second: int) -> tuple[float, float]:
    shot_start, shot_end = shot.start_frame / frames_per_second, shot.end_frame / frames_per_second
    start = shot_start + float(rng.uniform(0.04, 0.25))
    if rng.random() < EARLY_SHARE:
        start = max(0.0, shot_start - 0.2)
    latest_end = shot_end + (0.15 if rng.random() < LATE_SHARE else -0.05)
    return start, min(latest_end, start + 0.4 + 0.06 * len(text))


def _speaker(rng: np.random.Generator, shot: ShotScript, scene: Scene) -> int:
    if shot.subject is not None and rng.random() < 0.85:
        return shot.subject
    return scene.cast_indices[int(rng.integers(len(scene.cast_indices)))]


def _say(rng: np.random.Generator, scene: Scene, speaker: int, cast: Sequence[Character]) -> str:
    """A line of the scene's words: the genre speaks most, then place, tones and topics; energy opens it."""
    evidence = scene.evidence
    pools: list[tuple[Sequence[str], float]] = [(PLACE_WORDS[scene.place], 1.0)]
    pools += [(GENRE_WORDS[genre], 2.0 / len(evidence.word_genres)) for genre in evidence.word_genres]
    pools += [(TONE_WORDS[tone], 1.0) for tone in evidence.word_tones]
    pools += [(TOPIC_WORDS[topic], 1.2) for topic in evidence.word_topics]
    weights = np.asarray([weight for _, weight in pools])
    chosen = rng.choice(len(pools), WORDS_PER_LINE, p=weights / weights.sum())
    others = [index for index in scene.cast_indices if index != speaker] or [speaker]
    name = cast[others[int(rng.integers(len(others)))]].name
    content_words = [pick(rng, pools[int(i)][0]) for i in chosen]
    return spoken_line(rng, name=name, content_words=content_words, energy=evidence.word_energy)

"""What a scene is about, drawn before anything of it is drawn, heard or written.

A scene's latent variables are drawn scene by scene inside every title, so that a title's name says next to nothing
about them. Each variable then leaves evidence in some modalities: now and then it leaves none there, now and then the
evidence is false. No modality alone has the whole answer, and what depends on neighbours no scene alone has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PLACES = ("sea", "forest", "city", "room", "desert", "snow", "mountain", "cafe", "space", "meadow")
LIGHTINGS = ("day", "dusk", "night")
GENRES = (
    "action", "anime", "comedy", "documentary", "drama", "fantasy", "horror", "kids", "romance", "scifi", "thriller",
)  # fmt: skip
TONES = ("tense", "joyful", "melancholic", "tender", "comic", "eerie", "dreamy", "relieved")
TOPICS = ("travel", "food", "cars", "technology", "sport", "finance", "beauty")
NOISE_LABELS = ("amber", "birch", "cobalt")

HEARD_ONLY_TONE = "eerie"
SEEN_ONLY_TONE = "dreamy"
NEIGHBOUR_TONE = "relieved"
READ_ONLY_TOPIC = "finance"
SEEN_ONLY_TOPIC = "beauty"

STICKY_TONES = ("tense", "melancholic")
"""These tend to last into the next scene, so that neighbours help to recognise them."""

TONE_SHARE = 0.24
TOPIC_SHARE = 0.24
NOISE_SHARE = 0.4
EVIDENCE_SHARE = 0.8
FALSE_EVIDENCE_SHARE = 0.1
RELIEF_ENERGY_DROP = 0.3
CLIP_WORTHY_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Where a scene's variables show: the picture, the sound and the words each have their own, partly false, view."""

    look_genre: str
    sound_genre: str
    word_genres: tuple[str, ...]
    look_tones: tuple[str, ...]
    sound_tones: tuple[str, ...]
    word_tones: tuple[str, ...]
    prop_topics: tuple[str, ...]
    sound_topics: tuple[str, ...]
    word_topics: tuple[str, ...]
    look_energy: float
    sound_energy: float
    word_energy: float


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One scene's latent variables and labels. `energy` and the evidence's energies lie in [0, 1]."""

    index: int
    place: str
    lighting: str
    cast_indices: tuple[int, ...]
    genres: tuple[str, ...]
    tones: tuple[str, ...]
    topics: tuple[str, ...]
    energy: float
    energy_rise: float
    is_clip_worthy: bool
    popularity: float
    noise_labels: tuple[str, ...]
    evidence: Evidence


def draw_scenes(
    rng: np.random.Generator, *, num_scenes: int, places: Sequence[str], cast_size: int
) -> tuple[Scene, ...]:
    """The scenes of one title, in order; every title gets several genres and several tones."""
    genres = _varied_genres(rng, num_scenes)
    energies = [round(float(value), 4) for value in rng.uniform(0.05, 0.95, num_scenes)]
    tones = _draw_tones(rng, energies)
    rises = [energy - before for energy, before in zip(energies, [0.5, *energies[:-1]], strict=True)]
    worthy = _clip_worthy(rng, rises)
    cast = [_draw_cast(rng, cast_size) for _ in range(num_scenes)]
    scenes: list[Scene] = []
    for index in range(num_scenes):
        topics = tuple(topic for topic in TOPICS if rng.random() < TOPIC_SHARE)
        scenes.append(
            Scene(
                index=index,
                place=_next_place(rng, places, scenes[-1].place if scenes else None),
                lighting=LIGHTINGS[int(rng.choice(3, p=(0.5, 0.25, 0.25)))],
                cast_indices=cast[index],
                genres=genres[index],
                tones=tones[index],
                topics=topics,
                energy=energies[index],
                energy_rise=round(rises[index], 4),
                is_clip_worthy=worthy[index],
                popularity=_popularity(rng, energies[index], rises[index], cast[index], tones[index]),
                noise_labels=tuple(label for label in NOISE_LABELS if rng.random() < NOISE_SHARE),
                evidence=_draw_evidence(rng, genres[index], tones[index], topics, energies[index]),
            )
        )
    return tuple(scenes)


def _varied_genres(rng: np.random.Generator, num_scenes: int) -> list[tuple[str, ...]]:
    """One genre a scene, a second one at times; neighbours differ, so that three scenes have two genres at least."""
    drawn: list[tuple[str, ...]] = []
    for _ in range(num_scenes):
        last = drawn[-1][0] if drawn else ""
        choices = [genre for genre in GENRES if genre != last]
        first, second = (choices[int(i)] for i in rng.choice(len(choices), 2, replace=False))
        drawn.append((first, second) if rng.random() < 0.3 else (first,))
    return drawn


def _draw_tones(rng: np.random.Generator, energies: Sequence[float]) -> list[tuple[str, ...]]:
    drawn: list[tuple[str, ...]] = []
    for index in range(len(energies)):
        tones = set()
        for tone in TONES:
            share = TONE_SHARE
            if tone in STICKY_TONES and drawn:
                share = 0.55 if tone in drawn[-1] else 0.14
            if tone != NEIGHBOUR_TONE and rng.random() < share:
                tones.add(tone)
        if index > 0 and energies[index - 1] - energies[index] > RELIEF_ENERGY_DROP:
            tones.add(NEIGHBOUR_TONE)
        drawn.append(tuple(tone for tone in TONES if tone in tones))
    return drawn


def _clip_worthy(rng: np.random.Generator, rises: Sequence[float]) -> list[bool]:
    """The quarter of the scenes where energy rises most, with a preference for a climax late in the title."""
    num_scenes = len(rises)
    position = (np.arange(num_scenes) + 0.5) / num_scenes
    climax = 0.2 * np.exp(-(((position - 0.75) / 0.12) ** 2))
    worth = np.asarray(rises) + climax + rng.normal(0.0, 0.08, num_scenes)
    num_worthy = max(1, int(CLIP_WORTHY_SHARE * num_scenes + rng.random()))
    best = set(np.argsort(-worth, kind="stable")[:num_worthy].tolist())
    return [index in best for index in range(num_scenes)]


def _popularity(
    rng: np.random.Generator, energy: float, rise: float, cast: tuple[int, ...], tones: tuple[str, ...]
) -> float:
    """Energy, its rise, the protagonist, and a good mood make a clip popular; chance does the rest."""
    score = 0.45 * energy + 0.35 * max(0.0, rise) + 0.2 * (0 in cast) + 0.15 * bool({"joyful", "comic"} & set(tones))
    return round(score + float(rng.normal(0.0, 0.1)), 4)


def _draw_cast(rng: np.random.Generator, cast_size: int) -> tuple[int, ...]:
    """One to three of the cast; the protagonist, number 0, more often than the others."""
    size = min(cast_size, int(rng.choice((1, 2, 3), p=(0.25, 0.55, 0.2))))
    weights = np.ones(cast_size)
    weights[0] = 2.0
    chosen = rng.choice(cast_size, size, replace=False, p=weights / weights.sum())
    return tuple(int(index) for index in chosen)


def _next_place(rng: np.random.Generator, places: Sequence[str], last: str | None) -> str:
    choices = [place for place in places if place != last] or list(places)
    return choices[int(rng.integers(len(choices)))]


def _draw_evidence(
    rng: np.random.Generator, genres: tuple[str, ...], tones: tuple[str, ...], topics: tuple[str, ...], energy: float
) -> Evidence:
    seen_tones = tuple(tone for tone in tones if tone not in (HEARD_ONLY_TONE, NEIGHBOUR_TONE))
    heard_tones = tuple(tone for tone in tones if tone not in (SEEN_ONLY_TONE, NEIGHBOUR_TONE))
    read_tones = tuple(t for t in tones if t not in (HEARD_ONLY_TONE, SEEN_ONLY_TONE, NEIGHBOUR_TONE))
    return Evidence(
        look_genre=_shown_genre(rng, genres),
        sound_genre=_shown_genre(rng, genres),
        word_genres=genres if rng.random() > FALSE_EVIDENCE_SHARE else (_any_of(rng, GENRES),),
        look_tones=_kept(rng, seen_tones, always=SEEN_ONLY_TONE),
        sound_tones=_kept(rng, heard_tones, always=HEARD_ONLY_TONE),
        word_tones=_kept(rng, read_tones),
        prop_topics=_kept(rng, tuple(t for t in topics if t != READ_ONLY_TOPIC), always=SEEN_ONLY_TOPIC),
        sound_topics=_kept(rng, tuple(t for t in topics if t in ("cars", "technology", "sport", "food"))),
        word_topics=_kept(rng, tuple(t for t in topics if t != SEEN_ONLY_TOPIC), always=READ_ONLY_TOPIC),
        look_energy=_blurred(rng, energy),
        sound_energy=_blurred(rng, energy),
        word_energy=_blurred(rng, energy),
    )


def _shown_genre(rng: np.random.Generator, genres: tuple[str, ...]) -> str:
    """The first genre mostly, the second at times, a false one now and then."""
    if rng.random() < FALSE_EVIDENCE_SHARE:
        return _any_of(rng, GENRES)
    return genres[-1] if rng.random() < 0.35 else genres[0]


def _kept(rng: np.random.Generator, values: tuple[str, ...], always: str = "") -> tuple[str, ...]:
    return tuple(value for value in values if rng.random() < EVIDENCE_SHARE or value == always)


def _any_of(rng: np.random.Generator, values: Sequence[str]) -> str:
    return values[int(rng.integers(len(values)))]


def _blurred(rng: np.random.Generator, energy: float) -> float:
    return round(float(np.clip(energy + rng.normal(0.0, 0.1), 0.0, 1.0)), 4)

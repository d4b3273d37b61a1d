"""What a probe could at best read of each label, on the latent variables themselves: no picture, sound or word is made.

A linear probe is fitted on the first half of the titles and judged on the other. It sees everything that a modality
shows of a scene, so what it cannot read there no encoder can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from mediafm.media.synthetic.latents import (
    GENRES,
    HEARD_ONLY_TONE,
    LIGHTINGS,
    NEIGHBOUR_TONE,
    NOISE_LABELS,
    PLACES,
    READ_ONLY_TOPIC,
    SEEN_ONLY_TONE,
    SEEN_ONLY_TOPIC,
    STICKY_TONES,
    TONES,
    TOPICS,
    Scene,
    draw_scenes,
)
from mediafm.probes.ranking import average_precision

NUM_TITLES, NUM_SCENES = 600, 10
MODALITIES = ("picture", "sound", "text")
Floats = NDArray[np.float64]


@lru_cache
def titles() -> tuple[tuple[Scene, ...], ...]:
    return tuple(
        draw_scenes(np.random.default_rng([7, title]), num_scenes=NUM_SCENES, places=PLACES[:4], cast_size=4)
        for title in range(NUM_TITLES)
    )


def flags(given: Sequence[str], names: Sequence[str]) -> list[float]:
    return [float(name in given) for name in names]


def picture(scene: Scene) -> list[float]:
    seen = scene.evidence
    shown = flags((seen.look_genre,), GENRES) + flags(seen.look_tones, TONES) + flags(seen.prop_topics, TOPICS)
    people = [float(len(scene.cast_indices)), float(0 in scene.cast_indices)]
    return (
        shown + people + flags((scene.lighting,), LIGHTINGS) + moods(seen.look_energy) + flags((scene.place,), PLACES)
    )


def sound(scene: Scene) -> list[float]:
    heard = scene.evidence
    shown = flags((heard.sound_genre,), GENRES) + flags(heard.sound_tones, TONES) + flags(heard.sound_topics, TOPICS)
    return shown + moods(heard.sound_energy) + flags((scene.place,), PLACES)


def text(scene: Scene) -> list[float]:
    read = scene.evidence
    shown = flags(read.word_genres, GENRES) + flags(read.word_tones, TONES) + flags(read.word_topics, TOPICS)
    return shown + moods(read.word_energy) + flags((scene.place,), PLACES)


def moods(energy: float) -> list[float]:
    """Energy, so that a linear probe may also prefer the middle or the ends."""
    return [energy, energy**2]


@lru_cache
def shown(*modalities: str) -> Floats:
    """What these modalities show of each scene: [titles, scenes, width]."""
    show = {"picture": picture, "sound": sound, "text": text}
    rows = [[[value for name in modalities for value in show[name](scene)] for scene in title] for title in titles()]
    return np.array(rows, dtype=np.float64)


def with_neighbours(own: Floats) -> Floats:
    """Each scene between the one before and the one after; zeros outside the title."""
    nothing = np.zeros_like(own[:, :1])
    before, after = np.concatenate([nothing, own[:, :-1]], axis=1), np.concatenate([own[:, 1:], nothing], axis=1)
    return np.concatenate([own, before, after], axis=2)


def values(of: Callable[[Scene], bool | float]) -> Floats:
    return np.array([[float(of(scene)) for scene in title] for title in titles()])


def gain(features: Floats, is_positive: Floats) -> float:
    """Average precision of a ridge probe on titles that it did not see, above the share of positives there."""
    half = NUM_TITLES // 2
    rows = np.concatenate([features, np.ones_like(features[..., :1])], axis=2)
    train, test = (part.reshape(half * NUM_SCENES, -1) for part in (rows[:half], rows[half:]))
    weights = np.linalg.solve(train.T @ train + np.eye(train.shape[1]), train.T @ is_positive[:half].ravel())
    truth = is_positive[half:].ravel() > 0.5
    return average_precision(truth, test @ weights) - float(truth.mean())


def names(scene: Scene) -> tuple[str, ...]:
    """All labels of a scene that it has or has not."""
    worthy = ("is_clip_worthy",) if scene.is_clip_worthy else ()
    return (*scene.genres, *scene.topics, *scene.tones, *scene.noise_labels, *worthy)


def has(name: str) -> Floats:
    """[titles, scenes], 1 where the scene has the label."""
    return values(lambda scene: name in names(scene))


@pytest.mark.parametrize("name", [*GENRES, *TOPICS, *TONES, *NOISE_LABELS, "is_clip_worthy"])
def test_labels_vary_within_titles(name: str) -> None:
    """By chance a tenth of the variance of ten scenes lies between titles; a title's constant would have all of it."""
    assert share_between_titles(has(name)) < (0.25 if name in STICKY_TONES else 0.13)


def test_popularity_varies_within_titles() -> None:
    assert share_between_titles(values(lambda scene: scene.popularity)) < 0.13


def share_between_titles(label: Floats) -> float:
    return float(label.mean(axis=1).var() / label.var())


@pytest.mark.parametrize(
    ("name", "modality"),
    [(HEARD_ONLY_TONE, "sound"), (SEEN_ONLY_TONE, "picture"), (READ_ONLY_TOPIC, "text"), (SEEN_ONLY_TOPIC, "picture")],
)
def test_what_one_modality_tells_the_two_others_do_not_even_with_neighbours(name: str, modality: str) -> None:
    label = has(name)
    others = with_neighbours(shown(*(each for each in MODALITIES if each != modality)))
    assert gain(shown(modality), label) > 0.7
    assert gain(others, label) < 0.04  # three standard errors of 3,000 scenes


def test_genres_need_all_modalities() -> None:
    label = has("horror")
    alone = [gain(shown(modality), label) for modality in MODALITIES]
    assert min(alone) > 0.3
    assert gain(shown(*MODALITIES), label) > max(alone) + 0.03


@pytest.mark.parametrize(
    ("name", "most_alone", "least_between"), [(NEIGHBOUR_TONE, 0.36, 0.6), ("is_clip_worthy", 0.33, 0.5)]
)
def test_what_lies_in_neighbours_a_scene_alone_tells_in_part(
    name: str, most_alone: float, least_between: float
) -> None:
    """A low scene fell more often than a high one; that much a scene says of the one before, and no more."""
    label, everything = has(name), shown(*MODALITIES)
    alone, between = gain(everything, label), gain(with_neighbours(everything), label)
    assert alone < most_alone
    assert between > least_between


@pytest.mark.parametrize("name", NOISE_LABELS)
def test_nothing_tells_noise(name: str) -> None:
    assert abs(gain(with_neighbours(shown(*MODALITIES)), has(name))) < 0.04

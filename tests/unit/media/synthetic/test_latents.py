"""What labels depend on, and that no title gives them away."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import lru_cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mediafm.media.synthetic.latents import (
    GENRES,
    HEARD_ONLY_TONE,
    NEIGHBOUR_TONE,
    NOISE_LABELS,
    PLACES,
    READ_ONLY_TOPIC,
    RELIEF_ENERGY_DROP,
    SEEN_ONLY_TONE,
    SEEN_ONLY_TOPIC,
    STICKY_TONES,
    TONES,
    TOPICS,
    Scene,
    draw_scenes,
)


@lru_cache
def many_titles() -> tuple[tuple[Scene, ...], ...]:
    return tuple(
        draw_scenes(np.random.default_rng([5, title]), num_scenes=10, places=PLACES[:4], cast_size=4)
        for title in range(300)
    )


def all_scenes() -> list[Scene]:
    return [scene for title in many_titles() for scene in title]


def test_there_are_eleven_genres() -> None:
    assert len(GENRES) == len(set(GENRES)) == 11


def test_every_title_has_several_genres_places_and_tones() -> None:
    for title in many_titles():
        assert len({scene.genres[0] for scene in title}) >= 3
        assert len({scene.place for scene in title}) >= 2
        assert len({tone for scene in title for tone in scene.tones}) >= 2


def test_every_label_is_about_as_frequent_as_the_others_of_its_kind() -> None:
    genres = Counter(genre for scene in all_scenes() for genre in scene.genres)
    topics = Counter(topic for scene in all_scenes() for topic in scene.topics)
    tones = Counter(tone for scene in all_scenes() for tone in scene.tones)
    assert set(genres) == set(GENRES)
    assert set(topics) == set(TOPICS)
    assert set(tones) == set(TONES)
    for counts in (genres, topics, tones):
        assert max(counts.values()) < 2 * min(counts.values())


def test_one_scene_in_four_is_worth_a_clip_and_every_title_has_one() -> None:
    worthy = [sum(scene.is_clip_worthy for scene in title) for title in many_titles()]
    assert min(worthy) >= 1
    assert 0.22 < np.mean(worthy) / 10 < 0.28


def test_the_change_from_the_scene_before_tells_more_of_clip_worthiness_than_the_scene_alone() -> None:
    worthy = np.asarray([scene.is_clip_worthy for scene in all_scenes()])
    energy = np.asarray([scene.energy for scene in all_scenes()])
    rise = np.asarray([scene.energy_rise for scene in all_scenes()])
    by_energy = np.corrcoef(energy, worthy)[0, 1]
    by_rise = np.corrcoef(rise, worthy)[0, 1]
    assert 0.2 < by_energy < by_rise - 0.1


def test_relief_is_a_fall_of_energy_and_nothing_else() -> None:
    for title in many_titles():
        assert NEIGHBOUR_TONE not in title[0].tones
        for before, after in itertools.pairwise(title):
            has_fallen = before.energy - after.energy > RELIEF_ENERGY_DROP
            assert (NEIGHBOUR_TONE in after.tones) == has_fallen


def test_sticky_tones_last() -> None:
    pairs = [pair for title in many_titles() for pair in itertools.pairwise(title)]
    for tone in STICKY_TONES:
        after_it = np.mean([tone in after.tones for before, after in pairs if tone in before.tones])
        otherwise = np.mean([tone in after.tones for before, after in pairs if tone not in before.tones])
        assert after_it > 2 * otherwise


def test_labels_of_one_modality_leave_no_trace_in_the_others() -> None:
    for scene in all_scenes():
        evidence = scene.evidence
        assert (HEARD_ONLY_TONE in evidence.sound_tones) == (HEARD_ONLY_TONE in scene.tones)
        assert HEARD_ONLY_TONE not in evidence.look_tones + evidence.word_tones
        assert (SEEN_ONLY_TONE in evidence.look_tones) == (SEEN_ONLY_TONE in scene.tones)
        assert SEEN_ONLY_TONE not in evidence.sound_tones + evidence.word_tones
        assert (READ_ONLY_TOPIC in evidence.word_topics) == (READ_ONLY_TOPIC in scene.topics)
        assert READ_ONLY_TOPIC not in evidence.prop_topics + evidence.sound_topics
        assert (SEEN_ONLY_TOPIC in evidence.prop_topics) == (SEEN_ONLY_TOPIC in scene.topics)
        assert SEEN_ONLY_TOPIC not in evidence.sound_topics + evidence.word_topics
        assert NEIGHBOUR_TONE not in evidence.look_tones + evidence.sound_tones + evidence.word_tones


def test_each_modality_shows_most_of_the_genre_and_none_shows_all() -> None:
    scenes = all_scenes()
    for shown in ("look_genre", "sound_genre"):
        is_true = [getattr(scene.evidence, shown) in scene.genres for scene in scenes]
        assert 0.85 < np.mean(is_true) < 0.97


def test_noise_labels_are_independent_of_everything_else() -> None:
    scenes = all_scenes()
    others = {
        "energy": [scene.energy for scene in scenes],
        "is_clip_worthy": [scene.is_clip_worthy for scene in scenes],
        "horror": ["horror" in scene.genres for scene in scenes],
        "tense": ["tense" in scene.tones for scene in scenes],
    }
    for label in NOISE_LABELS:
        noise = [label in scene.noise_labels for scene in scenes]
        for values in others.values():
            assert abs(np.corrcoef(noise, values)[0, 1]) < 0.07  # 3.8 standard errors of 3,000 independent scenes


def test_the_title_says_little_about_the_genre() -> None:
    """The share of the variance of a genre that lies between titles is what chance gives: about one in ten."""
    is_horror = np.asarray([["horror" in scene.genres for scene in title] for title in many_titles()], float)
    between = is_horror.mean(axis=1).var() / is_horror.var()
    assert between < 0.13


@given(
    seed=st.integers(0, 2**31),
    num_scenes=st.integers(1, 12),
    num_places=st.integers(1, 5),
    cast_size=st.integers(1, 4),
)
def test_any_title_can_be_drawn_and_twice_the_same(seed: int, num_scenes: int, num_places: int, cast_size: int) -> None:
    def draw() -> tuple[Scene, ...]:
        return draw_scenes(
            np.random.default_rng(seed), num_scenes=num_scenes, places=PLACES[:num_places], cast_size=cast_size
        )

    scenes = draw()
    assert scenes == draw()
    assert [scene.index for scene in scenes] == list(range(num_scenes))
    for before, after in itertools.pairwise(scenes):
        assert num_places == 1 or before.place != after.place
        assert before.genres[0] != after.genres[0]
    for scene in scenes:
        assert len(set(scene.cast_indices)) == len(scene.cast_indices) <= min(3, cast_size)

"""Identities along the graph: what moves when something changes, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from mediafm.config import Config, EncoderChoice, Profile, TranscriberChoice, load_profile
from mediafm.errors import LineageMismatchError
from mediafm.lineage.chain import TitleChain
from mediafm.lineage.tables import FACETS, TABLES
from mediafm.steps.producers import checkpoint_producers, configured_producers

LITE = load_profile("lite")
FACETS_NOW = {name: f"{name}-hash" for name in FACETS}
ALL = [name for name in TABLES if name not in ("titles", "words")]
"""What a title has without a transcriber."""


def fingerprints(config: Config, profile: Profile, facets: dict[str, str], checkpoint: str = "c") -> dict[str, str]:
    producers = {**configured_producers(config, profile), **checkpoint_producers(checkpoint)}
    chain = TitleChain("title", facets, producers)
    return {table: chain.identity(table).fingerprint for table in ALL}


def moved(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {table for table in before if before[table] != after[table]}


@pytest.mark.parametrize(
    ("facet", "expected"),
    [
        (
            "text",
            {"cues", "text_embeddings", "fused_embeddings", "contextual_embeddings", "title_embeddings"},
        ),
        ("audio", {"audio_embeddings", "fused_embeddings", "contextual_embeddings", "title_embeddings"}),
        ("metadata", {"metadata_embeddings", "contextual_embeddings", "title_embeddings"}),
        ("video", set(ALL) - {"metadata_embeddings"}),
    ],
)
def test_a_changed_facet_moves_its_own_values_and_what_follows(facet: str, expected: set[str]) -> None:
    before = fingerprints(Config(), LITE, FACETS_NOW)
    after = fingerprints(Config(), LITE, {**FACETS_NOW, facet: "other"})
    assert moved(before, after) == expected


def test_another_audio_encoder_moves_audio_and_what_follows() -> None:
    other = LITE.model_copy(update={"audio": EncoderChoice(name="fake-audio")})
    before, after = (fingerprints(Config(), profile, FACETS_NOW) for profile in (LITE, other))
    assert moved(before, after) == {
        "audio_embeddings",
        "fused_embeddings",
        "contextual_embeddings",
        "title_embeddings",
    }


def test_another_checkpoint_moves_the_contextual_tables_only() -> None:
    before, after = (fingerprints(Config(), LITE, FACETS_NOW, checkpoint) for checkpoint in ("c", "d"))
    assert moved(before, after) == {"contextual_embeddings", "title_embeddings"}


def test_where_the_data_lies_and_how_long_training_takes_move_nothing() -> None:
    elsewhere = Config(root="elsewhere", device="cuda", catalog="films")
    assert not moved(fingerprints(Config(), LITE, FACETS_NOW), fingerprints(elsewhere, LITE, FACETS_NOW))


def test_a_missing_facet_is_named() -> None:
    chain = TitleChain("title", {"video": "v"}, configured_producers(Config(), LITE))
    with pytest.raises(LineageMismatchError, match="no facet 'audio'; audio_embeddings is made from audio"):
        chain.identity("audio_embeddings")


def test_a_table_without_a_producer_is_an_error() -> None:
    chain = TitleChain("title", FACETS_NOW, configured_producers(Config(), LITE))
    with pytest.raises(LineageMismatchError, match="no producer for contextual_embeddings"):
        chain.identity("contextual_embeddings")


SPOKEN = LITE.model_copy(update={"transcriber": TranscriberChoice(name="fake-transcriber")})
TEXT = {"cues", "text_embeddings", "fused_embeddings", "contextual_embeddings", "title_embeddings"}


def spoken_fingerprints(config: Config, profile: Profile, facets: dict[str, str]) -> dict[str, str]:
    producers = {**configured_producers(config, profile), **checkpoint_producers("c")}
    chain = TitleChain("title", facets, producers)
    return {table: chain.identity(table).fingerprint for table in (*ALL, "words")}


@pytest.mark.parametrize(
    ("facet", "expected"),
    [
        ("audio", {"words", "audio_embeddings", *TEXT}),
        ("text", {"words", *TEXT}),
        ("metadata", {"metadata_embeddings"}),
    ],
)
def test_with_a_transcriber_a_changed_sound_moves_the_text(facet: str, expected: set[str]) -> None:
    before = spoken_fingerprints(Config(), SPOKEN, FACETS_NOW)
    after = spoken_fingerprints(Config(), SPOKEN, {**FACETS_NOW, facet: "other"})
    assert moved(before, after) - {"contextual_embeddings", "title_embeddings"} == expected - {
        "contextual_embeddings",
        "title_embeddings",
    }


def test_turning_a_transcriber_on_moves_the_text_and_nothing_beside_it() -> None:
    assert moved(fingerprints(Config(), LITE, FACETS_NOW), fingerprints(Config(), SPOKEN, FACETS_NOW)) == TEXT


@pytest.mark.parametrize(
    ("config", "update", "moves_words"),
    [
        ({"timed_text": {"languages": ["fr"]}}, {}, False),
        ({"audio": {"max_shot_seconds": 5}}, {}, False),
        ({"audio": {"silence_dbfs": -50}}, {}, True),
        ({}, {"settings": {"window_seconds": 3}}, True),
        ({}, {"settings": {"batch_windows": 2}}, False),
        ({}, {"cues": {"max_characters": 20}}, False),
    ],
)
def test_what_of_the_settings_moves_the_words(
    config: dict[str, Any], update: dict[str, Any], moves_words: bool
) -> None:
    choice = TranscriberChoice.model_validate({"name": "fake-transcriber", **update})
    after = spoken_fingerprints(
        Config.model_validate(config), LITE.model_copy(update={"transcriber": choice}), FACETS_NOW
    )
    assert ("words" in moved(spoken_fingerprints(Config(), SPOKEN, FACETS_NOW), after)) == moves_words

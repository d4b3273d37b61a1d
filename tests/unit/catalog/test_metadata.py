"""Metadata fields: types checked one by one."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.catalog.metadata import read_metadata, unknown_fields
from mediafm.catalog.title import TitleMetadata, group_id

WHOLE = {
    "title": " Sintel ",
    "synopsis": "A girl looks for a dragon.",
    "tags": ["snow", "dragon", "snow", ""],
    "genres": "fantasy; drama",
    "kind": "movie",
    "series": "Blender  Open Movies",
    "season": 1,
    "episode": "3",
    "year": 2010.0,
    "language": "eng",
}


def test_every_field_is_read_and_survives_json() -> None:
    metadata, problems = read_metadata(WHOLE, "x.json")
    assert problems == []
    assert metadata == TitleMetadata(
        title="Sintel",
        synopsis="A girl looks for a dragon.",
        tags=("snow", "dragon"),
        genres=("fantasy", "drama"),
        kind="movie",
        series="Blender  Open Movies",
        season=1,
        episode=3,
        year=2010,
        language="en",
    )
    assert TitleMetadata.from_json(json.loads(json.dumps(metadata.as_json()))) == metadata
    assert group_id("sintel", metadata) == "blender open movies"
    assert group_id("sintel", TitleMetadata()) == "sintel"


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        *(
            ("title", 3, "must be text"),
            ("title", "\ud800", "not Unicode"),
            ("synopsis", "x" * 20_001, "at most 20000"),
        ),
        *(("tags", 3, "list of texts"), ("tags", [3], "must be text"), ("tags", ["x"] * 201, "at most 200 items")),
        *(("season", "one", "whole number"), ("season", 1.5, "whole number"), ("season", True, "whole number")),
        *(("season", -1, "between 0"), ("year", 99, "between 1800"), ("episode", math.inf, "whole number")),
        *(
            ("episode", "9" * 5000, "whole number"),
            ("language", "klingonese", "language code"),
            ("season", [1], "whole"),
        ),
    ],
)
def test_a_wrong_field_is_dropped_with_a_problem_and_the_others_stay(field: str, value: object, match: str) -> None:
    metadata, problems = read_metadata({**WHOLE, field: value}, "x.json")
    assert metadata.kind == "movie"
    assert getattr(metadata, field) == getattr(TitleMetadata(), field)
    [problem] = problems
    assert problem.where == "x.json"
    assert match in problem.sentence
    assert len(problem.sentence) < 250
    problem.sentence.encode()


@pytest.mark.parametrize("absent", [None, "", "  ", math.nan])
def test_absent_values_say_nothing(absent: object) -> None:
    assert read_metadata(dict.fromkeys(WHOLE, absent), "") == (TitleMetadata(), [])


def test_unknown_fields_are_named() -> None:
    [problem] = unknown_fields({"title": "x", "sinopsis": "y"}, "x.json")
    assert "unknown field 'sinopsis' is ignored" in problem.sentence


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(WHOLE)), JSON_VALUES))
def test_any_values_give_sound_metadata(values: dict[str, object]) -> None:
    metadata, _ = read_metadata(values, "")
    assert TitleMetadata.from_json(json.loads(json.dumps(metadata.as_json(), allow_nan=False))) == metadata

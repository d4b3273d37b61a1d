"""Title ids: safe, unique, stable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.catalog.title_id import MAX_ID_CHARACTERS, hashed_id, is_safe_id, plain_id, title_ids


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sintel_part1.mp4", "sintel_part1"),
        ("audio_only_opus_5.1.webm", "audio_only_opus_5.1"),
        ("series/s01/e01.mkv", "series--s01--e01"),
        ("七人の侍.mkv", "title-bb2b51606c07"),
        ("name with spaces and '.mp4", "name-with-spaces-and-8b1abb8f3c08"),
        ("vfr： unicode [name].webm", "vfr-unicode-name-e62480471395"),
        ("Été à Paris.mp4", "ete-a-paris-"),
        ("Film.mp4", "film-"),
        ("a--b.mp4", "a-b-"),
        ("a..b.mp4", "a.b-"),
        ("-a.mp4", "a-"),
        ("x/-/y.mp4", "x-y-"),
        ("../etc/x.mp4", "etc-x-"),
        ("a-0123456789ab.mp4", "a-0123456789ab-"),
    ],
)
def test_golden_ids(name: str, expected: str) -> None:
    [title_id] = title_ids([name])
    assert title_id.startswith(expected) if expected.endswith("-") else title_id == expected
    assert is_safe_id(title_id)


NAMES = st.text(st.sampled_from("abAB01 ._-/é七'\udc80\x00"), min_size=1, max_size=12).map(lambda stem: stem + ".mp4")


@given(st.lists(NAMES | st.text(min_size=1, max_size=200), unique=True, max_size=30), st.sets(st.sampled_from("ab0")))
def test_ids_are_safe_and_unique(names: list[str], taken: set[str]) -> None:
    names = [
        name
        for name in names
        if not any("\ud800" <= letter < "\udc80" or (letter > "\udcff" and letter < "\ue000") for letter in name)
    ]
    ids = title_ids(names, taken)
    assert all(map(is_safe_id, ids))
    assert len(set(ids)) == len(names)
    assert not taken & set(ids)


@given(st.lists(NAMES, unique=True, max_size=20), NAMES)
def test_a_new_file_renames_only_a_title_whose_plain_id_it_shares(names: list[str], new: str) -> None:
    before = dict(zip(names, title_ids(names), strict=True))
    after = dict(zip([*names, new], title_ids([*names, new]), strict=True))
    for name in names:
        assert after[name] == before[name] or plain_id(name) == plain_id(new)


@given(NAMES, NAMES)
def test_plain_ids_agree_only_where_names_differ_by_their_suffix(first: str, second: str) -> None:
    if plain_id(first) is not None and plain_id(first) == plain_id(second):
        assert first == second


def test_two_files_that_agree_both_get_their_hash() -> None:
    assert title_ids(["a.mp4", "a.mkv", "b.mp4"]) == [hashed_id("a.mp4"), hashed_id("a.mkv"), "b"]
    assert title_ids(["a.mp4"], taken={"a"}) == [hashed_id("a.mp4")]


@pytest.mark.parametrize(
    "title_id", ["", ".a", "-a", "a/b", "a..b", "A", "é", "a b", "a\n", "a.", "x" * (MAX_ID_CHARACTERS + 1), "../a"]
)
def test_unsafe_ids_are_refused(title_id: str) -> None:
    assert not is_safe_id(title_id)


@pytest.mark.parametrize("title_id", ["a", "_a", "a.b-c_d", "0", "x" * MAX_ID_CHARACTERS])
def test_safe_ids_are_taken(title_id: str) -> None:
    assert is_safe_id(title_id)

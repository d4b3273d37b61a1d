"""Languages in one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.languages import normalize_language, preference_rank


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        *(
            ("en", "en"),
            ("eng", "en"),
            ("ENG", "en"),
            ("English", "en"),
            ("pt_BR", "pt-br"),
            ("zh-Hans-CN", "zh-hans-cn"),
        ),
        *(("ger", "de"), ("deu", "de"), ("fre", "fr"), ("fra", "fr"), ("chi", "zh"), ("jp", "ja"), ("yue", "yue")),
        *(("und", None), ("", None), (None, None), ("zz", None), ("b", None), ("forced", None), ("e n", None)),
    ],
)
def test_spellings(tag: str | None, expected: str | None) -> None:
    assert normalize_language(tag) == expected


@given(st.text(max_size=20))
def test_normalizing_twice_changes_nothing(tag: str) -> None:
    once = normalize_language(tag)
    assert normalize_language(once) == once


def test_preference() -> None:
    preferred = ("en-GB", "fr")
    order = ["en-gb", "en-us", "fra", "fr-ca", None, "de"]
    ranks = [preference_rank(language, preferred) for language in order]
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[1] < ranks[2] < ranks[3] < ranks[4] < ranks[5]

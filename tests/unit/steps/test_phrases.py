"""What counts as the same phrase, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.errors import ConfigError
from mediafm.steps.phrases import Line, Phrase, PhraseHit, plain, words_of_text


def lines(*texts: str, gap: float = 0.5) -> list[Line]:
    """Lines of a second each, `gap` apart."""
    return [Line(text, place * (1 + gap), place * (1 + gap) + 1) for place, text in enumerate(texts)]


def hits(phrase: str, *texts: str, gap: float = 0.5) -> list[PhraseHit]:
    return list(Phrase(phrase).hits(lines(*texts, gap=gap)))


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("a dragon", "This is A DRAGON!"),
        ("dont go", "Don't go."),
        ("don’t go", "don't go"),
        ("don't", "dont"),
        ("strasse", "Die Straße"),
        ("well known", "a well-known man"),
        ("hello there", "<i>Hello</i>\nthere"),
        ("hello there", "{\\an8}Hello, there…"),
        ("ﬁnd", "find it"),
        ("1234", "１２３４"),
        ("七人", "七人の侍"),
        ("侍", "七人の侍"),
        ("สวัส", "สวัสดีครับ"),
        ("नमस्ते", "नमस्ते दुनिया"),
        ("سلام", "سلام عليكم"),
        ("שָׁלוֹם", "שָׁלוֹם עליכם"),
        ("שלום", "שָׁלוֹם עליכם"),
        ("दुनिया", "नमस्ते दुनिया।"),
        ("ΣΟΦΟΣ", "ο σοφός"),
    ],
)
def test_what_is_found(phrase: str, text: str) -> None:
    assert len(hits(phrase, text)) == 1
    assert Phrase(phrase).may_be_in([text])


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("नमस", "नमस्ते"),
        ("dragon", "dragons"),
        ("rag", "dragon"),
        ("a dragon", "a red dragon"),
        ("go to", "going to"),
        ("x", ""),
    ],
)
def test_what_is_not(phrase: str, text: str) -> None:
    assert hits(phrase, text) == []


def test_a_quick_look_leaves_most_texts_out() -> None:
    assert not Phrase("a dragon").may_be_in(["a", "dog", "ran"])
    assert Phrase("A señor's dont").may_be_in(["a Señors", "don't"])


def test_diacritics_do_not_matter_and_are_told() -> None:
    assert [hit.is_exact for hit in hits("señor", "senor", "señor", "sen\u0303or")] == [False, True, True]
    assert [hit.is_exact for hit in hits("senor", "senor", "señor")] == [True, False]
    assert plain("Ångström") == "Angstrom"
    assert plain("한국") == "한국"
    assert plain("\u0301") != "", "a word is never nothing"


def test_a_phrase_may_cross_lines_that_follow_closely() -> None:
    assert hits("come with me", "Come with", "me.") == [PhraseHit(0, 1, True)]
    assert hits("come with me", "Come", "with", "me!") == [PhraseHit(0, 2, True)]
    assert hits("come with me", "Come with", "me.", gap=3.5) == []
    untimed = [Line("Come with", None, None), Line("me", None, None)]
    assert list(Phrase("come with me").hits(untimed)) == [PhraseHit(0, 1, True)]


def test_markup_is_not_read_over_the_end_of_a_line() -> None:
    texts = ("1 <b", "dragon", "2 > 1")
    assert hits("dragon", *texts)
    assert Phrase("dragon").may_be_in(texts)


def test_every_place_is_found() -> None:
    assert [(hit.first, hit.last) for hit in hits("no no", "no no no", "yes", "no no")] == [(0, 0), (0, 0), (2, 2)]


def test_a_phrase_without_letters_is_refused() -> None:
    with pytest.raises(ConfigError, match="a phrase holds a letter or a digit"):
        Phrase(" …!? ")


@given(st.lists(st.text(max_size=20), max_size=6), st.text(max_size=12))
def test_the_quick_look_misses_nothing(texts: list[str], phrase: str) -> None:
    if not words_of_text(phrase):
        return
    found = list(Phrase(phrase).hits(lines(*texts, gap=0)))
    assert not found or Phrase(phrase).may_be_in(texts)


@given(st.lists(st.text("abé '", min_size=1, max_size=20), min_size=1, max_size=6))
def test_each_line_of_words_is_found_where_it_stands(texts: list[str]) -> None:
    for place, text in enumerate(texts):
        if words_of_text(text):
            assert any(hit.first <= place <= hit.last and hit.is_exact for hit in hits(text, *texts))

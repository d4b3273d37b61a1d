"""Greedy CTC by hand: repeats, blanks, delimiters, pauses, confidences, and frames that come in portions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.encoders.ctc_words import CtcVocabulary, FrameWord, WordCollector
from mediafm.errors import EncoderError

BLANK, DELIMITER, UNKNOWN = 0, 1, 2
VOCABULARY = CtcVocabulary(letters={3: "A", 4: "B", 5: "L", 6: " "}, blank=BLANK, delimiter=DELIMITER)
NUMBERS = {"_": BLANK, "|": DELIMITER, "?": UNKNOWN, "a": 3, "b": 4, "l": 5, " ": 6}


def words(
    frames: str,
    probabilities: list[float] | None = None,
    portions: tuple[int, ...] = (),
    vocabulary: CtcVocabulary = VOCABULARY,
    longest_pause: int = 50,
) -> list[FrameWord]:
    """The words of frames written as letters; `portions` are where the frames are cut before they are pushed."""
    best = np.array([NUMBERS[letter] for letter in frames], np.int64)
    sure = np.array(probabilities or [1.0] * len(frames), np.float32)
    collector = WordCollector(vocabulary, longest_pause)
    found: list[FrameWord] = []
    borders = [0, *sorted(portions), len(frames)]
    for first, last in pairwise(borders):
        found += collector.push(best[first:last], sure[first:last])
    return found + collector.finish()


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ("", []),
        ("____", []),
        ("|||", []),
        ("a", [("A", 0, 1)]),
        ("aaa", [("A", 0, 3)]),
        ("a_a", [("AA", 0, 3)]),
        ("_aab__l_l|", [("ABLL", 1, 9)]),
        ("aa|bb", [("A", 0, 2), ("B", 3, 5)]),
        ("a_|_b", [("A", 0, 1), ("B", 4, 5)]),
        ("|a||b|", [("A", 1, 2), ("B", 4, 5)]),
        ("a?a", [("AA", 0, 3)]),
        ("???|a", [("A", 4, 5)]),
        ("| |a", [("A", 3, 4)]),
    ],
)
def test_golden_words(frames: str, expected: list[tuple[str, int, int]]) -> None:
    assert [(word.text, word.start, word.end) for word in words(frames)] == expected


def test_confidence_is_the_mean_over_the_frames_of_letters() -> None:
    (word,) = words("_aa_b_|", [1, 0.5, 0.7, 1, 0.3, 1, 1])
    assert word.confidence == pytest.approx((0.5 + 0.7 + 0.3) / 3)


def test_a_long_pause_ends_a_word_without_a_delimiter() -> None:
    assert [word.text for word in words("a___b", longest_pause=3)] == ["AB"]
    assert [word.text for word in words("a____b", longest_pause=3)] == ["A", "B"]
    assert [word.text for word in words("a____a", longest_pause=3)] == ["A", "A"]


def test_a_language_without_delimiter_and_small_letters() -> None:
    vocabulary = CtcVocabulary(letters={3: "A", 4: "B"}, blank=BLANK, is_lower_cased=True)
    assert [word.text for word in words("a|b", vocabulary=vocabulary)] == ["ab"], "nothing delimits: | writes nothing"


def test_a_word_over_the_border_of_two_portions_is_one_word() -> None:
    assert words("_aa_b_|", portions=(2,)) == words("_aa_b_|")
    assert [word.text for word in words("aabb|", portions=(1, 2, 3))] == ["AB"]


@given(st.text("_|?abl", max_size=60), st.data())
def test_any_split_into_portions_gives_the_same_words(frames: str, data: st.DataObject) -> None:
    probabilities = data.draw(st.lists(st.floats(0, 1), min_size=len(frames), max_size=len(frames)))
    portions = data.draw(st.lists(st.integers(0, len(frames)), max_size=6))
    whole, split = words(frames, probabilities), words(frames, probabilities, tuple(portions))
    assert [(word.text, word.start, word.end) for word in split] == [
        (word.text, word.start, word.end) for word in whole
    ]
    assert [word.confidence for word in split] == pytest.approx([word.confidence for word in whole], abs=1e-5)


@given(st.text("_|ab", max_size=60))
def test_words_agree_with_a_slow_reading_of_the_rule(frames: str) -> None:
    merged = [letter for place, letter in enumerate(frames) if place == 0 or letter != frames[place - 1]]
    expected = "".join(letter for letter in merged if letter != "_").upper().split("|")
    assert [word.text for word in words(frames, longest_pause=len(frames))] == [word for word in expected if word]


def test_frames_without_probabilities_are_refused() -> None:
    with pytest.raises(EncoderError, match=r"tokens \(3,\), probabilities \(2,\)"):
        WordCollector(VOCABULARY, 5).push(np.zeros(3, np.int64), np.ones(2, np.float32))

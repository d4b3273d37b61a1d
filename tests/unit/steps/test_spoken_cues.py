"""Words become cues by pauses, time and letters; each word once, in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm.config import SpokenCueSettings
from mediafm.encoders.transcriber import SpokenWord
from mediafm.steps.spoken_cues import spoken_cues

SETTINGS = SpokenCueSettings(pause_seconds=0.6, max_seconds=2.0, max_characters=12)


def word(text: str, start: float, end: float, confidence: float = 1.0) -> SpokenWord:
    return SpokenWord(text, start, end, confidence)


def cues(
    *words: SpokenWord, settings: SpokenCueSettings = SETTINGS, joiner: str = " "
) -> list[tuple[str, float, float]]:
    found = spoken_cues(words, settings, "en", joiner)
    return [(cue.text, cue.start_seconds, cue.end_seconds) for cue in found]


def test_a_pause_ends_a_cue() -> None:
    assert cues(word("a", 0, 0.5), word("b", 1.0, 1.5), word("c", 2.1, 2.2)) == [("a b", 0, 1.5), ("c", 2.1, 2.2)]


def test_so_does_its_length_in_time_and_in_letters() -> None:
    assert [text for text, _, _ in cues(word("a", 0, 0.9), word("b", 1, 1.9), word("c", 2, 2.1))] == ["a b", "c"]
    assert [text for text, _, _ in cues(word("seven77", 0, 0.1), word("four", 0.2, 0.3))] == ["seven77 four"]
    assert [text for text, _, _ in cues(word("seven77", 0, 0.1), word("fives", 0.2, 0.3))] == ["seven77", "fives"]


def test_a_word_beyond_all_limits_stands_alone() -> None:
    long = word("x" * 30, 0.2, 9.0)
    assert [text for text, _, _ in cues(word("a", 0, 0.1), long, word("b", 9.1, 9.2))] == ["a", "x" * 30, "b"]


def test_words_that_are_not_sure_enough_are_left_out_as_if_a_pause() -> None:
    settings = SETTINGS.model_copy(update={"min_confidence": 0.5})
    unsure = word("hm", 0.6, 1.0, confidence=0.4)
    assert [text for text, _, _ in cues(word("a", 0, 0.5), unsure, word("b", 1.2, 1.5), settings=settings)] == [
        "a",
        "b",
    ]


def test_cues_say_what_they_are() -> None:
    (cue,) = spoken_cues([word("七", 0, 0.2, 0.5), word("人", 0.2, 0.4, 1.0)], SETTINGS, "ja", "")
    assert (cue.text, cue.source, cue.language, cue.confidence) == ("七人", "asr", "ja", pytest.approx(0.75))
    assert not cue.is_hearing_impaired


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 3), st.text("ab", min_size=1, max_size=20))))
def test_each_word_stands_in_one_cue_in_order(pieces: list[tuple[float, float, str]]) -> None:
    now, words = 0.0, []
    for gap, length, text in pieces:
        words.append(word(text, now + gap, now + gap + length))
        now += gap + length
    found = cues(*words)
    assert " ".join(text for text, _, _ in found) == " ".join(each.text for each in words)
    for text, start, end in found:
        assert " " not in text or (len(text) <= SETTINGS.max_characters and end - start <= SETTINGS.max_seconds + 1e-9)

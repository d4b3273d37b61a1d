"""lite-text: shared words make texts alike, in any script, on every machine alike."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm.encoders.lite_text import LiteText, LiteTextSettings, cut_characters, cut_words


def _cosine(first: str, second: str) -> float:
    vectors = LiteText().encode([first, second])
    return float(vectors[0] @ vectors[1] / np.linalg.norm(vectors[0]) / np.linalg.norm(vectors[1]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don’t GO, Straße!", ["don't", "go", "strasse"]),
        ("ﬁne ＡＢＣ", ["fine", "abc"]),
        ("七人の侍 1954", ["七", "人", "の", "侍", "1954"]),
        ("[door slams]", ["door", "slams"]),
        ("♪ ♫", ["♪", "♫"]),
        ("snake_case", ["snake", "case"]),
        ("", []),
    ],
)
def test_words_are_cut_and_normalised(text: str, words: list[str]) -> None:
    assert cut_words(text) == words


def test_characters_are_cut_with_the_word_s_edges() -> None:
    assert list(cut_characters("cat")) == ["<ca", "cat", "at>", "<cat", "cat>", "<cat>"]
    assert list(cut_characters("x")) == []


@pytest.mark.parametrize(
    ("near", "far"),
    [
        (("The dragon burned the village", "A village, and a dragon!"), "He bought two tickets for the train"),
        (("Der Drache schläft", "Drachen schlafen tief"), "Zwei Fahrkarten bitte"),
        (("七人の侍が来た", "侍は七人だ"), "電車の切符をください"),
        (("Дракон сжёг деревню", "драконы и деревни"), "Два билета на поезд"),
    ],
)
def test_shared_words_bring_texts_together(near: tuple[str, str], far: str) -> None:
    assert _cosine(*near) > 0.15 + _cosine(near[0], far)


def test_common_words_alone_make_little_alike() -> None:
    assert _cosine("it is what it was for the dragon", "it is what it was for the train") < 0.5


@settings(deadline=None)
@given(st.text(max_size=80))
def test_case_and_outer_space_do_not_matter(text: str) -> None:
    vectors = LiteText().encode([text, f"  {text}\n"])
    np.testing.assert_array_equal(vectors[0], vectors[1])


@settings(deadline=None)
@given(st.text(min_size=1, max_size=40).filter(lambda text: not text.isspace()))
def test_only_a_text_without_words_is_zero(text: str) -> None:
    assert LiteText().encode([text]).any() == bool(cut_words(text))


def test_space_is_zero() -> None:
    assert not LiteText().encode(["", " \n\t"]).any()


def test_the_width_is_a_setting() -> None:
    assert LiteText(LiteTextSettings(width=64)).encode(["word"]).shape == (1, 64)


def test_another_process_gives_the_same_bytes() -> None:
    program = (
        "import sys; from mediafm.encoders.lite_text import LiteText; "
        "sys.stdout.buffer.write(LiteText().encode(['a dragon sleeps']).tobytes())"
    )
    command = [sys.executable, "-c", program]
    outputs = {
        subprocess.run(command, capture_output=True, check=True, env={"PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    }
    assert outputs == {LiteText().encode(["a dragon sleeps"]).tobytes()}

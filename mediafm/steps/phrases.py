"""Finding a phrase in lines of text that follow each other in time. Pure.

Words are compared, not letters ("dragon" is not in "dragons"): case-folded, by Unicode's compatibility form, without
markup and punctuation; an apostrophe inside a word is dropped ("don't" is "dont"). Scripts that write no spaces are
compared letter by letter. Diacritics: everything is found without them ("senor" finds "señor"), and each hit says
whether it also agrees with them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mediafm.errors import ConfigError
from mediafm.media.timed_text_markup import strip_overrides, strip_tags

MAX_GAP_SECONDS = 3.0
"""Between two lines that a phrase may cross (our choice: a longer silence ends what is being said)."""

_APOSTROPHES = re.compile("(?<=\\w)['\u2019\u02bc\uff07](?=\\w)")
_NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai and Lao, Burmese, Khmer, kana, Han."""
_WORD = re.compile(f"[{_NO_SPACES}]|[^\\W_{_NO_SPACES}](?:[^\\W_{_NO_SPACES}]|[\u0300-\u036f])*")


@dataclass(frozen=True, slots=True)
class Line:
    """A text that is said at a time: a cue, or a single word of a transcript.

    start_seconds, end_seconds: None where nobody knows.
    """

    text: str
    start_seconds: float | None
    end_seconds: float | None


@dataclass(frozen=True, slots=True)
class PhraseHit:
    """A phrase lies in the lines `first` to `last`, both among them.

    is_exact: also the diacritics agree.
    """

    first: int
    last: int
    is_exact: bool


class Phrase:
    """What is looked for."""

    def __init__(self, text: str) -> None:
        """
        Raises:
            ConfigError: it holds no letter.
        """
        self._exact = words_of_text(text)
        self._plain = [plain(word) for word in self._exact]
        if not self._exact:
            raise ConfigError(
                f"the phrase {text!r}", rule="a phrase holds a letter or a digit", remedy="Say what to look for."
            )

    def may_be_in(self, texts: Sequence[str]) -> bool:
        """A quick look at lines together: False only if the phrase is in none of them, nor across them."""
        joined = "\n".join(texts)
        has_markup = "<" in joined or "{" in joined  # which must not be read over the end of a line
        found = [word for text in texts for word in words_of_text(text)] if has_markup else words_of_text(joined)
        words = [plain(word) for word in found]
        return f" {' '.join(self._plain)} " in f" {' '.join(words)} "

    def hits(self, lines: Sequence[Line]) -> Iterator[PhraseHit]:
        """Every place of the phrase in lines that are in order of time; it may cross lines that follow closely."""
        words, places, parts = list[str](), list[int](), list[int]()
        part = 0
        for number, line in enumerate(lines):
            part += number > 0 and _is_apart(lines[number - 1], line)
            for word in words_of_text(line.text):
                words.append(word)
                places.append(number)
                parts.append(part)
        length = len(self._plain)
        plains = [plain(word) for word in words]
        for start in range(len(words) - length + 1):
            end = start + length
            if plains[start:end] == self._plain and parts[start] == parts[end - 1]:
                yield PhraseHit(places[start], places[end - 1], words[start:end] == self._exact)


def words_of_text(text: str) -> list[str]:
    """The words of a text as they are compared, diacritics kept."""
    if "<" in text:
        text = strip_tags(text)
    if "{" in text:
        text = strip_overrides(text)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _WORD.findall(_APOSTROPHES.sub("", folded))


def plain(word: str) -> str:
    """A word without its diacritics."""
    if word.isascii():
        return word
    decomposed = unicodedata.normalize("NFD", word)
    bare = "".join(letter for letter in decomposed if unicodedata.category(letter) != "Mn")
    return unicodedata.normalize("NFC", bare or decomposed)


def _is_apart(before: Line, after: Line) -> bool:
    if before.end_seconds is None or after.start_seconds is None:
        return False
    return after.start_seconds - before.end_seconds > MAX_GAP_SECONDS

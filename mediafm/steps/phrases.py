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

_APOSTROPHE = re.compile("['\u2019\u02bc\uff07]")
_INNER_APOSTROPHE = re.compile(f"(?<=\\w){_APOSTROPHE.pattern}(?=\\w)")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]+")
_NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai and Lao, Burmese, Khmer, kana, Han."""
_MARKS = (
    "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u06df-\u06e4\u06e7-\u06ed\u0900-\u0963\u0966-\u0dff\u200c\u200d"
)
"""Inside a word, what Python does not count as a letter: combining marks, Hebrew and Arabic points, Indic vowel signs
(the whole of these scripts but for their full stops), joiners."""
_WORD = re.compile(f"[{_NO_SPACES}]|[^\\W_{_NO_SPACES}](?:[^\\W_{_NO_SPACES}]|[{_MARKS}])*")


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
        """A quick look, for letters alone, at lines together: False only if the phrase is nowhere in them."""
        joined = "\n".join(texts)
        if "<" in joined or "{" in joined:
            return True  # markup may stand inside a word
        letters = plain(_APOSTROPHE.sub("", _folded(joined)))
        return all(word in letters for word in self._plain if not _is_mark(word))

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
    return _WORD.findall(_INNER_APOSTROPHE.sub("", _folded(text)))


def plain(text: str) -> str:
    """Folded text without its diacritics."""
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFD", text)
    bare = _BEYOND_ASCII.sub(_without_marks, decomposed)
    return unicodedata.normalize("NFC", bare or decomposed)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _is_mark(word: str) -> bool:
    """Whether a word of a script without spaces is a mark, which `plain` takes away inside a text."""
    return all(unicodedata.category(letter) == "Mn" for letter in word)


def _without_marks(found: re.Match[str]) -> str:
    return "".join(letter for letter in found[0] if unicodedata.category(letter) != "Mn")


def _is_apart(before: Line, after: Line) -> bool:
    if before.end_seconds is None or after.start_seconds is None:
        return False
    return after.start_seconds - before.end_seconds > MAX_GAP_SECONDS

"""lite-text: timed text or metadata as hashed words, word pairs and character n-grams. No weights; our choice.

Signed feature hashing (Weinberger et al. 2009) of words, pairs of words and the character 3- to 5-grams inside words
(as fastText cuts them, Bojanowski et al. 2017), with a logarithmic term frequency. Scripts that do not part words by
spaces are cut into characters and their pairs instead. The hash is BLAKE2b: the same on every machine.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mediafm.config import Section
from mediafm.encoders.encoder import Encoder, EncoderSpec
from mediafm.types import Modality

STEP_VERSION = 1
CHARACTER_GRAMS = (3, 4, 5)
UNSPACED = "぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿຀-໿က-႟ក-៿"
"""Kana, Han, Thai, Lao, Burmese, Khmer: scripts written without spaces."""

_PIECES = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+(?:['’][^\W_{UNSPACED}]+)*")
_IS_UNSPACED = re.compile(rf"[{UNSPACED}]")

_COMMON_WORDS_TEXT = (
    "a about after again ago ah all almost already also always am an and another any anybody anymore anyone "
    "anything anyway are aren't around as ask at away back bad be because been before being believe best better "
    "between big both but by bye call came can can't cannot come comes coming could couldn't course day days dear "
    "did didn't different do does doesn't doing don't done down each else enough even ever every everybody everyone "
    "everything exactly excuse fact far feel few find fine first for forget from get gets getting give go god goes "
    "going gonna good got gotta great guess guy guys had happen happened happens hard has hasn't have haven't "
    "having he he'd he'll he's hear heard hello help her here here's hers herself hey hi him himself his hmm hope "
    "how how's huh i i'd i'll i'm i've idea if in into is isn't it it'd it'll it's its itself just keep kind knew "
    "know known knows last later least leave left let let's life like liked little long look looking looks lot made "
    "make makes making man many matter may maybe me mean means might mine minute more most mr mrs much must my "
    "myself name need needs never new next nice night no nobody none not nothing now of off oh ok okay old on once "
    "one ones only or other others ought our ours out over own people perhaps place please point probably problem "
    "put quite rather ready real really remember right said same saw say saying says see seems seen shall she she'd "
    "she'll she's should shouldn't since sir so some somebody someone something sometimes somewhere soon sorry "
    "start still stop such sure take talk talking tell than thank thanks that that'll that's the their theirs them "
    "themselves then there there's these they they'd they'll they're they've thing things think this those though "
    "thought three through time times to today together told tomorrow tonight too took tried true try trying two uh "
    "um under until up upon us used very wait wanna want wanted wants was wasn't way we we'd we'll we're we've well "
    "went were weren't what what's whatever when where where's which while who who's whole whom whose why will wish "
    "with without won't word work world would wouldn't wow wrong yeah year years yes yet you you'd you'll you're "
    "you've your yours yourself"
)
COMMON_WORDS = frozenset(_COMMON_WORDS_TEXT.split())
"""The commonest words of English dialogue say little of what a shot is about; they count as `common_word_weight`.
Written down by hand, not counted in any catalogue."""


class LiteTextSettings(Section):
    """The size of the table that n-grams are hashed into, and how much each kind counts."""

    width: Annotated[int, Field(ge=16)] = 768
    word_weight: Annotated[float, Field(ge=0)] = 1.0
    pair_weight: Annotated[float, Field(ge=0)] = 0.5
    character_weight: Annotated[float, Field(ge=0)] = 0.35
    common_word_weight: Annotated[float, Field(ge=0)] = 0.1


class LiteText(Encoder[str]):
    """`width` numbers a text; a text without any character but spaces gives zeros."""

    def __init__(self, settings: LiteTextSettings | None = None) -> None:
        self.settings = settings or LiteTextSettings()
        self.spec = EncoderSpec(
            name="lite-text",
            modality=Modality.TEXT,
            width=self.settings.width,
            step_version=STEP_VERSION,
            settings=self.settings.model_dump(mode="json"),
        )

    def _encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self._vector(text) for text in batch])

    def _vector(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(self.settings.width, np.float64)
        for kind, counts in self._counts(text).items():
            for gram, count in counts.items():
                number = _stable_hash(f"{kind}\x1f{gram}")
                sign = 1.0 if number & 1 else -1.0
                vector[(number >> 1) % self.settings.width] += sign * self._weight(kind, gram) * (1 + math.log(count))
        return vector.astype(np.float32)

    def _counts(self, text: str) -> dict[str, Counter[str]]:
        words = cut_words(text)
        characters = Counter(gram for word in words if word not in COMMON_WORDS for gram in cut_characters(word))
        pairs = Counter(f"{first} {second}" for first, second in pairwise(words))
        return {"word": Counter(words), "pair": pairs, "characters": characters}

    def _weight(self, kind: str, gram: str) -> float:
        if kind == "characters":
            return self.settings.character_weight
        is_common = all(word in COMMON_WORDS for word in gram.split(" "))
        damping = self.settings.common_word_weight if is_common else 1.0
        return damping * (self.settings.word_weight if kind == "word" else self.settings.pair_weight)


def cut_words(text: str) -> list[str]:
    """Normalised words in order (NFKC, case folded); unspaced scripts by character; signs only if there is no word."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("’", "'")
    words: list[str] = []
    for piece in _PIECES.findall(plain):
        words.extend(piece if _IS_UNSPACED.match(piece) else [piece])
    return words or plain.split()


def cut_characters(word: str) -> Iterator[str]:
    """The 3- to 5-grams of a word between its edges, which are marked; none of a single character."""
    if len(word) > 1:
        marked = f"<{word}>"
        for size in CHARACTER_GRAMS:
            for start in range(len(marked) - size + 1):
                yield marked[start : start + size]


@lru_cache(maxsize=1 << 16)
def _stable_hash(gram: str) -> int:
    return int.from_bytes(blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")

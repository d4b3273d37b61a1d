"""Greedy CTC: the best token of each frame becomes words with times and confidences. Streams; pure.

The rule is connectionist temporal classification's best path (Graves et al. 2006, sections 3.1 and 3.2): tokens that
follow each other unchanged are one, then blanks fall away. Our choices: a word's confidence is the mean probability of
the best token over the frames of its letters (a network is sure of the blanks between them even where it guesses the
letters), and a pause inside a word that no word can have ends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mediafm.errors import EncoderError

Tokens = NDArray[np.int64]
Probabilities = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class CtcVocabulary:
    """What the numbers of a CTC head mean.

    letters: token -> what it writes. A token that is no letter, blank or delimiter writes nothing (`<s>`, `<unk>`).
    blank: the token of "no letter here".
    delimiter: the token between two words; None where the language is written without.
    is_lower_cased: letters are written small.
    """

    letters: Mapping[int, str]
    blank: int
    delimiter: int | None = None
    is_lower_cased: bool = False


@dataclass(frozen=True, slots=True)
class FrameWord:
    """A word over the frames `[start, end)`, from its first letter's first frame to its last letter's last.

    confidence: in 0..1; of the network about itself: no measure of how often it is right.
    """

    text: str
    start: int
    end: int
    confidence: float


@dataclass(slots=True)
class _OpenWord:
    """A word that may go on."""

    start: int
    end: int = 0
    letters: list[str] = field(default_factory=list)
    sum_probability: float = 0.0
    num_frames: int = 0


class WordCollector:
    """Takes frames in order, in portions of any length, and gives words as soon as they end."""

    def __init__(self, vocabulary: CtcVocabulary, longest_pause_frames: int) -> None:
        """
        Args:
            longest_pause_frames: inside a word; a longer one ends it.
        """
        self._vocabulary = vocabulary
        self._longest_pause = longest_pause_frames
        self._position = 0
        self._before: int | None = None
        self._open: _OpenWord | None = None

    def push(self, best: Tokens, probabilities: Probabilities) -> list[FrameWord]:
        """The next frames: the best token of each and its probability, both [n]; the words that have ended.

        Raises:
            EncoderError: another number of probabilities than of tokens.
        """
        if best.shape != probabilities.shape or best.ndim != 1:
            raise EncoderError(
                f"tokens {best.shape}, probabilities {probabilities.shape}",
                rule="each frame has one token and its probability",
                where="greedy CTC",
            )
        ended = []
        for token, start, end in _runs(best):
            ended += self._take(
                token, self._position + start, self._position + end, float(probabilities[start:end].sum())
            )
        self._position += len(best)
        return ended

    def finish(self) -> list[FrameWord]:
        """No more frames: the last word, if one is open."""
        return self._close()

    def _take(self, token: int, start: int, end: int, sum_probability: float) -> list[FrameWord]:
        """A run of one token; it may be the continuation of the portion before."""
        is_new = token != self._before
        self._before = token
        if token == self._vocabulary.delimiter:
            return self._close()
        letter = self._vocabulary.letters.get(token)
        if token == self._vocabulary.blank or letter is None:
            return []
        ended = []
        if self._open is not None and start - self._open.end > self._longest_pause:
            ended = self._close()
        if self._open is None:
            self._open = _OpenWord(start)
        if is_new:
            self._open.letters.append(letter)
        self._open.end = end
        self._open.sum_probability += sum_probability
        self._open.num_frames += end - start
        return ended

    def _close(self) -> list[FrameWord]:
        word, self._open = self._open, None
        text = "".join(word.letters).strip() if word else ""
        if word is None or not text:
            return []
        confidence = min(1.0, word.sum_probability / word.num_frames)
        text = text.lower() if self._vocabulary.is_lower_cased else text
        return [FrameWord(text, word.start, word.end, confidence)]


def _runs(tokens: Tokens) -> Iterator[tuple[int, int, int]]:
    """(token, start, end) of each stretch of equal tokens."""
    if not len(tokens):
        return
    borders = np.flatnonzero(np.diff(tokens)) + 1
    for start, end in zip([0, *borders], [*borders, len(tokens)], strict=True):
        yield int(tokens[start]), int(start), int(end)

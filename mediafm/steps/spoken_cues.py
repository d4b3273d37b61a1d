"""Transcribed words as cues: a cue ends where a pause, its length in time, or its length in letters ends it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mediafm.config import SpokenCueSettings
from mediafm.encoders.transcriber import SpokenWord
from mediafm.media.timed_text_cue import Cue


def spoken_cues(
    words: Iterable[SpokenWord], settings: SpokenCueSettings, language: str | None, joiner: str = " "
) -> Iterator[Cue]:
    """The cues of words in order of time, marked `source = "asr"`; a cue's confidence is the mean of its words'.

    A single word longer than the limits is a cue of its own. Words of less confidence than the settings ask for are
    left out, and stand for a pause.

    Args:
        joiner: what stands between two words.
    """
    open_words: list[SpokenWord] = []
    num_characters = 0
    for word in words:
        if word.confidence < settings.min_confidence:
            continue
        longer = num_characters + len(joiner) + len(word.text)
        if open_words and _ends(open_words, word, longer, settings):
            yield _cue(open_words, language, joiner)
            open_words, longer = [], len(word.text)
        num_characters = longer if open_words else len(word.text)
        open_words.append(word)
    if open_words:
        yield _cue(open_words, language, joiner)


def _ends(open_words: Sequence[SpokenWord], word: SpokenWord, num_characters: int, settings: SpokenCueSettings) -> bool:
    """Whether the cue ends before `word`."""
    return (
        word.start_seconds - open_words[-1].end_seconds >= settings.pause_seconds
        or word.end_seconds - open_words[0].start_seconds > settings.max_seconds
        or num_characters > settings.max_characters
    )


def _cue(words: Sequence[SpokenWord], language: str | None, joiner: str) -> Cue:
    return Cue(
        start_seconds=words[0].start_seconds,
        end_seconds=words[-1].end_seconds,
        text=joiner.join(word.text for word in words),
        language=language,
        source="asr",
        confidence=sum(word.confidence for word in words) / len(words),
    )

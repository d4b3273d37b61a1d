"""Streams of many titles through the fake that reads tones: words, times, borders, batches, silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from mediafm.config import AudioSettings, TranscriberChoice
from mediafm.encoders.ctc_stream import BestTokens
from mediafm.encoders.fake_transcriber import FRAME_SAMPLES, RATE_HZ, FakeTranscriber, FakeTranscriberSettings, tones
from mediafm.encoders.transcriber import SoundBlock, SoundEnd, SpokenWord
from mediafm.encoders.transcriber_registry import create_transcriber
from mediafm.errors import ConfigError, EncoderError
from mediafm.media.audio import is_silent

TEXT = "the quick brown fox jumps over the lazy dog and then it sleeps"


def stream(
    sounds: dict[str, NDArray[np.float32]], block_samples: int = 16_000
) -> Iterator[SoundBlock[str] | SoundEnd[str]]:
    for key, samples in sounds.items():
        for first in range(0, len(samples), block_samples):
            yield SoundBlock(key, samples[first : first + block_samples])
        yield SoundEnd(key)


def texts(words: Sequence[SpokenWord]) -> str:
    return " ".join(word.text for word in words)


def test_words_have_their_exact_times() -> None:
    with FakeTranscriber() as transcriber:
        first, second = transcriber.transcribe(tones("hi yo"))
    frame = FRAME_SAMPLES / RATE_HZ
    assert (first.text, first.start_seconds, first.end_seconds) == ("hi", frame, pytest.approx(8 * frame))
    assert (second.text, second.start_seconds) == ("yo", pytest.approx(13 * frame))
    assert first.confidence == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("window_seconds", "overlap_seconds"), [(0.5, 0.1), (1.0, 0.3), (3.3, 0.0), (60.0, 1.0)])
def test_windows_of_any_length_give_the_same_words(window_seconds: float, overlap_seconds: float) -> None:
    settings = FakeTranscriberSettings(window_seconds=window_seconds, overlap_seconds=overlap_seconds)
    with FakeTranscriber(settings) as windowed, FakeTranscriber(FakeTranscriberSettings(window_seconds=60)) as whole:
        found = windowed.transcribe(tones(TEXT))
        assert found == whole.transcribe(tones(TEXT))
    assert texts(found) == TEXT


@pytest.mark.parametrize("batch_windows", [1, 2, 7])
def test_titles_in_one_stream_keep_their_own_words(batch_windows: int) -> None:
    said = {"a": TEXT, "b": "no", "c": "some more words are here " * 4, "d": "", "e": "yes"}
    sounds = {key: tones(text) if text else np.zeros(0, np.float32) for key, text in said.items()}
    settings = FakeTranscriberSettings(window_seconds=2, overlap_seconds=0.5, batch_windows=batch_windows)
    with FakeTranscriber(settings) as transcriber:
        found = {each.key: each.words for each in transcriber.transcribe_stream(stream(sounds, 5_000))}
        alone = {key: transcriber.transcribe(samples) for key, samples in sounds.items()}
    assert {key: texts(words) for key, words in found.items()} == {key: text.strip() for key, text in said.items()}
    assert found == alone


def test_what_is_silent_is_not_listened_to() -> None:
    listened: list[int] = []

    class Counting(FakeTranscriber):
        def _best_tokens(self, samples: NDArray[np.float32]) -> BestTokens:
            listened.append(len(samples))
            return super()._best_tokens(samples)

    quiet = np.full(60 * RATE_HZ, 1e-5, np.float32)
    sound = np.concatenate([tones("one"), quiet, tones("two")])
    settings = AudioSettings()
    with Counting() as transcriber:
        (found,) = transcriber.transcribe_stream(
            [SoundBlock("x", sound), SoundEnd("x")], lambda samples: is_silent(samples, settings)
        )
    assert texts(found.words) == "one two"
    assert found.words[1].start_seconds > 60
    assert sum(listened) <= 4, "of about thirty windows"


def test_noise_lowers_the_confidence() -> None:
    clean = tones("hello there")
    noise = np.random.default_rng(0).normal(0, 0.1, len(clean)).astype(np.float32)
    with FakeTranscriber() as transcriber:
        words = transcriber.transcribe(clean + noise)
    assert texts(words) == "hello there"
    assert all(0.5 < word.confidence < 0.95 for word in words)


class Broken(FakeTranscriber):
    """Gives what no network may give."""

    def __init__(self, tokens: BestTokens) -> None:
        super().__init__()
        self._given = tokens

    def _best_tokens(self, samples: NDArray[np.float32]) -> BestTokens:
        return self._given


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (BestTokens(np.zeros((1, 3), np.int64), np.ones((1, 3), np.float32)), r"tokens \(1, 3\)"),
        (BestTokens(np.zeros((1, 5), np.int64), np.full((1, 5), np.nan, np.float32)), "not finite"),
    ],
)
def test_a_network_that_breaks_its_promise(given: BestTokens, complaint: str) -> None:
    with Broken(given) as transcriber, pytest.raises(EncoderError, match=complaint):
        transcriber.transcribe(np.ones(5 * FRAME_SAMPLES, np.float32))


def test_an_unknown_transcriber_is_answered_with_the_known() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'wav2vec2-ctc'"):
        create_transcriber(TranscriberChoice(name="wav2vec-ctc"))
    with pytest.raises(ConfigError, match="unknown setting 'windows'"):
        create_transcriber(TranscriberChoice(name="fake-transcriber", settings={"windows": 3}))

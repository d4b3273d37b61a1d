"""Transcribers with a CTC head: windows of many titles in one batch, each title's frames joined before they are read.

The best token and its probability of every kept frame are put in a row, title by title, and collapsed once: a word that
lies over the border of two windows is one word.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from mediafm.encoders.ctc_windows import SoundWindow, WindowCutter
from mediafm.encoders.ctc_words import CtcVocabulary, FrameWord, WordCollector
from mediafm.encoders.hf_audio_chunks import FrameGrid
from mediafm.encoders.transcriber import (
    IsSilent,
    Key,
    SoundBlock,
    SoundEnd,
    SpokenWord,
    Transcribed,
    Transcriber,
    nothing_is_silent,
)
from mediafm.errors import EncoderError

LONGEST_PAUSE_SECONDS = 1.0
"""Inside a word. Our choice: spoken words have none of half that length."""
MAX_WAITING_BATCHES = 4
"""So many batches' worth of windows of odd lengths wait at most for others of their length."""


@dataclass(frozen=True, slots=True)
class BestTokens:
    """Of a batch of B windows of T frames: the best token of each frame, int64 [B, T], its probability, float32."""

    tokens: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(slots=True)
class _OpenSound(Generic[Key]):
    """A title under way. Windows come back in any order; they are read in theirs.

    num_cut, num_read: windows that were cut, and those whose frames the collector has.
    """

    key: Key
    cutter: WindowCutter
    collector: WordCollector
    words: list[FrameWord] = field(default_factory=list)
    arrived: dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]] = field(default_factory=dict)
    num_cut: int = 0
    num_read: int = 0
    is_over: bool = False

    @property
    def is_complete(self) -> bool:
        return self.is_over and self.num_read == self.num_cut

    def arrive(self, number: int, tokens: NDArray[np.int64], probabilities: NDArray[np.float32]) -> None:
        self.arrived[number] = tokens, probabilities
        while self.num_read in self.arrived:
            self.words += self.collector.push(*self.arrived.pop(self.num_read))
            self.num_read += 1


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Key]):
    sound: _OpenSound[Key]
    number: int
    window: SoundWindow


class CtcTranscriber(Transcriber):
    """A transcriber that gives tokens for windows of samples.

    grid: when its frames happen.
    window_frames, overlap_frames: see `WindowCutter`.
    batch_windows: windows of one batch; moves no word.
    """

    grid: FrameGrid
    vocabulary: CtcVocabulary
    window_frames: int
    overlap_frames: int
    batch_windows: int = 1

    @abstractmethod
    def _best_tokens(self, samples: NDArray[np.float32]) -> BestTokens:
        """The best tokens of a batch of windows, float32 [B, n]; each row from its own window alone."""

    def transcribe_stream(
        self, sounds: Iterable[SoundBlock[Key] | SoundEnd[Key]], is_silent: IsSilent = nothing_is_silent
    ) -> Iterator[Transcribed[Key]]:
        """As `Transcriber.transcribe_stream`."""
        opened: dict[Key, _OpenSound[Key]] = {}
        buckets: OrderedDict[int, list[_Waiting[Key]]] = OrderedDict()
        for event in sounds:
            sound = opened.get(event.key) or self._opened(event.key)
            if isinstance(event, SoundBlock):
                opened[event.key] = sound
                windows = sound.cutter.push(np.asarray(event.samples, np.float32))
            else:
                opened.pop(event.key, None)
                windows = sound.cutter.finish()
            for window in windows:
                self._put(sound, window, buckets, is_silent)
                yield from self._run_full(buckets)
            if isinstance(event, SoundEnd):
                sound.is_over = True
                if sound.is_complete:
                    yield self._closed(sound)
        while buckets:
            yield from self._run(buckets.popitem(last=False)[1])

    def _opened(self, key: Key) -> _OpenSound[Key]:
        pause = round(LONGEST_PAUSE_SECONDS * self.sample_rate_hz / self.grid.hop_samples)
        cutter = WindowCutter(self.grid, self.window_frames, self.overlap_frames)
        return _OpenSound(key, cutter, WordCollector(self.vocabulary, pause))

    def _put(
        self,
        sound: _OpenSound[Key],
        window: SoundWindow,
        buckets: OrderedDict[int, list[_Waiting[Key]]],
        is_silent: IsSilent,
    ) -> None:
        """Puts a window beside others of its length; a silent one is blank at once."""
        number, sound.num_cut = sound.num_cut, sound.num_cut + 1
        if is_silent(window.samples):
            num_own = window.own_end - window.own_start
            blank = np.full(num_own, self.vocabulary.blank, np.int64)
            sound.arrive(number, blank, np.ones(num_own, np.float32))
        else:
            buckets.setdefault(window.num_frames, []).append(_Waiting(sound, number, window))

    def _run_full(self, buckets: OrderedDict[int, list[_Waiting[Key]]]) -> Iterator[Transcribed[Key]]:
        """Runs full batches, and the oldest if too many wait."""
        for length in [length for length, waiting in buckets.items() if len(waiting) >= self.batch_windows]:
            yield from self._run(buckets.pop(length))
        while sum(map(len, buckets.values())) >= MAX_WAITING_BATCHES * self.batch_windows:
            yield from self._run(buckets.popitem(last=False)[1])

    def _run(self, waiting: Sequence[_Waiting[Key]]) -> Iterator[Transcribed[Key]]:
        found = self._best_tokens(np.stack([one.window.samples for one in waiting]))
        self._check(found, len(waiting), waiting[0].window.num_frames)
        for row, one in enumerate(waiting):
            first, last = one.window.own_start - one.window.start, one.window.own_end - one.window.start
            one.sound.arrive(one.number, found.tokens[row, first:last], found.probabilities[row, first:last])
        for sound in {id(one.sound): one.sound for one in waiting}.values():
            if sound.is_complete:
                yield self._closed(sound)

    def _check(self, found: BestTokens, num_windows: int, num_frames: int) -> None:
        expected = (num_windows, num_frames)
        if found.tokens.shape != expected or found.probabilities.shape != expected:
            raise EncoderError(
                f"tokens {found.tokens.shape}, probabilities {found.probabilities.shape}",
                rule=f"{expected} follow from the windows",
                where=self.spec.name,
            )
        if not np.isfinite(found.probabilities).all():
            raise EncoderError(
                "a probability that is not finite",
                rule="a network's probabilities are numbers",
                where=self.spec.name,
                remedy='Choose dtype = "float32".',
            )

    def _closed(self, sound: _OpenSound[Key]) -> Transcribed[Key]:
        hop, rate_hz = self.grid.hop_samples, self.sample_rate_hz
        words = [*sound.words, *sound.collector.finish()]
        return Transcribed(
            sound.key,
            tuple(
                SpokenWord(word.text, word.start * hop / rate_hz, word.end * hop / rate_hz, word.confidence)
                for word in words
            ),
        )

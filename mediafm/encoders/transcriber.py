"""The transcriber interface: the sound of many titles in, words with times out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from mediafm.types import Json

Samples: TypeAlias = NDArray[np.float32]
IsSilent: TypeAlias = Callable[[Samples], bool]
"""Whether samples hold nothing to be heard."""
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class SoundBlock(Generic[Key]):
    """The next samples of a title: mono float32 [n] at the transcriber's rate, without a gap to those before."""

    key: Key
    samples: Samples


@dataclass(frozen=True, slots=True)
class SoundEnd(Generic[Key]):
    """A title's sound is over."""

    key: Key


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as it was heard.

    start_seconds, end_seconds: counted from the first sample of the sound; half-open.
    confidence: in 0..1, the transcriber's own; it is no measure of how often it is right.
    """

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Transcribed(Generic[Key]):
    """All words of a title, in order of time."""

    key: Key
    words: tuple[SpokenWord, ...]


@dataclass(frozen=True, kw_only=True)
class TranscriberSpec:
    """All that a transcriber's words depend on; it is what gets fingerprinted.

    name: its name in the registry.
    step_version: raised by hand whenever the same sound gives other words.
    language: what it writes, as `mediafm.languages` spells it; None where nobody said.
    joiner: what stands between two of its words in running text.
    revision: of its weights ("" without weights).
    licence: SPDX identifier of weights and code.
    settings: every other choice that moves a word, its time or its confidence.
    """

    name: str
    step_version: int
    language: str | None
    joiner: str = " "
    revision: str = ""
    licence: str = "Apache-2.0"
    settings: Mapping[str, Json] = field(default_factory=dict)

    def as_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "step_version": self.step_version,
            "language": self.language,
            "joiner": self.joiner,
            "revision": self.revision,
            "settings": dict(self.settings),
        }


def nothing_is_silent(samples: Samples) -> bool:
    """Everything is heard."""
    return False


class Transcriber(ABC):
    """Writes down what is spoken. Made cheaply: `spec` holds at once; weights are loaded by the first sound.

    sample_rate_hz: of the sound that it wants.
    """

    spec: TranscriberSpec
    sample_rate_hz: int

    @abstractmethod
    def transcribe_stream(
        self, sounds: Iterable[SoundBlock[Key] | SoundEnd[Key]], is_silent: IsSilent = nothing_is_silent
    ) -> Iterator[Transcribed[Key]]:
        """The words of each title, once it has ended, not always in order. A title's words come from its sound alone.

        Memory is bounded whatever a title's length; the stream is read no further ahead than batches need.

        Args:
            sounds: blocks of one title after another, each title closed by its end.
            is_silent: parts of the sound of which it is true are not listened to, and hold no word.

        Raises:
            EncoderError: the network gave what is no probability.
        """

    def transcribe(self, samples: Samples) -> tuple[SpokenWord, ...]:
        """The words of one whole sound, float32 [n]."""
        events: list[SoundBlock[str] | SoundEnd[str]] = [SoundBlock("", samples), SoundEnd("")]
        (found,) = self.transcribe_stream(events)
        return found.words

    def close(self) -> None:  # noqa: B027 - a transcriber without weights holds nothing
        """Frees what it holds. It is not used after it; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

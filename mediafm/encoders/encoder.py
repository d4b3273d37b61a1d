"""The encoder interface: a batch of one modality in, float32 `[batch, width]` out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mediafm.errors import EncoderError
from mediafm.types import Json, Modality


@dataclass(frozen=True, slots=True)
class ShotFrames:
    """The stored frames of one shot.

    frames_rgb: each uint8 [height, width, 3], in order of time.
    times_seconds: one timestamp a frame.
    """

    frames_rgb: tuple[NDArray[np.uint8], ...]
    times_seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.frames_rgb or len(self.frames_rgb) != len(self.times_seconds):
            raise EncoderError(
                f"{len(self.frames_rgb)} frames with {len(self.times_seconds)} times",
                rule="a shot has at least one frame, and one time a frame",
            )


NO_SAMPLES: NDArray[np.float32] = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class ShotAudio:
    """The sound of one shot: mono float32 samples in [-1, 1] at `sample_rate_hz`.

    before, after: the sound just before and after the shot, for an encoder that asks for it by `margin_seconds`;
        empty otherwise, and shorter at the title's ends.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    before: NDArray[np.float32] = field(default_factory=lambda: NO_SAMPLES)
    after: NDArray[np.float32] = field(default_factory=lambda: NO_SAMPLES)


Input = TypeVar("Input", ShotFrames, ShotAudio, str)
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a vector cost where it was bought.

    num_tokens: tokens that were paid for; those of cached vectors are not.
    cost_usd: their price by the encoder's settings.
    num_bought, num_cached: texts sent to the endpoint, and texts that were known.
    """

    num_tokens: int = 0
    cost_usd: float = 0.0
    num_bought: int = 0
    num_cached: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            num_tokens=self.num_tokens + other.num_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
            num_bought=self.num_bought + other.num_bought,
            num_cached=self.num_cached + other.num_cached,
        )


NOTHING_BOUGHT = Usage()


@dataclass(frozen=True, slots=True)
class Encoded(Generic[Key]):
    """One vector of a stream: whose it is, float32 [width], and what it cost."""

    key: Key
    vector: NDArray[np.float32]
    usage: Usage = NOTHING_BOUGHT


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """All that an encoder's output depends on; it is what gets fingerprinted.

    name: its name in the registry.
    modality: what it reads.
    width: numbers per vector.
    step_version: raised by hand whenever the same input gives another vector.
    revision: of its weights ("" for an encoder without weights).
    licence: SPDX identifier of weights and code.
    crosses_cuts: True if a shot's vector depends on more than the shot itself.
    settings: every other choice that moves the output, preprocessing included.
    """

    name: str
    modality: Modality
    width: int
    step_version: int
    revision: str = ""
    licence: str = "Apache-2.0"
    crosses_cuts: bool = False
    settings: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.width < 1:
            raise EncoderError(f"width {self.width}", rule="an encoder gives at least one number", where=self.name)

    def as_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "modality": str(self.modality),
            "width": self.width,
            "step_version": self.step_version,
            "revision": self.revision,
            "crosses_cuts": self.crosses_cuts,
            "settings": dict(self.settings),
        }


@runtime_checkable
class ReadsQueries(Protocol):
    """An encoder with a text tower beside its own: a description and what it describes lie near each other."""

    def encode_query(self, text: str) -> NDArray[np.float32]:
        """The vector [width] of a description, of norm 1. Raises `ConfigError` where the weights have no such tower."""


class Encoder(ABC, Generic[Input]):
    """A frozen encoder of one modality. Used as a context manager; `close` frees its memory.

    Made cheaply: `spec` holds at once, and whatever is heavy (weights, a client) is loaded by the first batch.

    batch_items: how many items `encode_stream` gives to one call of `_encode`.
    margin_seconds: of sound on either side of a shot that an audio encoder wants; then its spec says `crosses_cuts`.
    """

    spec: EncoderSpec
    batch_items: int = 32
    margin_seconds: float = 0.0

    @abstractmethod
    def _encode(self, batch: Sequence[Input]) -> NDArray[np.float32]:
        """The one method to write: float32 [len(batch), spec.width]. Each row from its own item alone."""

    def encode(self, batch: Sequence[Input]) -> NDArray[np.float32]:
        """Vectors of a batch, float32 [len(batch), width].

        Raises:
            EncoderError: the encoder gave another shape or dtype, or a number that is not finite.
        """
        if not batch:
            return np.zeros((0, self.spec.width), np.float32)
        return self._checked(self._encode(batch), len(batch))

    def encode_stream(self, items: Iterable[tuple[Key, Input]]) -> Iterator[Encoded[Key]]:
        """Vectors of a stream of items, each once, not always in order, in bounded memory.

        Batches cross whatever the keys tell apart (shots, titles). The stream is read no further ahead than batches
        need.

        Args:
            items: (key, item); a key is handed back with its vector.

        Raises:
            EncoderError: as `encode`.
        """
        waiting: list[tuple[Key, Input]] = []
        for keyed in items:
            waiting.append(keyed)
            if len(waiting) == self.batch_items:
                yield from self._encoded(waiting)
                waiting = []
        yield from self._encoded(waiting)

    def _encoded(self, keyed: Sequence[tuple[Key, Input]]) -> Iterator[Encoded[Key]]:
        vectors = self.encode([item for _, item in keyed])
        for (key, _), vector in zip(keyed, vectors, strict=True):
            yield Encoded(key, vector)

    def _checked(self, vectors: NDArray[np.float32], num_items: int) -> NDArray[np.float32]:
        """`vectors`, if they are what the spec promises."""
        expected = (num_items, self.spec.width)
        if vectors.shape != expected or vectors.dtype != np.float32:
            raise EncoderError(
                f"{vectors.dtype} {vectors.shape}", rule=f"float32 {expected} was promised", where=self.spec.name
            )
        if not np.isfinite(vectors).all():
            row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise EncoderError(f"row {row} is not finite", rule="vectors are finite", where=self.spec.name)
        return vectors

    def close(self) -> None:
        """Frees what the encoder holds. An encoder is not used after it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

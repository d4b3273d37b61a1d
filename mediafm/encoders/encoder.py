"""The encoder interface: a batch of one modality in, float32 `[batch, width]` out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeVar

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


@dataclass(frozen=True, slots=True)
class ShotAudio:
    """The sound of one shot: mono float32 samples in [-1, 1] at `sample_rate_hz`."""

    samples: NDArray[np.float32]
    sample_rate_hz: int


Input = TypeVar("Input", ShotFrames, ShotAudio, str)


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


class Encoder(ABC, Generic[Input]):
    """A frozen encoder of one modality. Used as a context manager; `close` frees its memory."""

    spec: EncoderSpec

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
        vectors = self._encode(batch)
        expected = (len(batch), self.spec.width)
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

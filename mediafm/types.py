"""Carriers that more than one room of the library uses. All frozen, all validated on construction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from mediafm.errors import MediaFMError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""What canonical JSON can hold. NaN and infinity are not JSON."""


class Modality(StrEnum):
    """What a unimodal encoder reads of a shot. The order is the order of blocks in a fused vector."""

    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"


class TitleState(StrEnum):
    """What became of a title, or of one step of it."""

    OK = "ok"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    WAITING = "waiting"
    VANISHED = "vanished"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open span of time `[start_seconds, end_seconds)` in the stream's own timestamps."""

    start_seconds: float
    end_seconds: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_seconds) and math.isfinite(self.end_seconds)):
            raise MediaFMError(
                f"a span from {self.start_seconds} to {self.end_seconds} s", rule="both ends must be finite"
            )
        if self.end_seconds <= self.start_seconds:
            raise MediaFMError(
                f"a span from {self.start_seconds} to {self.end_seconds} s", rule="a span must end after it starts"
            )

    @property
    def duration_seconds(self) -> float:
        return self.end_seconds - self.start_seconds

    def overlap_seconds(self, other: Span) -> float:
        """How long both spans hold at once; 0.0 if they do not touch."""
        return max(0.0, min(self.end_seconds, other.end_seconds) - max(self.start_seconds, other.start_seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One shot of a title, as the detector cut it.

    `start_frame` and `end_frame` count decoded frames of the picture from 0, half-open, like the span.
    """

    index: int
    span: Span
    start_frame: int
    end_frame: int

    def __post_init__(self) -> None:
        if self.index < 0 or self.end_frame <= self.start_frame:
            raise MediaFMError(
                f"shot {self.index} of frames {self.start_frame} to {self.end_frame}",
                rule="a shot has an index >= 0 and at least one frame",
            )

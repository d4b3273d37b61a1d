"""TTML's time expressions (W3C TTML2, sections 7.2 and 12.3), in seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

_CLOCK = re.compile(r"(\d{2,5}):(\d{2}):(\d{2})(?:\.(\d{1,9})|:(\d{2,4})(?:\.(\d{1,4}))?)?")
_OFFSET = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(h|m|s|ms|f|t)")
_NUMBER = re.compile(r"\d{1,9}")
_RATIO = re.compile(r"(\d{1,9})[ :](\d{1,9})")
_SECONDS_PER = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class TtmlClock:
    """The parameters of a document that give its times a meaning, with TTML's defaults.

    frame_rate: nominal frames a second; multiplied by `multiplier` to give the true rate (30 x 1000/1001).
    tick_rate_hz: ticks a second.
    drop_mode: "nonDrop", "dropNTSC" or "dropPAL", for SMPTE time codes.
    """

    frame_rate: int = 30
    sub_frame_rate: int = 1
    multiplier: float = 1.0
    tick_rate_hz: float = 1.0
    is_smpte: bool = False
    drop_mode: str = "nonDrop"

    @property
    def frames_per_second(self) -> float:
        return self.frame_rate * self.multiplier

    def seconds(self, expression: str) -> float | None:
        """The time that an expression names; None where it is not one."""
        written = expression.strip()
        offset = _OFFSET.fullmatch(written)
        if offset is not None:
            return self._offset_seconds(float(offset[1]), offset[2])
        clock = _CLOCK.fullmatch(written)
        return self._clock_seconds(clock) if clock is not None else None

    def _offset_seconds(self, amount: float, metric: str) -> float:
        if metric == "f":
            return amount / self.frames_per_second
        if metric == "t":
            return amount / self.tick_rate_hz
        return amount * _SECONDS_PER[metric]

    def _clock_seconds(self, clock: re.Match[str]) -> float | None:
        hours, minutes, seconds = int(clock[1]), int(clock[2]), int(clock[3])
        frames = int(clock[5] or 0) + int(clock[6] or 0) / self.sub_frame_rate
        if minutes > 59 or seconds > 59 or int(clock[5] or 0) >= self.frame_rate:
            return None
        whole = hours * 3600 + minutes * 60 + seconds
        if not self.is_smpte:
            return whole + float(f"0.{clock[4] or 0}") + frames / self.frames_per_second
        dropped = self._num_dropped(hours, minutes)
        return (whole * self.frame_rate + frames - dropped) / self.frames_per_second + float(f"0.{clock[4] or 0}")

    def _num_dropped(self, hours: int, minutes: int) -> int:
        """Frame numbers that the time code skipped before this minute (TTML2, section 12.3.1)."""
        if self.drop_mode == "dropNTSC":
            return (hours * 54 + minutes - minutes // 10) * 2
        if self.drop_mode == "dropPAL":
            return (hours * 27 + minutes // 2 - minutes // 20) * 4
        return 0


def read_clock(attributes: Mapping[str, str]) -> TtmlClock:
    """The clock of a `tt` element's parameters (local names, without namespace); impossible ones give the default."""
    frame_rate = _positive(attributes.get("frameRate"))
    sub_frame_rate = _positive(attributes.get("subFrameRate")) or 1
    tick_rate = _positive(attributes.get("tickRate"))
    ratio = _RATIO.fullmatch(attributes.get("frameRateMultiplier", "").strip())
    multiplier = int(ratio[1]) / int(ratio[2]) if ratio and int(ratio[1]) and int(ratio[2]) else 1.0
    clock_frame_rate = frame_rate or 30
    default_tick_rate = frame_rate * multiplier * sub_frame_rate if frame_rate else 1.0
    is_smpte = attributes.get("timeBase", "media").strip() == "smpte"
    clock = TtmlClock(
        frame_rate=clock_frame_rate,
        sub_frame_rate=sub_frame_rate,
        multiplier=multiplier,
        tick_rate_hz=float(tick_rate or default_tick_rate),
        is_smpte=is_smpte,
        drop_mode=attributes.get("dropMode", "nonDrop").strip(),
    )
    return clock if math.isfinite(clock.frames_per_second) else TtmlClock()


def _positive(written: str | None) -> int | None:
    match = _NUMBER.fullmatch((written or "").strip())
    return int(match[0]) or None if match else None

"""The carriers of timed text, and the collector that every parser fills."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from mediafm.config import MediaLimits
from mediafm.errors import CatalogError, MediaFMError
from mediafm.media.timed_text_markup import clean_text, is_hearing_impaired

Source = Literal["sidecar", "embedded", "asr"]
"""Where a cue comes from: a file beside the title, a track inside it, or its sound (`mediafm.steps.transcripts`)."""

MAX_CUE_CHARACTERS = 10_000
"""A longer cue is no caption; it is cut here and counted. Our choice."""
REPEAT_GAP_SECONDS = 0.1
"""Equal texts with less between them are one caption, where a format repeats captions to move them. Our choice."""
OPEN_CUE_SECONDS = 5.0
"""How long a cue stands that has no end, unless the next one starts earlier. Our choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """One caption.

    start_seconds, end_seconds: half-open, both finite.
    text: without markup, lines joined by a newline; never empty.
    is_hearing_impaired: the whole of it describes sound or names a speaker ("[door slams]", "JOHN:").
    language: as `mediafm.languages` spells it, None where nobody said.
    confidence: how sure the transcriber was of an "asr" cue; None for what people wrote.
    """

    start_seconds: float
    end_seconds: float
    text: str
    is_hearing_impaired: bool = False
    language: str | None = None
    source: Source = "sidecar"
    confidence: float | None = None

    def __post_init__(self) -> None:
        is_finite = math.isfinite(self.start_seconds) and math.isfinite(self.end_seconds)
        if not is_finite or self.end_seconds <= self.start_seconds or not self.text:
            raise MediaFMError(
                f"a cue from {self.start_seconds} to {self.end_seconds} s of {len(self.text)} characters",
                rule="a cue has finite times, ends after it starts, and holds text",
            )


@dataclass(frozen=True, slots=True)
class ParsedText:
    """What one track held: `cues` in order of time, `problems` as sentences, one per kind of problem."""

    cues: tuple[Cue, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimedText:
    """The timed text of a title: the chosen track's cues.

    source: the sidecar's path, "stream N" for an embedded track, "" where the title has none.
    problems: those of the chosen track and of the tracks that failed before it.
    """

    cues: tuple[Cue, ...]
    source: str
    language: str | None
    problems: tuple[str, ...]


@dataclass
class CueCollector:
    """Takes cues one by one; keeps the possible ones and counts the others by kind, with the first example."""

    limits: MediaLimits
    source: Source
    language: str | None = None
    where: str = ""
    num_blank: int = 0
    _cues: list[Cue] = field(default_factory=list)
    _open: list[tuple[float, str]] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, str] = field(default_factory=dict)

    @property
    def num_timed(self) -> int:
        """Cues with possible times, whether they hold text or not."""
        return len(self._cues) + len(self._open) + self.num_blank

    def problem(self, kind: str, example: str) -> None:
        self._counts[kind] += 1
        self._examples.setdefault(kind, example)

    def add(self, start_seconds: float, end_seconds: float | None, text: str, place: str) -> None:
        """One cue of cleaned or raw text; `end_seconds` None means that the file gives no end.

        Raises:
            CatalogError: more cues than the limits allow.
        """
        if not self._is_possible(start_seconds, end_seconds, place):
            return
        cleaned = clean_text(text[: 4 * MAX_CUE_CHARACTERS])
        if len(text) > 4 * MAX_CUE_CHARACTERS or len(cleaned) > MAX_CUE_CHARACTERS:
            self.problem(f"cue cut at {MAX_CUE_CHARACTERS} characters", place)
            cleaned = cleaned[:MAX_CUE_CHARACTERS].rstrip()
        if not cleaned:
            self.num_blank += 1
        elif end_seconds is None:
            self._open.append((start_seconds, cleaned))
        else:
            self._cues.append(self._cue(start_seconds, end_seconds, cleaned))
        self._check_count()

    def finish(self, *, report_overlaps: bool = False, join_repeats: bool = False) -> ParsedText:
        """The cues in order of time; open ones are closed by the next start, exact repetitions dropped.

        Args:
            report_overlaps: count cues that overlap, for formats in which that is odd.
            join_repeats: make one cue of equal texts that follow at once: ASS draws moving signs frame by frame.
        """
        cues = sorted(dict.fromkeys(self._cues + self._closed()), key=lambda cue: (cue.start_seconds, cue.end_seconds))
        if join_repeats:
            cues = _joined(cues)
        if report_overlaps:
            for before, after in pairwise(cues):
                if after.start_seconds < before.end_seconds:
                    self.problem(
                        "cue kept that starts before the one before it ends", f"at {after.start_seconds:.3f} s"
                    )
        if not cues:
            self.problem("no cue holds text", f"{self.num_blank} blank cues")
        return ParsedText(tuple(cues), self.problems())

    def problems(self) -> tuple[str, ...]:
        """One sentence per kind of problem, with how often and where first."""
        return tuple(
            f"{kind} ({self._examples[kind]})"
            if count == 1
            else f"{kind} ({count} times, first: {self._examples[kind]})"
            for kind, count in self._counts.items()
        )

    def _is_possible(self, start_seconds: float, end_seconds: float | None, place: str) -> bool:
        ends = start_seconds if end_seconds is None else end_seconds
        if not (math.isfinite(start_seconds) and math.isfinite(ends)):
            self.problem("cue dropped: its time is not a finite number", place)
        elif start_seconds < 0 and self.source == "sidecar":
            self.problem("cue dropped: it starts before 0", f"{place}, {start_seconds:.3f} s")
        elif end_seconds is not None and end_seconds <= start_seconds:
            self.problem(
                "cue dropped: it does not end after it starts",
                f"{place}, {start_seconds:.3f} to {end_seconds:.3f} s",
            )
        else:
            return True
        return False

    def _cue(self, start_seconds: float, end_seconds: float, text: str) -> Cue:
        return Cue(
            start_seconds=start_seconds,
            end_seconds=end_seconds,
            text=text,
            is_hearing_impaired=is_hearing_impaired(text),
            language=self.language,
            source=self.source,
        )

    def _closed(self) -> list[Cue]:
        starts = sorted({start for start, _ in self._open} | {cue.start_seconds for cue in self._cues})
        next_start = dict(pairwise(starts))
        closed = []
        for start, text in self._open:
            end = min(start + OPEN_CUE_SECONDS, next_start.get(start, math.inf))
            closed.append(self._cue(start, end, text))
            self.problem(f"cue without an end: given the next one's start or {OPEN_CUE_SECONDS} s", f"at {start:.3f} s")
        return closed

    def _check_count(self) -> None:
        if self.num_timed > self.limits.max_cues:
            raise CatalogError(
                f"more than {self.limits.max_cues} cues",
                rule=f"timed text holds at most max_cues = {self.limits.max_cues}",
                where=self.where,
                remedy="Raise limits.max_cues, or mend the file.",
            )


def _joined(cues: list[Cue]) -> list[Cue]:
    """Ordered cues, equal texts that touch made one."""
    joined: list[Cue] = []
    latest: dict[str, int] = {}
    for cue in cues:
        place = latest.get(cue.text)
        if place is not None and cue.start_seconds - joined[place].end_seconds <= REPEAT_GAP_SECONDS:
            end_seconds = max(joined[place].end_seconds, cue.end_seconds)
            joined[place] = replace(joined[place], end_seconds=end_seconds)
        else:
            latest[cue.text] = len(joined)
            joined.append(cue)
    return joined

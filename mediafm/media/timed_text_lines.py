"""SRT and WebVTT: blocks of lines around a `-->`.

WebVTT as the W3C's (www.w3.org/TR/webvtt1, section 6) where files keep to it; SRT has no standard: what players
read is read here (times without hours or fractions, a blank line inside a cue, markup of WebVTT and ASS).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from mediafm.media.timed_text_cue import CueCollector
from mediafm.media.timed_text_markup import strip_tags

_TIME = r"(-?)(?:(\d{1,5})\s?:\s?)?(\d{1,2})\s?:\s?(\d{1,2})(?:[.,:]\s?(\d{1,9}))?"
_TIMING = re.compile(rf"\s{{0,20}}{_TIME}\s{{0,20}}--?>\s{{0,20}}{_TIME}(?:\s|$)")
_INLINE_TIME = re.compile(r"<\d{1,4}:\d{2}")
_NUMBER = re.compile(r"\s{0,20}\d{1,9}\s{0,20}")
_VTT_BLOCKS = ("NOTE", "STYLE", "REGION")
_ROLL_UP_GAP_SECONDS = 0.05


def parse_srt(text: str, collector: CueCollector) -> None:
    """Fills `collector` from an SRT file.

    Raises:
        CatalogError: more cues than the limits allow.
    """
    cue: _Draft | None = None
    for line_number, block in _blocks(text):
        timing = _find_timing(block)
        if timing is None:
            if _NUMBER.fullmatch(block[0]):
                collector.problem("cue dropped: no line of times", f"line {line_number}")
                _add(cue, collector)
                cue = None
            elif cue is not None:
                cue.lines += block
            elif any("-->" in line for line in block):
                collector.problem("cue dropped: times that cannot be read", f"line {line_number}")
            continue
        _add(cue, collector)
        cue = _draft(block, timing, line_number, collector)
    _add(cue, collector)


def parse_vtt(text: str, collector: CueCollector) -> None:
    """Fills `collector` from a WebVTT file; notes, styles and regions are no text.

    Raises:
        CatalogError: more cues than the limits allow.
    """
    rolls_up = _INLINE_TIME.search(text) is not None
    carried: _Draft | None = None
    for line_number, block in _blocks(text):
        timing = _find_timing(block)
        if timing is None:
            if "-->" in block[0] or (len(block) > 1 and "-->" in block[1]):
                collector.problem("cue dropped: times that cannot be read", f"line {line_number}")
            elif block[0].split(maxsplit=1)[0] not in (*_VTT_BLOCKS, "WEBVTT"):
                collector.problem("block dropped: no line of times", f"line {line_number}")
            continue
        cue = _draft(block, timing, line_number, collector)
        if cue is not None and rolls_up:
            shown = cue.copy()
            cue.drop_carried(carried)
            carried = shown
        _add(cue, collector)


class _Draft:
    """A cue whose lines are still being gathered."""

    def __init__(self, start_seconds: float, end_seconds: float, lines: list[str], place: str) -> None:
        self.start_seconds, self.end_seconds = start_seconds, end_seconds
        self.lines, self.place = lines, place

    def copy(self) -> _Draft:
        return _Draft(self.start_seconds, self.end_seconds, [strip_tags(line).strip() for line in self.lines], "")

    def drop_carried(self, before: _Draft | None) -> None:
        """Roll-up captions repeat the lines that still stand: those of the cue that ended just now are dropped."""
        if before is not None and abs(self.start_seconds - before.end_seconds) <= _ROLL_UP_GAP_SECONDS:
            standing = set(before.lines)
            self.lines = [line for line in self.lines if strip_tags(line).strip() not in standing]


def _draft(
    block: list[str], timing: tuple[int, re.Match[str]], line_number: int, collector: CueCollector
) -> _Draft | None:
    row, match = timing
    place = f"line {line_number + row}"
    times = (_seconds(*match.groups()[:5]), _seconds(*match.groups()[5:]))
    if times[0] is None or times[1] is None:
        collector.problem("cue dropped: minutes or seconds over 59", f"{place}, {match[0].strip()}")
        return None
    return _Draft(times[0], times[1], block[row + 1 :], place)


def _add(cue: _Draft | None, collector: CueCollector) -> None:
    if cue is not None:
        text = strip_tags("\n".join(cue.lines))
        collector.add(cue.start_seconds, cue.end_seconds, text, cue.place)


def _find_timing(block: list[str]) -> tuple[int, re.Match[str]] | None:
    """The row of a block's line of times: the first, or the second under an identifier; later ones start no cue."""
    for row, line in enumerate(block[:3]):
        match = _TIMING.match(line) if "->" in line else None
        if match is not None:
            return row, match
    return None


def _seconds(sign: str, hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float | None:
    if int(minutes) > 59 or int(seconds) > 59:
        return None
    total = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")
    return -total if sign else total


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines that are not blank, each with the number of its first line.

    A line of times inside a run starts a new one (files that lack the blank line), taking a number above it along.
    """
    block: list[str] = []
    first = 1
    for number, raw in enumerate(io.StringIO(text, newline=None), start=1):
        line = raw.rstrip("\n")
        if not line.strip():
            if block:
                yield first, block
            block = []
            continue
        if "->" in line and _TIMING.match(line) and _find_timing(block) is not None:
            takes_number = len(block) > 2 and _NUMBER.fullmatch(block[-1]) is not None
            held = [block.pop()] if takes_number else []
            yield first, block
            block, first = held, number - len(held)
        if not block:
            first = number
        block.append(line)
    if block:
        yield first, block

"""Timed text: captions and subtitles beside a title or inside it, as cues. The front door of `timed_text_*`.

Read here rather than by a subtitle library (pysubs2 is what the tests compare with): a library built for editing
gives up a whole ASS file for one bad event, shows WebVTT's notes as captions, and scans hostile input in
quadratic time; here one bad cue costs one cue, and everything is linear.
"""

from __future__ import annotations

from collections.abc import Callable

from mediafm.config import MediaLimits
from mediafm.errors import CatalogError
from mediafm.languages import normalize_language
from mediafm.media.timed_text_ass import parse_ass
from mediafm.media.timed_text_cue import Cue, CueCollector, ParsedText, TimedText
from mediafm.media.timed_text_encoding import decode_text
from mediafm.media.timed_text_lines import parse_srt, parse_vtt
from mediafm.media.timed_text_shots import Assignment, assign_cues, shot_text
from mediafm.media.timed_text_ttml import parse_ttml

__all__ = [
    "TIMED_TEXT_SUFFIXES",
    "Assignment",
    "Cue",
    "ParsedText",
    "TimedText",
    "assign_cues",
    "parse_timed_text",
    "shot_text",
]

_Parser = Callable[[str, CueCollector], None]
_BY_SUFFIX: dict[str, _Parser] = {
    ".srt": parse_srt,
    ".vtt": parse_vtt,
    ".ass": parse_ass,
    ".ssa": parse_ass,
    ".ttml": parse_ttml,
    ".dfxp": parse_ttml,
    ".xml": parse_ttml,
}
TIMED_TEXT_SUFFIXES = tuple(_BY_SUFFIX)
MAX_UNREADABLE_SHARE = 0.1
"""Of a file's characters; beyond it the file is not text. Our choice."""
_CONTROL_CHARACTERS = tuple(map(chr, (*range(9), *range(14, 32), 127)))
_SNIFFED_CHARACTERS = 4096


def parse_timed_text(
    data: bytes, suffix: str, limits: MediaLimits, language: str | None = None, where: str = ""
) -> ParsedText:
    """The cues of one sidecar, in order of time.

    The content decides the format where it says what it is (a WebVTT file named `.srt`), else the suffix. Impossible
    cues are dropped one by one and counted in `problems`; a well-formed file without cues is empty, with a problem.

    Args:
        data: the whole file.
        suffix: of its name, with the dot, any case.
        limits: `max_sidecar_bytes` and `max_cues` are enforced.
        language: of the text, if the name or the manifest says it; it also helps to find the encoding.
        where: names the file in errors.

    Raises:
        CatalogError: unknown suffix, too large, too many cues, entities in XML, or nothing in it can be read.
    """
    _check_size(data, limits, where)
    known = normalize_language(language)
    text, encoding, num_wrong = decode_text(data, known)
    _check_is_text(text, encoding, num_wrong, where)
    parser = _parser_for(text, suffix.lower(), where)
    collector = CueCollector(limits, "sidecar", known, where)
    if num_wrong:
        collector.problem("characters that cannot be read", f"{num_wrong} of {len(text)} are not {encoding}")
    parser(text, collector)
    if collector.num_timed == 0 and not _is_empty_but_sound(text, parser, collector):
        seen = "; ".join(collector.problems()) or f"{len(data)} bytes without a cue"
        raise CatalogError(
            f"no cue that can be read: {seen}",
            rule=f"a {suffix} file holds cues with a start and an end",
            where=where,
            remedy="Mend or remove the file.",
        )
    return collector.finish(report_overlaps=parser is parse_srt, join_repeats=parser is parse_ass)


def _check_size(data: bytes, limits: MediaLimits, where: str) -> None:
    if len(data) > limits.max_sidecar_bytes:
        raise CatalogError(
            f"{len(data)} bytes",
            rule=f"a sidecar holds at most max_sidecar_bytes = {limits.max_sidecar_bytes}",
            where=where,
            remedy="Raise limits.max_sidecar_bytes, or split the file.",
        )


def _check_is_text(text: str, encoding: str, num_wrong: int, where: str) -> None:
    num_odd = num_wrong + sum(text.count(character) for character in _CONTROL_CHARACTERS)
    if num_odd > MAX_UNREADABLE_SHARE * len(text):
        raise CatalogError(
            f"{num_odd} of {len(text)} characters are controls or not {encoding}, the encoding that fits best",
            rule="timed text is text",
            where=where,
            remedy="Save the file as UTF-8.",
        )


def _parser_for(text: str, suffix: str, where: str) -> _Parser:
    head = text[:_SNIFFED_CHARACTERS].lstrip("\ufeff \t\r\n")
    if head.startswith("WEBVTT"):
        return parse_vtt
    if head.lower().startswith("[script info]"):
        return parse_ass
    if head.startswith(("<?xml", "<tt")):
        return parse_ttml
    if suffix not in _BY_SUFFIX:
        raise CatalogError(
            f"the suffix {suffix!r}",
            rule=f"timed text is one of {', '.join(TIMED_TEXT_SUFFIXES)}",
            where=where,
            remedy="Convert the file.",
        )
    return _BY_SUFFIX[suffix]


def _is_empty_but_sound(text: str, parser: _Parser, collector: CueCollector) -> bool:
    """A file that says what it is and holds no caption, as tools write for a title without speech."""
    if any("dropped" in problem for problem in collector.problems()):
        return False
    if parser is parse_vtt:
        return text.lstrip("\ufeff \t\r\n").startswith("WEBVTT")
    if parser is parse_ass:
        return "[events]" in text.lower()
    return parser is parse_ttml and not any("break in" in problem for problem in collector.problems())

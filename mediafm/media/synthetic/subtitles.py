"""Timed text as files: SRT, WebVTT, TTML and ASS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape

from mediafm.errors import ConfigError
from mediafm.media.synthetic.dialogue import Line

ASS_HEAD = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def write_timed_text(suffix: str, lines: Sequence[Line]) -> str:
    """The lines as the text of a sidecar; `suffix` may begin with a language (".en.srt").

    Raises:
        ConfigError: no such format.
    """
    kind = "." + suffix.rsplit(".", 1)[-1]
    if kind not in _WRITERS:
        raise ConfigError(f"timed text as {suffix!r}", rule=f"it is written as {', '.join(_WRITERS)}")
    return _WRITERS[kind](lines)


def _srt(lines: Sequence[Line]) -> str:
    blocks = [
        f"{number}\n{_clock(line.start_seconds, ',')} --> {_clock(line.end_seconds, ',')}\n{line.text}\n"
        for number, line in enumerate(lines, start=1)
    ]
    return "\n".join(blocks)


def _vtt(lines: Sequence[Line]) -> str:
    blocks = [
        f"{_clock(line.start_seconds, '.')} --> {_clock(line.end_seconds, '.')}\n{escape(line.text)}\n"
        for line in lines
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _ttml(lines: Sequence[Line]) -> str:
    paragraphs = "\n".join(
        f'      <p begin="{_clock(line.start_seconds, ".")}" end="{_clock(line.end_seconds, ".")}">'
        f"{escape(line.text)}</p>"
        for line in lines
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="en">\n  <body>\n    <div>\n'
        f"{paragraphs}\n    </div>\n  </body>\n</tt>\n"
    )


def _ass(lines: Sequence[Line]) -> str:
    events = "\n".join(
        f"Dialogue: 0,{_ass_clock(line.start_seconds)},{_ass_clock(line.end_seconds)},Default,,0,0,0,,"
        f"{{\\i1}}{line.text}"
        for line in lines
    )
    return f"{ASS_HEAD}{events}\n"


def _clock(seconds: float, decimal_mark: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{decimal_mark}{rest % 1000:03d}"


def _ass_clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds * 100), 360_000)
    minutes, rest = divmod(rest, 6_000)
    return f"{hours}:{minutes:02d}:{rest // 100:02d}.{rest % 100:02d}"


_WRITERS: Mapping[str, Callable[[Sequence[Line]], str]] = {
    ".srt": _srt,
    ".vtt": _vtt,
    ".ttml": _ttml,
    ".ass": _ass,
}

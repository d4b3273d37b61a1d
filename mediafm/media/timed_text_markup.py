"""From marked-up captions to plain text, in time linear in the input.

Every pattern excludes its own opening character from its body, so that a failed match never scans what another
one scans again: ten megabytes of "<" cost one pass.
"""

from __future__ import annotations

import html
import re

_TAG = re.compile(r"<(?:/?[A-Za-z]|\d{1,4}:)[^<>]*>")
_LINE_BREAK = re.compile(r"<[Bb][Rr][ /]*>")
_RUBY_TEXT = re.compile(r"<rt(?:\.[^<>]*)?>[^<]*(?:</rt>)?")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_OVERRIDE = re.compile(r"(?<!\\)\{[^{}]*\}")
_SRT_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
_DRAWING = re.compile(r"\\p(\d)")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Zero-width joiners (U+200C, U+200D) stay: Persian and emoji are spelled with them.
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_BRACKETED = re.compile(
    r"\[[^\[\]]*\]|\([^()]*\)|\{[^{}]*\}|（[^（）]*）|［[^［］]*］|【[^【】]*】|〔[^〔〕]*〕|\*[^*\n]*\*"
)
_SPEAKER_ONLY = re.compile(r"[\s\-–—>]*[A-Z][A-Z0-9 .'’#&-]{0,40}:\s*")
_NO_WORDS = re.compile(r"[\s\-–—.,!?:;♪♫#\"'“”…>]*")


def clean_text(text: str) -> str:
    """Without invisible and control characters; each line's blanks collapsed; blank lines dropped."""
    lines = (" ".join(_CONTROL.sub(" ", line).split()) for line in _INVISIBLE.sub("", text).split("\n"))
    return "\n".join(line for line in lines if line)


def strip_tags(text: str) -> str:
    """HTML-like markup of SRT and WebVTT: tags, voices and classes, inline times, ruby glosses, entities."""
    text = _RUBY_TEXT.sub("", _SRT_OVERRIDE.sub("", text))
    return unescape(_TAG.sub("", _LINE_BREAK.sub("\n", text)))


def unescape(text: str) -> str:
    """HTML's entities, bounded in length (`html.unescape` alone fails on a number of 5,000 digits)."""
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text)


def strip_overrides(text: str) -> str:
    """An ASS event's text: `{...}` blocks and drawings dropped, `\\N`, `\\n` and `\\h` turned into white space."""
    kept: list[str] = []
    position, is_drawing = 0, False
    for block in _OVERRIDE.finditer(text):
        if not is_drawing:
            kept.append(text[position : block.start()])
        for level in _DRAWING.findall(block[0]):
            is_drawing = level != "0"
        position = block.end()
    if not is_drawing:
        kept.append(text[position:])
    return ass_white_space("".join(kept)).replace("\\{", "{").replace("\\}", "}")


def ass_white_space(text: str) -> str:
    """ASS's escapes for line breaks and hard spaces as white space."""
    return text.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")


def is_hearing_impaired(text: str) -> bool:
    """Whether the whole of a cleaned text stands in brackets ("[door slams]", "(SIGHS)") or only names a speaker."""
    rest = _BRACKETED.sub("", text)
    if _SPEAKER_ONLY.fullmatch(rest):
        return True
    return rest != text and _NO_WORDS.fullmatch(rest) is not None

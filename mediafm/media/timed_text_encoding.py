"""From bytes to text: byte-order marks, UTF-8, UTF-16 without a mark, then the code page that reads best."""

from __future__ import annotations

import codecs

from mediafm.media.timed_text_code_page import readability

SAMPLE_BYTES = 65_536
"""How much of the lines that hold other than ASCII is looked at to find the code page. Our choice."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BY_LANGUAGE = {
    "ja": ("cp932", "euc_jp"),
    "zh": ("gb18030", "big5"),
    "ko": ("cp949",),
    "ru": ("cp1251", "koi8_r", "cp866"),
    "uk": ("cp1251", "koi8_u"),
    "bg": ("cp1251",),
    "sr": ("cp1250", "cp1251"),
    "el": ("cp1253",),
    "tr": ("cp1254",),
    "he": ("cp1255",),
    "ar": ("cp1256",),
    "fa": ("cp1256",),
    "th": ("cp874",),
    "vi": ("cp1258",),
} | dict.fromkeys(("pl", "cs", "sk", "hu", "ro", "hr", "sl", "bs", "sq"), ("cp1250", "iso8859_2"))
_WESTERN = frozenset(
    {"en", "fr", "de", "es", "it", "pt", "nl", "sv", "no", "nb", "nn", "da", "fi", "is", "ca", "gl", "eu"}
)
_UNREADABLE = -10.0
# Of two that read equally well, the earlier one.
_CANDIDATES = (
    *("cp1252", "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1251", "koi8_r", "cp1250", "cp1253", "cp1254"),
    *("cp1255", "cp1256", "cp874"),
)


def decode_text(data: bytes, language: str | None = None) -> tuple[str, str, int]:
    """The text, the encoding it was read in, and how many characters could not be read (U+FFFD).

    Args:
        data: a whole file.
        language: of the text if known: it names the code pages to try first.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _replacing(data[len(mark) :], encoding)
    guess = _wide_encoding(data)
    if guess is not None:
        return _replacing(data, guess)
    text, encoding, num_wrong = _replacing(data, "utf-8")
    if num_wrong == 0 or _is_mostly_utf8(data):
        return text, encoding, num_wrong
    return _replacing(data, _code_page(data, language))


def _replacing(data: bytes, encoding: str) -> tuple[str, str, int]:
    text = data.decode(encoding, errors="replace")
    return text, encoding, text.count("\ufffd")


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 without a mark: of its first characters nearly every second byte is zero, always on the same side."""
    head = data[:2000]
    pairs = len(head) // 2
    if pairs < 4 or b"\x00" not in head:
        return None
    even, odd = head[: 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if odd > 0.4 * pairs and even < 0.05 * pairs:
        return "utf-16-le"
    if even > 0.4 * pairs and odd < 0.05 * pairs:
        return "utf-16-be"
    return None


def _is_mostly_utf8(data: bytes) -> bool:
    sample = _sample(data)
    text = sample.decode("utf-8", errors="replace")
    num_wrong = text.count("\ufffd")
    num_right = sum(1 for character in text if character > "\x7f") - num_wrong
    return num_right > 10 * num_wrong


def _code_page(data: bytes, language: str | None) -> str:
    primary = (language or "").split("-")[0]
    if primary in _WESTERN:
        return "cp1252"
    sample = _sample(data)
    known = _BY_LANGUAGE.get(primary, ())
    merits = {encoding: _merit(sample, encoding) for encoding in known or _CANDIDATES}
    best = max(merits, key=lambda encoding: merits[encoding])
    return best if merits[best] > _UNREADABLE else "cp1252"


def _merit(sample: bytes, encoding: str) -> float:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return _UNREADABLE
    return readability(text, encoding)


def _sample(data: bytes) -> bytes:
    """Whole lines that hold other than ASCII, at most SAMPLE_BYTES of them."""
    chosen: list[bytes] = []
    size = 0
    for line in data[: 64 * SAMPLE_BYTES].split(b"\n"):
        if size >= SAMPLE_BYTES:
            break
        if not line.isascii():
            chosen.append(line[: SAMPLE_BYTES - size])
            size += len(line) + 1
    return b"\n".join(chosen)

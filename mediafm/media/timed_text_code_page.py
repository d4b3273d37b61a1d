"""How well a text reads, for choosing between the code pages that could have written it. Our choice throughout.

Detectors trained on web pages need more text than a subtitle file has where it leaves ASCII (a French one became
Czech, a Japanese one Korean). Captions are easier than that: their letters stand in words of one script.
"""

from __future__ import annotations

_WESTERN = frozenset("àâäáãåæçéèêëíìîïñóòôöõøœúùûüßÀÂÄÁÅÆÇÉÈÊËÍÎÑÓÔÖØŒÚÜ")
_CENTRAL = frozenset("ąćęłńóśźżčďěňřšťůýžőűĺľŕăâîșțşĄĆĘŁŃÓŚŹŻČĎĚŇŘŠŤŮÝŽŐŰĂÎŞğıİĞ")
_RARE_CENTRAL = frozenset("đţĐŢ")
_PUNCTUATION = frozenset("’‘“”„«»–—…¿¡♪、。，．！？「」『』・《》：；（）·〜ー　 °")
_FINALS = frozenset("ςךםןףץ")
"""Letters that only end a word."""
_THAI_MARKS = frozenset("ัิีึืฺุู็่้๊๋์ํ๎")
"""Signs that stand above or below a letter, never alone."""
_VOWELS = {"cyrillic": frozenset("аеёиоуыэюяіїєАЕЁИОУЫЭЮЯІЇЄ"), "greek": frozenset("αεηιουωάέήίόύώϊϋΐΰΑΕΗΙΟΥΩΆΈΉΊΌΎΏ")}
_VOWEL_SHARES = (0.28, 0.62)
_SCRIPTS = (
    ("cyrillic", 0x0400, 0x04FF),
    ("greek", 0x0370, 0x03FF),
    ("hebrew", 0x05D0, 0x05EA),
    ("arabic", 0x0600, 0x06FF),
    ("thai", 0x0E01, 0x0E4E),
    ("kana", 0x3041, 0x30FE),
    ("han", 0x4E00, 0x9FFF),
    ("hangul", 0xAC00, 0xD7A3),
)
# The first level of each national set holds what is in daily use; a text read in the wrong code page is full of others.
_FIRST_LEVEL = {
    "gb18030": ("gb2312", 0xB0, 0xD7),
    "cp949": ("euc_kr", 0xB0, 0xC8),
    "cp932": ("euc_jp", 0xB0, 0xCF),
    "euc_jp": ("euc_jp", 0xB0, 0xCF),
    "big5": ("big5", 0xA4, 0xC6),
}


def readability(text: str, encoding: str) -> float:
    """The mean merit of the characters beyond ASCII, about -2 to 1; 0 for a text without any."""
    total, count = 0.0, 0
    before, run = " ", 0
    for position, character in enumerate(text):
        if character < "\x80":
            before, run = character, 0
            continue
        after = text[position + 1] if position + 1 < len(text) else " "
        run += 1
        total += _merit(character, before, after, run, encoding)
        count += 1
        before = character
    return total / count - _vowel_penalty(text) if count else 0.0


def _vowel_penalty(text: str) -> float:
    """0.5 for a text of an alphabet that uses its vowels as no language does."""
    for script, vowels in _VOWELS.items():
        letters = [character for character in text if _script(character) == script]
        if len(letters) > 3:
            share = sum(character in vowels for character in letters) / len(letters)
            if not _VOWEL_SHARES[0] <= share <= _VOWEL_SHARES[1]:
                return 0.5
    return 0.0


def _merit(character: str, before: str, after: str, run: int, encoding: str) -> float:
    if character in _WESTERN:
        return 1.0 if run < 3 else -0.5
    if character in _CENTRAL:
        return 0.8 if run < 4 else -0.5
    if character in _RARE_CENTRAL:
        return 0.4
    if character in _PUNCTUATION:
        return 0.6
    script = _script(character)
    if script is None:
        return -1.0
    if (before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha()):
        return -1.0
    return _script_merit(script, character, before, after, encoding)


def _script_merit(script: str, character: str, before: str, after: str, encoding: str) -> float:
    if script in ("han", "hangul"):
        return (0.95 if script == "hangul" else 0.8) if _is_common(character, encoding) else -0.5
    if script == "kana":
        # Both Japanese encodings and GB 2312 hold kana; only Japanese uses them.
        return 1.0 if encoding in ("cp932", "euc_jp") else 0.3
    if character in _THAI_MARKS and _script(before) != "thai":
        return -1.0
    if character.isupper():
        return -0.5 if before.islower() else 0.3
    if character in _FINALS and after.isalpha():
        return -1.0
    return 0.9 if script == "cyrillic" else 0.85


def _script(character: str) -> str | None:
    code = ord(character)
    return next((name for name, low, high in _SCRIPTS if low <= code <= high), None)


def _is_common(character: str, encoding: str) -> bool:
    if encoding not in _FIRST_LEVEL:
        return False
    name, first, last = _FIRST_LEVEL[encoding]
    try:
        return first <= character.encode(name)[0] <= last
    except UnicodeEncodeError:
        return False

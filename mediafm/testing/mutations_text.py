"""Damage that only text can take: its encoding, its numbers, its markup, its lines."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from mediafm.testing.mutations_media import MAX_GROWTH_BYTES, MEDIA_MUTATIONS, Mutate


def _wrong_encoding(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Text in another encoding, with another's mark, or with bytes that no encoding has."""
    text = data.decode("utf-8", errors="replace")
    odd = draw.choice((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\x00\x00"))
    bad = bytearray(data)
    for _ in range(1 + len(data) // draw.choice((20, 400))):
        if bad:
            bad[draw.randrange(len(bad))] = draw.choice((0x80, 0xC0, 0xFE, 0xFF))
    wide = text.encode(draw.choice(("utf-16-le", "utf-16-be", "utf-32-le", "utf-7", "cp037")), errors="replace")
    return draw.choice((odd + data, wide, bytes(bad), text.encode("cp1252", errors="replace") + b"\xe9\xff", wide[1:]))


def _huge_numbers(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Numbers of time stamps (or any) become huge, negative, or no number."""
    values = (b"9" * draw.choice((3, 9, 40, 5000)), b"-1", b"99", b"1e308", b"00", b"NaN", b"0x7f", "٣".encode())
    share = draw.choice((0.02, 0.3, 1.0))
    changed = re.sub(rb"\d+", lambda match: draw.choice(values) if draw.random() < share else match[0], data)
    return changed[: len(data) + MAX_GROWTH_BYTES]


def _unclosed(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Markup that is opened and never closed, anywhere."""
    opened = (
        b"<i>",
        b"<b<font",
        b"<v ",
        b"{\\an8",
        b"{\\p1}",
        b"<ruby><rt>",
        b"&#99999999;",
        b"&",
        b"<!--",
        b"<![CDATA[",
    )
    return _sown(data, opened, draw, draw.choice((1, 20, 20_000)))


def _sown(data: bytes, seeds: tuple[bytes, ...], draw: random.Random, count: int) -> bytes:
    """With `count` of `seeds` at drawn places."""
    places = sorted(draw.randint(0, len(data)) for _ in range(count))
    borders = zip([0, *places], [*places, len(data)], strict=True)
    parts = [data[start:end] for start, end in borders]
    return parts[0] + b"".join(draw.choice(seeds) + part for part in parts[1:])


def _nuls(data: bytes, other: bytes, draw: random.Random) -> bytes:
    return _sown(data, (b"\x00", b"\x00" * 64, b"\x1a", b"\x0b"), draw, draw.choice((1, 10, 1000)))


def _long_lines(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """A line of a million letters, of brackets, of arrows, or no line's end at all."""
    if draw.random() < 0.2:
        return data.replace(b"\n", b" ").replace(b"\r", b" ")
    atom = draw.choice((b"a", b"<", b"{", b"-->", b"(", b"[", b"&", b"\xe2\x99\xaa", b"00:00:01,000 --> ", b" ", b"\n"))
    place = draw.randint(0, len(data))
    return data[:place] + atom * (1_000_000 // len(atom)) + data[place:]


def _deep(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Elements in elements in elements."""
    depth, tag = draw.choice((150, 1000, 100_000)), draw.choice((b"span", b"div", b"p", b"i", b"c"))
    ends = b"</" + tag + b">"
    place = draw.choice([match.end() for match in re.finditer(rb">|\n", data)] or [0])
    return data[:place] + (b"<" + tag + b">") * depth + b"deep" + ends * draw.choice((0, depth)) + data[place:]


def _entities(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """A document type whose entities grow without bound, name a file, or name themselves; and their use."""
    levels = b"".join(b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, 12))
    kinds = (
        b'<!DOCTYPE tt [<!ENTITY l0 "lol">' + levels + b"]>",
        b'<!DOCTYPE tt [<!ENTITY l11 SYSTEM "file:///etc/hostname">]>',
        b'<!DOCTYPE tt [<!ENTITY l11 "&l11;">]>',
        b'<!DOCTYPE tt SYSTEM "http://127.0.0.1:9/x.dtd">',
    )
    head = data.find(b"?>") + 2 if data.startswith(b"<?xml") else 0
    return data[:head] + draw.choice(kinds) + _sown(data[head:], (b"&l11;",), draw, 5)


def _shuffled_lines(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Lines in another order, or a few of them many times."""
    lines = data.split(b"\n")
    if draw.random() < 0.5:
        draw.shuffle(lines)
        return b"\n".join(lines)
    start = draw.randrange(len(lines))
    piece = lines[start : start + draw.randint(1, 4)]
    times = min(draw.choice((2, 2000)), 1 + MAX_GROWTH_BYTES // (1 + sum(map(len, piece))))
    return b"\n".join([*lines[:start], *(piece * times), *lines[start:]])


TEXT_MUTATIONS: Mapping[str, Mutate] = {
    **{
        name: MEDIA_MUTATIONS[name]
        for name in ("flip_few", "flip_many", "truncated", "headless", "zeroed", "dropped", "spliced")
    },
    "wrong_encoding": _wrong_encoding,
    "huge_numbers": _huge_numbers,
    "unclosed": _unclosed,
    "nuls": _nuls,
    "long_lines": _long_lines,
    "deep": _deep,
    "entities": _entities,
    "shuffled_lines": _shuffled_lines,
}

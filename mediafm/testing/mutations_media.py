"""Damage to the bytes of any file, and to what containers are made of: sizes, fields, pages."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

HEAD_BYTES = 4096
"""Where the header of a file is looked for."""
MAX_GROWTH_BYTES = 4 * 1024**2
"""No damaged version is longer than the file, and the file it is spliced with, by more than this."""
_EXTREMES = (b"\x00" * 8, b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\x80" + b"\x00" * 7, b"\x00\x00\x00\x01" * 2)
_LANDMARKS = re.compile(
    # MP4's boxes, after their size; what follows are their fields.
    rb"ftyp|moov|mvhd|trak|tkhd|edts|elst|mdia|mdhd|hdlr|minf|stbl|stsd|stts|ctts|stss|stsc|stsz|stco|co64|moof|traf"
    rb"|trun|tfhd|mdat|avc1|avcC|hvcC|av1C|vpcC|mp4a|esds|pasp|colr|tx3g|udta|meta"
    # Matroska's elements, before their size: header, segment, info, tracks, track, cluster, block, cues.
    rb"|\x1a\x45\xdf\xa3|\x18\x53\x80\x67|\x15\x49\xa9\x66|\x16\x54\xae\x6b|\xae(?=[\x80-\xff\x40-\x7f])"
    rb"|\x1f\x43\xb6\x75|\xa3(?=[\x40-\xff])|\x1c\x53\xbb\x6b|\x2a\xd7\xb1|\x44\x89|\x63\xa2"
    # RIFF's chunks, Ogg's pages, MPEG's packs and pictures, FLAC's head.
    rb"|RIFF|LIST|hdrl|avih|strh|strf|movi|idx1|fmt |data|00dc|01wb|OggS|\x00\x00\x01[\xba\xbb\xb3\xb8\xc0\xe0]|fLaC"
)
Mutate = Callable[[bytes, bytes, random.Random], bytes]
"""(the file's bytes, another file's bytes, the draw) -> the damaged bytes."""


def _flipped(data: bytes, draw: random.Random, num_bits: int, end: int | None = None) -> bytes:
    """With `num_bits` bits turned, all before byte `end`."""
    end = min(len(data), end or len(data))
    changed = bytearray(data)
    for _ in range(num_bits if end else 0):
        changed[draw.randrange(end)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _flip_few(data: bytes, other: bytes, draw: random.Random) -> bytes:
    return _flipped(data, draw, draw.randint(1, 8))


def _flip_some(data: bytes, other: bytes, draw: random.Random) -> bytes:
    return _flipped(data, draw, max(1, len(data) // 4000))


def _flip_many(data: bytes, other: bytes, draw: random.Random) -> bytes:
    return _flipped(data, draw, max(1, len(data) // 100))


def _flip_head(data: bytes, other: bytes, draw: random.Random) -> bytes:
    return _flipped(data, draw, draw.choice((1, 4, 32)), HEAD_BYTES)


def _noisy_head(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Random bytes over a piece of the header."""
    start = draw.randrange(max(1, min(len(data), HEAD_BYTES)))
    noise = draw.randbytes(min(draw.choice((4, 64, 1024)), len(data) - start))
    return data[:start] + noise + data[start + len(noise) :]


def _truncated(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Ends anywhere; one in three within the header, one in three within the last part."""
    low, high = draw.choice(((0, len(data)), (0, HEAD_BYTES), (len(data) * 9 // 10, len(data))))
    return data[: draw.randint(low, max(low, min(high, len(data)) - 1))]


def _headless(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """The beginning is missing."""
    return data[draw.randint(1, max(1, min(len(data), draw.choice((16, HEAD_BYTES, len(data)))))) :]


def _piece(data: bytes, draw: random.Random) -> tuple[int, int]:
    """Where a piece starts and ends: 16 bytes to a quarter of the file, as often short as long."""
    longest = max(1, len(data) // 4)
    length = min(longest, int(16 * (longest / 16) ** draw.random()) if longest > 16 else longest)
    start = draw.randint(0, max(0, len(data) - length))
    return start, start + length


def _zeroed(data: bytes, other: bytes, draw: random.Random) -> bytes:
    start, end = _piece(data, draw)
    return data[:start] + bytes(len(data[start:end])) + data[end:]


def _doubled(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """A piece stands twice, the second time anywhere."""
    start, end = _piece(data, draw)
    place = draw.choice((end, draw.randint(0, len(data))))
    return data[:place] + data[start:end] + data[place:]


def _dropped(data: bytes, other: bytes, draw: random.Random) -> bytes:
    start, end = _piece(data, draw)
    return data[:start] + data[end:]


def _swapped(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Two pieces of equal length in each other's place."""
    start, end = _piece(data, draw)
    length = end - start
    if len(data) < 2 * length:
        return data[end:] + data[:end]
    later = draw.randint(0, len(data) - 2 * length)
    first, second = (start, later + length) if later >= start else (later, start)
    second = max(second, first + length)
    pieces = data[:first], data[first : first + length], data[first + length : second], data[second : second + length]
    return pieces[0] + pieces[3] + pieces[2] + pieces[1] + data[second + length :]


def _landmarks(data: bytes) -> list[re.Match[bytes]]:
    """Names of boxes, elements, chunks, pages and packs: one of each kind counts as much as a hundred of another."""
    by_name: dict[bytes, list[re.Match[bytes]]] = {}
    for match in _LANDMARKS.finditer(data):
        by_name.setdefault(match[0], []).append(match)
    return [match for matches in by_name.values() for match in (matches[0], matches[len(matches) // 2], matches[-1])]


def _wrong_size(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """The size of a box, element or chunk is another; without any, the header is damaged."""
    marks = _landmarks(data)
    if not marks:
        return _noisy_head(data, other, draw)
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 3))):
        mark = draw.choice(marks)
        is_box = mark[0].isalnum() and mark[0].islower() and mark.start() >= 4
        start = mark.start() - 4 if is_box else mark.end()
        value = draw.choice((draw.randbytes(4), *_EXTREMES))[: draw.choice((1, 2, 4))]
        place = start + (4 - len(value) if is_box else 0)
        changed[place : place + len(value)] = value[: max(0, len(changed) - place)]
    return bytes(changed)


def _extreme_field(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Fields behind such a name hold zeros, the largest or the smallest number: rates, counts, times, matrices."""
    marks = _landmarks(data)
    changed = bytearray(data)
    for _ in range(draw.choice((1, 2, 6))):
        start = draw.choice(marks).end() if marks else draw.randrange(max(1, min(len(data), HEAD_BYTES)))
        place = start + 4 * draw.randrange(20)
        value = draw.choice(_EXTREMES)[: draw.choice((2, 4, 8))]
        changed[place : place + len(value)] = value[: max(0, len(changed) - place)]
    return bytes(changed)


def _spliced(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """The beginning of one file, the end of another."""
    return data[: draw.randint(0, len(data))] + other[draw.randint(0, len(other)) :]


def _tailed(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Behind its end stands what belongs to nobody, or the whole file once more."""
    return data + draw.choice((draw.randbytes(draw.choice((1, 4096, 100_000))), bytes(65_536), data))[:MAX_GROWTH_BYTES]


MEDIA_MUTATIONS: Mapping[str, Mutate] = {
    "flip_few": _flip_few,
    "flip_some": _flip_some,
    "flip_many": _flip_many,
    "flip_head": _flip_head,
    "noisy_head": _noisy_head,
    "truncated": _truncated,
    "headless": _headless,
    "zeroed": _zeroed,
    "doubled": _doubled,
    "dropped": _dropped,
    "swapped": _swapped,
    "wrong_size": _wrong_size,
    "extreme_field": _extreme_field,
    "spliced": _spliced,
    "tailed": _tailed,
}

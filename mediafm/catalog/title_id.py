"""Title ids: made from a title's name, safe everywhere, and stable while the catalogue grows.

An id holds `a-z 0-9 . _ -`, at most 100 of them, starts with none of `.` and `-`, and holds no `..`. The rule:

- A name made of such characters alone keeps them: `films/sintel_part1.mp4` is `films--sintel_part1`.
- A name that loses anything on the way (capitals, spaces, other scripts, `--`, length) gets its slug plus a hash of
  the exact name, suffix included: `七人の侍.mkv` is `title-` and twelve hexadecimal digits. Such an id never
  depends on other files. A plain name that ends like such a hash counts as lossy, so the two kinds never meet.
- Where two plain names agree (`a.mp4`, `a.mkv`), both get the hash. This is the one case in which a new file renames
  an old title; the alternative, letting one of them keep the plain id, would let an id change its owner silently.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence

MAX_ID_CHARACTERS = 100
HASH_DIGITS = 12
"""48 bits: 100,000 names without one Latin letter collide with a chance of 2 in 100,000."""

_SAFE_ID = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,98}[a-z0-9_-])?")
_PLAIN_PART = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?")
_HASH_ENDING = re.compile(rf"-[0-9a-f]{{{HASH_DIGITS}}}$")
_UNSAFE = re.compile(r"[^a-z0-9._]+")
_DOTS = re.compile(r"\.{2,}")


def is_safe_id(title_id: str) -> bool:
    """Whether an id that somebody gave may be used as it is."""
    return _SAFE_ID.fullmatch(title_id) is not None and ".." not in title_id


def title_ids(names: Sequence[str], taken: Collection[str] = ()) -> list[str]:
    """One id per name, in order; equal names get equal ids.

    Args:
        names: relative paths with `/`, suffix included.
        taken: ids that others were given; a plain name that equals one gets its hash too.
    """
    plain = {name: plain_id(name) for name in names}
    num_uses = Counter(item for item in plain.values() if item is not None)
    return [_chosen(name, plain[name], num_uses, taken) for name in names]


def plain_id(name: str) -> str | None:
    """The id of a name that loses nothing; None where it would."""
    parts = _without_suffix(name).split("/")
    if any(_PLAIN_PART.fullmatch(part) is None or "--" in part or ".." in part for part in parts):
        return None
    joined = "--".join(parts)
    return None if len(joined) > MAX_ID_CHARACTERS or _HASH_ENDING.search(joined) else joined


def hashed_id(name: str) -> str:
    """The slug of a name plus a hash of it, exactly as the file system spells it."""
    stem = unicodedata.normalize("NFKD", _without_suffix(name)).encode("ascii", "ignore").decode()
    slug = _DOTS.sub(".", _UNSAFE.sub("-", stem.lower())).strip("-._")
    slug = slug[: MAX_ID_CHARACTERS - HASH_DIGITS - 1].strip("-._") or "title"
    return f"{slug}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:HASH_DIGITS]}"


def _chosen(name: str, plain: str | None, num_uses: Counter[str], taken: Collection[str]) -> str:
    if plain is None or num_uses[plain] > 1 or plain in taken:
        return hashed_id(name)
    return plain


def _without_suffix(name: str) -> str:
    return os.path.splitext(name)[0]
